/* OCI resources as files of cgroup v2 (Documentation/admin-guide/cgroup-v2.rst). 0 is unset, -1 no limit. What v2 has no
 * equal for (swappiness, kernel memory, real-time, network classes) is left out, as runc does. */
#include <inttypes.h>
#include <stdio.h>

#include "agent/container/cgroup_parts.h"
#include "agent/container/plan_extras.h"

#define SHARES_MIN 2u
#define SHARES_MAX 262144u
#define PERIOD_DEFAULT 100000

/* 2..262144 to 1..10000, as every runtime converts it. */
static uint64_t weight_of_shares(uint64_t shares)
{
	if (shares < SHARES_MIN)
		shares = SHARES_MIN;
	if (shares > SHARES_MAX)
		shares = SHARES_MAX;
	return 1 + (shares - SHARES_MIN) * 9999 / (SHARES_MAX - SHARES_MIN);
}

/* An idle cgroup has no weight, and is refused one. */
static void collect_cpu(struct cgroup_collector *collector, const Grpc__LinuxCPU *cpu)
{
	const struct plan_resource_extras *extras = collector->extras;
	uint64_t period = cpu->period > 0 ? cpu->period : PERIOD_DEFAULT;

	if (cpu->shares > 0 && !(extras->cpu_idle_given && extras->cpu_idle == 1))
		cgroup_collect(collector, CGROUP_REQUIRED, "cpu", "cpu.weight", "%" PRIu64,
			       weight_of_shares(cpu->shares));
	if (cpu->quota > 0)
		cgroup_collect(collector, CGROUP_REQUIRED, "cpu", "cpu.max", "%" PRId64 " %" PRIu64, cpu->quota,
			       period);
	else if (cpu->period > 0 || cpu->quota == CGROUP_UNLIMITED)
		cgroup_collect(collector, CGROUP_REQUIRED, "cpu", "cpu.max", "max %" PRIu64, period);
}

/* OCI's swap is memory and swap together; v2's is swap alone. */
static void collect_memory(struct cgroup_collector *collector, const Grpc__LinuxMemory *memory)
{
	int64_t swap = memory->swap;

	cgroup_collect_limit(collector, CGROUP_REQUIRED, "memory", "memory.max", memory->limit, "max");
	cgroup_collect_limit(collector, CGROUP_REQUIRED, "memory", "memory.low", memory->reservation, "0");
	if (swap == 0 && memory->limit == CGROUP_UNLIMITED)
		swap = CGROUP_UNLIMITED; /* a limit of both together is none without one of memory */
	if (swap > 0)
		cgroup_collect(collector, CGROUP_IF_PRESENT, "memory", "memory.swap.max", "%" PRId64,
			       swap - memory->limit);
	else
		cgroup_collect_limit(collector, CGROUP_IF_PRESENT, "memory", "memory.swap.max", swap, "max");
}

/* 10..1000 to 1..10000. */
static uint32_t weight_of_blkio(uint32_t weight)
{
	return weight < 10 ? 1 : 1 + (weight - 10) * 9999 / 990;
}

/* A rate of 0 is none, as it is for v1. */
static void collect_throttle(struct cgroup_collector *collector, const char *what, Grpc__LinuxThrottleDevice **devices,
			     size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char rate[24] = "max";

		if (devices[i]->rate > 0)
			snprintf(rate, sizeof(rate), "%" PRIu64, devices[i]->rate);
		cgroup_collect(collector, CGROUP_IF_POSSIBLE, "io", "io.max", "%" PRId64 ":%" PRId64 " %s=%s",
			       devices[i]->major, devices[i]->minor, what, rate);
	}
}

static void collect_io(struct cgroup_collector *collector, const Grpc__LinuxBlockIO *io)
{
	if (io->weight > 1000) {
		cgroup_collect_failure(collector, "block I/O weight %u is out of range", io->weight);
		return;
	}
	if (io->weight > 0) {
		cgroup_collect(collector, CGROUP_IF_PRESENT, "io", "io.bfq.weight", "%u", io->weight);
		cgroup_collect(collector, CGROUP_IF_PRESENT, "io", "io.weight", "default %u",
			       weight_of_blkio(io->weight));
	}
	for (size_t i = 0; i < io->n_weightdevice; i++) {
		const Grpc__LinuxWeightDevice *device = io->weightdevice[i];

		cgroup_collect(collector, CGROUP_IF_POSSIBLE, "io", "io.bfq.weight", "%" PRId64 ":%" PRId64 " %u",
			       device->major, device->minor, device->weight);
		cgroup_collect(collector, CGROUP_IF_POSSIBLE, "io", "io.weight", "%" PRId64 ":%" PRId64 " %u",
			       device->major, device->minor, weight_of_blkio(device->weight));
	}
	collect_throttle(collector, "rbps", io->throttlereadbpsdevice, io->n_throttlereadbpsdevice);
	collect_throttle(collector, "wbps", io->throttlewritebpsdevice, io->n_throttlewritebpsdevice);
	collect_throttle(collector, "riops", io->throttlereadiopsdevice, io->n_throttlereadiopsdevice);
	collect_throttle(collector, "wiops", io->throttlewriteiopsdevice, io->n_throttlewriteiopsdevice);
}

void cgroup_collect_v2(struct cgroup_collector *collector, const Grpc__LinuxResources *resources)
{
	if (resources->cpu)
		collect_cpu(collector, resources->cpu);
	if (resources->memory)
		collect_memory(collector, resources->memory);
	if (resources->blockio)
		collect_io(collector, resources->blockio);
}
