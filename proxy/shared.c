/* The memory of keeper and workers. */
#include "proxy/shared.h"

#include <sys/mman.h>

static size_t size_of(size_t connections)
{
	return sizeof(struct shared) + connections * sizeof(uint64_t);
}

struct shared *shared_new(size_t connections)
{
	struct shared *shared = mmap(NULL, size_of(connections), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		return NULL;
	shared->ledger.size = (uint32_t)connections;
	return shared;
}

void shared_free(struct shared *shared)
{
	if (shared)
		munmap(shared, size_of(shared->ledger.size));
}
