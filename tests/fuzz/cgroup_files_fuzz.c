/* What the files of a cgroup say: statistics, OOM counts, processes, of both versions. A container can put some of it there (the
 * names of hugetlb's pages can't, but device numbers and the sizes of all lists can). The first byte chooses the version; what
 * follows is what every file says. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/oom.h"
#include "agent/stats.h"
#include "lib/arena.h"
#include "tests/fuzz/fuzz.h"

#define MEMORY (4u << 20)

static const char *const names[] = {
	"cpu.stat", "cpuacct.usage", "cpuacct.usage_percpu", "cpuacct.stat", "memory.stat", "memory.current",
	"memory.max", "memory.peak", "memory.events", "memory.swap.current", "memory.swap.max", "memory.swap.events",
	"memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.limit_in_bytes", "memory.failcnt",
	"memory.oom_control", "memory.use_hierarchy", "memory.memsw.usage_in_bytes", "memory.kmem.usage_in_bytes",
	"pids.current", "pids.max", "io.stat", "blkio.io_service_bytes_recursive", "blkio.throttle.io_serviced",
	"blkio.bfq.io_queued_recursive", "hugetlb.2MB.current", "hugetlb.2MB.max", "hugetlb.1GB.usage_in_bytes",
	"cgroup.procs", "cgroup.events", "freezer.state",
};

static char directory[256];
static int file;

/* Before the filter is there, which lets nobody make folders. */
__attribute__((constructor)) static void make_files(void)
{
	const char *scratch = getenv("FUZZ_SCRATCH");
	char path[512];

	snprintf(directory, sizeof(directory), "%s/cgroup-XXXXXX", scratch ? scratch : "/tmp");
	promise(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/c", directory);
	promise(mkdir(path, 0700) == 0);
	snprintf(path, sizeof(path), "%s/text", directory);
	file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	promise(file >= 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/c/%s", directory, names[i]);
		promise(symlink("../text", path) == 0);
	}
}

static void watch_oom(const struct cgroup *cgroup)
{
	struct oom_events events = {0};
	struct oom_watch watch = {0};
	struct error error;
	struct loop loop;

	promise(loop_init(&loop) == 0);
	if (oom_watch(&watch, &events, &loop, cgroup, "c", &error) == 0)
		oom_look(&watch);
	oom_unwatch(&watch);
	promise(events.count <= OOM_CONTAINERS_MAX);
	oom_close(&events);
	fuzz_free_list(events.records);
	loop_destroy(&loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	struct cgroup_tree tree = {.hierarchy_count = 1};
	struct cgroup cgroup = {.tree = &tree, .path = "/c"};
	unsigned before = fuzz_count_fds();
	Grpc__CgroupStats stats;
	struct error error = {0};
	struct arena arena;
	pid_t pids[8];
	size_t count = sizeof(pids) / sizeof(pids[0]);
	uint8_t *packed;
	int status;

	tree.unified = fuzz_byte(&input) & 1;
	if (!tree.unified)
		strcpy(tree.hierarchies[0].controllers, "cpu,cpuacct,memory,pids,blkio,hugetlb,freezer");
	snprintf(tree.hierarchies[0].mount, sizeof(tree.hierarchies[0].mount), "%s", directory);
	promise(ftruncate(file, 0) == 0 && pwrite(file, input.data, input.size, 0) == (ssize_t)input.size);
	arena_init(&arena, 0, MEMORY);
	status = stats_read(&stats, &arena, &cgroup, &error);
	promise(status == 0 || *error.text);
	if (status == 0) {
		packed = malloc(grpc__cgroup_stats__get_packed_size(&stats) + 1);
		grpc__cgroup_stats__pack(&stats, packed);
		free(packed);
	}
	arena_free(&arena);
	cgroup_processes(&cgroup, pids, &count, &error);
	watch_oom(&cgroup);
	fuzz_check_fds(before);
	return 0;
}
