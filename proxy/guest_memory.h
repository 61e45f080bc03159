/* The guest's memory: regions of files, mapped here, and found by guest physical or by the VMM's own address.
 *
 * The table comes from the VMM (SET_MEM_TABLE). The addresses which are looked up come from the guest, and may be
 * anything: nothing outside of a region is ever returned.
 *
 * The files stay the VMM's: it may cut one short, or have no page for it, after it has been mapped. The access which finds that
 * out goes on in zeros, as does every other to that region, and the memory is marked as lost.
 */
#ifndef NACRE_PROXY_GUEST_MEMORY_H
#define NACRE_PROXY_GUEST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lib/error.h"

#define GUEST_MEMORY_REGIONS 8

struct guest_region {
	uint64_t guest_address; /* guest physical */
	uint64_t size;
	uint64_t user_address; /* in the VMM's address space: ring addresses are given so */
	uint64_t offset; /* where in the file the region starts */
	int fd;
	void *mapping; /* of the file from 0 to offset + size */
};

struct guest_memory {
	struct guest_memory *next; /* of all that there are, for the signal's handler */
	volatile bool lost;	   /* set by that: what is read here means nothing any more */
	bool kept; /* set by its owner: the regions are for another process, and never mapped here */
	unsigned int changes; /* counted, for whoever passes them on */
	size_t count;
	struct guest_region regions[GUEST_MEMORY_REGIONS];
};

/* Maps (or keeps) `count` regions, whose `mapping` is ignored, in place of those that are there. The fds belong to the memory from
 * here on, also where it fails, which leaves what was there. It has to be zeros (or `kept`) before the first time, and may not be
 * moved until it is cleared; a process has one handler of SIGBUS for all that is mapped, installed here. 0 or -errno (EINVAL: too
 * many regions, an empty one, one
 * that overlaps another or reaches past the end of its file or of the address space). */
int guest_memory_set(struct guest_memory *memory, const struct guest_region *regions, size_t count,
		     struct error *error);
void guest_memory_clear(struct guest_memory *memory);

/* `size` bytes at an address of the VMM's; NULL unless all are in one region. */
void *guest_memory_user(const struct guest_memory *memory, uint64_t address, uint64_t size);

/* `size` bytes at a guest physical address; NULL unless all are in one region. */
void *guest_memory_at(const struct guest_memory *memory, uint64_t address, uint64_t size);

/* The same where the bytes may lie across adjacent regions: fills at most `room` parts. How many, -EFAULT where
 * something isn't memory, or -ENOBUFS. */
int guest_memory_parts(const struct guest_memory *memory, uint64_t address, uint64_t size, struct iovec *parts,
		       size_t room);

#endif
