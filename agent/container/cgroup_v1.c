/* OCI resources as files of cgroup v1 (Documentation/admin-guide/cgroup-v1). 0 is unset, -1 no limit. Kernel memory isn't
 * limited: the kernel has given that up. */
#include <inttypes.h>

#include "agent/container/cgroup_parts.h"

#define SWAPPINESS_MAX 100

static void collect_cpu(struct cgroup_collector *collector, const Grpc__LinuxCPU *cpu)
{
	if (cpu->shares > 0)
		cgroup_collect(collector, CGROUP_REQUIRED, "cpu", "cpu.shares", "%" PRIu64, cpu->shares);
	if (cpu->period > 0)
		cgroup_collect(collector, CGROUP_REQUIRED, "cpu", "cpu.cfs_period_us", "%" PRIu64, cpu->period);
	cgroup_collect_limit(collector, CGROUP_REQUIRED, "cpu", "cpu.cfs_quota_us", cpu->quota, "-1");
	if (cpu->realtimeperiod > 0)
		cgroup_collect(collector, CGROUP_REQUIRED, "cpu", "cpu.rt_period_us", "%" PRIu64, cpu->realtimeperiod);
	if (cpu->realtimeruntime > 0)
		cgroup_collect(collector, CGROUP_REQUIRED, "cpu", "cpu.rt_runtime_us", "%" PRId64,
			       cpu->realtimeruntime);
}

static void collect_memory(struct cgroup_collector *collector, const Grpc__LinuxMemory *memory)
{
	if (memory->swappiness > SWAPPINESS_MAX)
		cgroup_collect_failure(collector, "swappiness %" PRIu64 " is out of range", memory->swappiness);
	cgroup_collect_limit(collector, CGROUP_REQUIRED, "memory", "memory.limit_in_bytes", memory->limit, "-1");
	cgroup_collect_limit(collector, CGROUP_REQUIRED, "memory", "memory.soft_limit_in_bytes", memory->reservation,
			     "-1");
	cgroup_collect_limit(collector, CGROUP_IF_PRESENT, "memory", "memory.memsw.limit_in_bytes", memory->swap, "-1");
	if (memory->kerneltcp > 0)
		cgroup_collect(collector, CGROUP_IF_PRESENT, "memory", "memory.kmem.tcp.limit_in_bytes", "%" PRId64,
			       memory->kerneltcp);
	if (memory->swappiness > 0)
		cgroup_collect(collector, CGROUP_IF_PRESENT, "memory", "memory.swappiness", "%" PRIu64,
			       memory->swappiness);
	if (memory->disableoomkiller)
		cgroup_collect(collector, CGROUP_REQUIRED, "memory", "memory.oom_control", "1");
}

static void collect_throttle(struct cgroup_collector *collector, const char *file, Grpc__LinuxThrottleDevice **devices,
			     size_t count)
{
	for (size_t i = 0; i < count; i++)
		cgroup_collect(collector, CGROUP_IF_POSSIBLE, "blkio", file, "%" PRId64 ":%" PRId64 " %" PRIu64,
			       devices[i]->major, devices[i]->minor, devices[i]->rate);
}

static void collect_io(struct cgroup_collector *collector, const Grpc__LinuxBlockIO *io)
{
	if (io->weight > 0)
		cgroup_collect(collector, CGROUP_IF_PRESENT, "blkio", "blkio.bfq.weight", "%u", io->weight);
	for (size_t i = 0; i < io->n_weightdevice; i++)
		cgroup_collect(collector, CGROUP_IF_POSSIBLE, "blkio", "blkio.bfq.weight_device",
			       "%" PRId64 ":%" PRId64 " %u", io->weightdevice[i]->major, io->weightdevice[i]->minor,
			       io->weightdevice[i]->weight);
	collect_throttle(collector, "blkio.throttle.read_bps_device", io->throttlereadbpsdevice,
			 io->n_throttlereadbpsdevice);
	collect_throttle(collector, "blkio.throttle.write_bps_device", io->throttlewritebpsdevice,
			 io->n_throttlewritebpsdevice);
	collect_throttle(collector, "blkio.throttle.read_iops_device", io->throttlereadiopsdevice,
			 io->n_throttlereadiopsdevice);
	collect_throttle(collector, "blkio.throttle.write_iops_device", io->throttlewriteiopsdevice,
			 io->n_throttlewriteiopsdevice);
}

static void collect_network(struct cgroup_collector *collector, const Grpc__LinuxNetwork *network)
{
	if (network->classid > 0)
		cgroup_collect(collector, CGROUP_REQUIRED, "net_cls", "net_cls.classid", "%u", network->classid);
	for (size_t i = 0; i < network->n_priorities; i++)
		cgroup_collect(collector, CGROUP_REQUIRED, "net_prio", "net_prio.ifpriomap", "%.64s %u",
			       network->priorities[i]->name, network->priorities[i]->priority);
}

void cgroup_collect_v1(struct cgroup_collector *collector, const Grpc__LinuxResources *resources)
{
	if (resources->cpu)
		collect_cpu(collector, resources->cpu);
	if (resources->memory)
		collect_memory(collector, resources->memory);
	if (resources->network)
		collect_network(collector, resources->network);
	if (resources->blockio)
		collect_io(collector, resources->blockio);
}
