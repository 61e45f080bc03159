/* Guest memory: checking, mapping and looking up regions; and what becomes of one whose file has nothing behind it. */
#include "proxy/guest_memory.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/fd.h"

/* syscalls: mmap munmap madvise fstat close rt_sigaction rt_sigreturn */

/* ---- A region without a file --------------------------------------------------------------------------------- */

static struct guest_memory *all;
static struct sigaction former;

static bool inside(const struct guest_region *region, const void *address)
{
	uintptr_t offset = (uintptr_t)address - (uintptr_t)region->mapping;

	return region->mapping != MAP_FAILED && offset < region->offset + region->size;
}

/* Zeros in the place of the file. */
static bool replace(const struct guest_region *region)
{
	return mmap(region->mapping, region->offset + region->size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED;
}

/* Comes of an access to memory by this thread, so nothing of what is read here is just being changed. */
static void access_failed(int number, siginfo_t *info, void *context)
{
	(void)context;
	for (struct guest_memory *memory = all; memory; memory = memory->next)
		for (size_t i = 0; i < memory->count; i++)
			if (inside(&memory->regions[i], info->si_addr) && replace(&memory->regions[i])) {
				memory->lost = true;
				return;
			}
	/* Not ours: the access is done again, and ends as if there was no handler. */
	sigaction(number, &former, NULL);
}

/* Each time, as nothing says that the handler is still there. */
static int watch(struct guest_memory *memory, struct error *error)
{
	struct sigaction action = {.sa_sigaction = access_failed, .sa_flags = SA_SIGINFO}, before;

	if (sigaction(SIGBUS, &action, &before) < 0)
		return error_errno(error, errno, "sigaction");
	if (before.sa_sigaction != access_failed)
		former = before;
	memory->next = all;
	all = memory;
	return 0;
}

static void unwatch(const struct guest_memory *memory)
{
	struct guest_memory **link = &all;

	while (*link && *link != memory)
		link = &(*link)->next;
	if (*link)
		*link = memory->next;
}

/* ---- The table ----------------------------------------------------------------------------------------------- */

static bool overlap(uint64_t first, uint64_t first_size, uint64_t second, uint64_t second_size)
{
	return first < second + second_size && second < first + first_size;
}

/* Sums of address and size can't wrap once this has passed. */
static int check_region(const struct guest_region *region, struct error *error)
{
	struct stat status;

	if (region->size == 0 || region->guest_address > UINT64_MAX - region->size ||
	    region->user_address > UINT64_MAX - region->size || region->offset > INT64_MAX - region->size)
		return error_set(error, EINVAL, "memory region at 0x%llx has no valid size",
				 (unsigned long long)region->guest_address);
	if (fstat(region->fd, &status) < 0)
		return error_errno(error, errno, "memory region at 0x%llx",
				   (unsigned long long)region->guest_address);
	if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size < region->offset + region->size)
		return error_set(error, EINVAL, "memory region at 0x%llx reaches past the end of its file",
				 (unsigned long long)region->guest_address);
	return 0;
}

static int check(const struct guest_region *regions, size_t count, struct error *error)
{
	for (size_t i = 0; i < count; i++) {
		int status = check_region(&regions[i], error);

		if (status < 0)
			return status;
		for (size_t j = 0; j < i; j++)
			if (overlap(regions[i].guest_address, regions[i].size, regions[j].guest_address,
				    regions[j].size) ||
			    overlap(regions[i].user_address, regions[i].size, regions[j].user_address,
				    regions[j].size))
				return error_set(error, EINVAL, "memory regions overlap at 0x%llx",
						 (unsigned long long)regions[i].guest_address);
	}
	return 0;
}

/* The mapping starts at the file's start, because the offset need not be a multiple of the (huge) page size. */
static int map(struct guest_region *region, struct error *error)
{
	region->mapping = mmap(NULL, region->offset + region->size, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_NORESERVE, region->fd, 0);
	if (region->mapping == MAP_FAILED)
		return error_errno(error, errno, "map %llu bytes of guest memory", (unsigned long long)region->size);
	/* A core of the proxy is no place for a guest's memory. */
	madvise(region->mapping, region->offset + region->size, MADV_DONTDUMP);
	return 0;
}

int guest_memory_set(struct guest_memory *memory, const struct guest_region *regions, size_t count,
		     struct error *error)
{
	struct guest_memory made = {.kept = memory->kept, .changes = memory->changes, .count = count};
	int status;

	if (count == 0 || count > GUEST_MEMORY_REGIONS) {
		for (size_t i = 0; i < count; i++)
			fd_close(&(int){regions[i].fd});
		return error_set(error, EINVAL, "%zu memory regions, where 1 to %d are possible", count,
				 GUEST_MEMORY_REGIONS);
	}
	for (size_t i = 0; i < count; i++) {
		made.regions[i] = regions[i];
		made.regions[i].mapping = MAP_FAILED;
	}
	status = check(made.regions, count, error);
	for (size_t i = 0; i < count && status == 0 && !made.kept; i++)
		status = map(&made.regions[i], error);
	if (status < 0) {
		guest_memory_clear(&made);
		return status;
	}
	guest_memory_clear(memory);
	*memory = made;
	memory->changes++;
	status = memory->kept ? 0 : watch(memory, error);
	if (status < 0)
		guest_memory_clear(memory);
	return status;
}

void guest_memory_clear(struct guest_memory *memory)
{
	unwatch(memory);
	for (size_t i = 0; i < memory->count; i++) {
		struct guest_region *region = &memory->regions[i];

		if (region->mapping != MAP_FAILED)
			munmap(region->mapping, region->offset + region->size);
		fd_close(&region->fd);
	}
	memory->count = 0;
	memory->changes++;
}

/* ---- Looking up ---------------------------------------------------------------------------------------------- */

static void *region_byte(const struct guest_region *region, uint64_t offset)
{
	return (uint8_t *)region->mapping + region->offset + offset;
}

void *guest_memory_user(const struct guest_memory *memory, uint64_t address, uint64_t size)
{
	for (size_t i = 0; i < memory->count; i++) {
		const struct guest_region *region = &memory->regions[i];
		uint64_t offset = address - region->user_address;

		if (address >= region->user_address && offset < region->size && size <= region->size - offset)
			return region_byte(region, offset);
	}
	return NULL;
}

static const struct guest_region *region_of(const struct guest_memory *memory, uint64_t address)
{
	for (size_t i = 0; i < memory->count; i++) {
		const struct guest_region *region = &memory->regions[i];

		if (address >= region->guest_address && address - region->guest_address < region->size)
			return region;
	}
	return NULL;
}

void *guest_memory_at(const struct guest_memory *memory, uint64_t address, uint64_t size)
{
	const struct guest_region *region = region_of(memory, address);

	if (!region || size > region->size - (address - region->guest_address))
		return NULL;
	return region_byte(region, address - region->guest_address);
}

int guest_memory_parts(const struct guest_memory *memory, uint64_t address, uint64_t size, struct iovec *parts,
		       size_t room)
{
	size_t count = 0;

	while (size > 0) {
		const struct guest_region *region = region_of(memory, address);
		uint64_t offset, here;

		if (!region)
			return -EFAULT;
		if (count == room)
			return -ENOBUFS;
		offset = address - region->guest_address;
		here = region->size - offset < size ? region->size - offset : size;
		parts[count++] = (struct iovec){.iov_base = region_byte(region, offset), .iov_len = here};
		/* Can't wrap: a region ends below 2^64. */
		address += here;
		size -= here;
	}
	return (int)count;
}
