/* The kinds of machine that `nacre run` can make: what each is to QEMU, to the kernel and to the agent. */
#ifndef NACRE_RUNTIME_MACHINE_TYPE_H
#define NACRE_RUNTIME_MACHINE_TYPE_H

#include <stdbool.h>
#include <stddef.h>

#define MACHINE_ADDRESS_SIZE 16

struct machine_type {
	const char *name;
	const char *kernel;  /* the file name of its kernel */
	const char *options; /* QEMU's -machine */
	const char *global;  /* QEMU's -global, or NULL */
	const char *append;  /* for the kernel's command line */
	const char *vsock, *block, *serial, *random, *filesystem, *network; /* QEMU's devices */
	unsigned slots; /* how many of those it has room for */
	const char *storage_driver;		     /* the agent's, for a disk of the machine */
	bool pci; /* a container's disk has a PCI Express port of its own, as one that is plugged in later has */
};

/* By name; NULL for the default one. NULL where there is no such machine. */
const struct machine_type *machine_type_find(const char *name);

/* All names, for messages: "microvm or q35". */
#define MACHINE_TYPE_NAMES "microvm or q35"

/* Where the container's disk number `index` (from 0) is plugged in on a machine with PCI. */
unsigned machine_type_slot(unsigned index);

/* What the agent calls that disk: the source of a storage with the machine's storage_driver. `before` is the number of
 * disks that the machine has before it, for its own root. Returns `address`. */
const char *machine_type_address(const struct machine_type *type, unsigned before, unsigned index,
				 char address[MACHINE_ADDRESS_SIZE]);

#endif
