// uses: agent/container/cgroup.c agent/container/cgroup_limits.c agent/container/cgroup_v1.c
// uses: agent/container/cgroup_v2.c agent/container/cgroup_extras.c agent/container/device_rules.c
// uses: lib/arena.c lib/error.c lib/fd.c
/* Cgroup paths, limits as files, and the device policy: the BPF program is run here by a small interpreter. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include "agent/container/plan_extras.h"

/* For the program, which otherwise only the kernel sees. */
#include "agent/container/device_filter.c"

static const struct cgroup_tree unified = {
	.unified = true,
	.hierarchy_count = 1,
	.hierarchies = {{"", "/sys/fs/cgroup"}},
};
static const struct cgroup_tree separate = {
	.hierarchy_count = 1,
	.hierarchies = {{"cpu,cpuacct", "/sys/fs/cgroup/cpu"}},
};

static void test_paths(void **state)
{
	static const char *const bad[] = {"/", "/a//b", "/a/../b", "..", "/.", "a/", "/a/.", "/a/\n"};
	struct cgroup cgroup;
	char text[CGROUP_PATH_SIZE + 10];

	(void)state;
	assert_int_equal(cgroup_init(&cgroup, &unified, "", "c1", NULL), 0);
	assert_string_equal(cgroup.path, "/c1");
	assert_int_equal(cgroup_init(&cgroup, &unified, "/kubepods/pod1/c1", "c1", NULL), 0);
	assert_string_equal(cgroup.path, "/kubepods/pod1/c1");
	assert_int_equal(cgroup_init(&cgroup, &unified, "system.slice:docker:c1", "c1", NULL), 0);
	assert_string_equal(cgroup.path, "/system.slice/docker/c1");
	for (size_t i = 0; i < array_size(bad); i++)
		assert_int_equal(cgroup_init(&cgroup, &unified, bad[i], "c1", NULL), -EINVAL);
	memset(text, 'a', sizeof(text));
	text[300] = '\0';
	assert_int_equal(cgroup_init(&cgroup, &unified, text, "c1", NULL), -EINVAL);
	text[300] = 'a';
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(cgroup_init(&cgroup, &unified, text, "c1", NULL), -EINVAL);
}

static const char *value_of(const struct cgroup_limits *limits, const char *file)
{
	for (size_t i = 0; i < limits->setting_count; i++)
		if (strcmp(limits->settings[i].file, file) == 0)
			return limits->settings[i].value;
	return "";
}

static void test_limits(void **state)
{
	Grpc__LinuxResources resources = GRPC__LINUX_RESOURCES__INIT;
	Grpc__LinuxCPU cpu = GRPC__LINUX_CPU__INIT;
	Grpc__LinuxMemory memory = GRPC__LINUX_MEMORY__INIT;
	Grpc__LinuxPids pids = GRPC__LINUX_PIDS__INIT;
	Grpc__LinuxHugepageLimit page = GRPC__LINUX_HUGEPAGE_LIMIT__INIT, *pages[] = {&page};
	struct cgroup_limits limits;
	struct error error;
	struct arena arena;

	(void)state;
	arena_init(&arena, ARENA_FORK, 1 << 20);
	resources.cpu = &cpu;
	resources.memory = &memory;
	resources.pids = &pids;
	cpu.quota = memory.limit = memory.swap = pids.limit = -2; /* unset */
	assert_int_equal(cgroup_limits_plan(&limits, &arena, &unified, &resources, NULL, &error), 0);
	assert_int_equal(limits.setting_count, 0);

	cpu.quota = memory.limit = memory.swap = pids.limit = -1; /* no limit */
	assert_int_equal(cgroup_limits_plan(&limits, &arena, &unified, &resources, NULL, &error), 0);
	assert_string_equal(value_of(&limits, "cpu.max"), "max 100000");
	assert_string_equal(value_of(&limits, "memory.max"), "max");
	assert_string_equal(value_of(&limits, "memory.swap.max"), "max");
	assert_string_equal(value_of(&limits, "pids.max"), "max");
	assert_int_equal(cgroup_limits_plan(&limits, &arena, &separate, &resources, NULL, &error), 0);
	assert_string_equal(value_of(&limits, "cpu.cfs_quota_us"), "-1");
	assert_string_equal(value_of(&limits, "memory.limit_in_bytes"), "-1");
	assert_string_equal(value_of(&limits, "pids.max"), "max");

	cpu.shares = 1024;
	cpu.quota = 50000;
	memory.limit = 1000;
	memory.swap = 3000;
	memory.reservation = 500;
	pids.limit = 7;
	resources.hugepagelimits = pages;
	resources.n_hugepagelimits = 1;
	page.pagesize = "2MB";
	page.limit = 4096;
	assert_int_equal(cgroup_limits_plan(&limits, &arena, &unified, &resources, NULL, &error), 0);
	assert_string_equal(value_of(&limits, "cpu.weight"), "39");
	assert_string_equal(value_of(&limits, "cpu.max"), "50000 100000");
	assert_string_equal(value_of(&limits, "memory.max"), "1000");
	assert_string_equal(value_of(&limits, "memory.swap.max"), "2000");
	assert_string_equal(value_of(&limits, "memory.low"), "500");
	assert_string_equal(value_of(&limits, "pids.max"), "7");
	assert_string_equal(value_of(&limits, "hugetlb.2MB.max"), "4096");
	assert_string_equal(value_of(&limits, "hugetlb.2MB.rsvd.max"), "4096");
	assert_int_equal(cgroup_limits_plan(&limits, &arena, &separate, &resources, NULL, &error), 0);
	assert_string_equal(value_of(&limits, "cpu.shares"), "1024");
	assert_string_equal(value_of(&limits, "cpu.cfs_quota_us"), "50000");
	assert_string_equal(value_of(&limits, "memory.memsw.limit_in_bytes"), "3000");

	page.pagesize = "../../x";
	assert_int_equal(cgroup_limits_plan(&limits, &arena, &unified, &resources, NULL, &error), -EINVAL);
	page.pagesize = "2MB";
	memory.swap = 10;
	assert_int_equal(cgroup_limits_plan(&limits, &arena, &unified, &resources, NULL, &error), -EINVAL);
	arena_free(&arena);
}

/* What only config.json can say. */
static void test_extras(void **state)
{
	static const char *const bad[] = {"cgroup.procs", "cgroup.freeze", "memory", ".high", "memory.", "memory..high",
					  "../memory.max", "memory.max/", "a/memory.max", "memory.hi gh", ""};
	Grpc__LinuxResources resources = GRPC__LINUX_RESOURCES__INIT;
	Grpc__LinuxCPU cpu = GRPC__LINUX_CPU__INIT;
	Grpc__LinuxMemory memory = GRPC__LINUX_MEMORY__INIT;
	struct plan_unified files[] = {{"io.max", "8:0 rbps=1\n8:16 wbps=2\n"}, {"memory.high", "7"}};
	struct plan_rdma rdma = {.device = "mlx5_0", .handles_given = true, .objects_given = true, .handles = 3};
	struct plan_resource_extras extras = {
		.cpu_idle_given = true,
		.cpu_idle = 1,
		.cpu_burst_given = true,
		.cpu_burst = 2000,
		.rdma = &rdma,
		.rdma_count = 1,
	};
	struct cgroup_limits limits;
	struct error error;
	struct arena arena;

	(void)state;
	arena_init(&arena, ARENA_FORK, 1 << 20);
	resources.cpu = &cpu;
	resources.memory = &memory;
	cpu.shares = 1024;
	memory.limit = 4096;
	assert_int_equal(cgroup_limits_plan(&limits, &arena, &unified, &resources, &extras, &error), 0);
	assert_string_equal(value_of(&limits, "cpu.idle"), "1");
	assert_string_equal(value_of(&limits, "cpu.weight"), ""); /* refused beside it */
	assert_string_equal(value_of(&limits, "cpu.max.burst"), "2000");
	assert_string_equal(value_of(&limits, "rdma.max"), "mlx5_0 hca_handle=3 hca_object=0");
	assert_int_equal(cgroup_limits_plan(&limits, &arena, &separate, &resources, &extras, &error), 0);
	assert_string_equal(value_of(&limits, "cpu.idle"), "1");
	assert_string_equal(value_of(&limits, "cpu.cfs_burst_us"), "2000");

	/* One line a write, the named files after everything else. */
	extras.unified = files;
	extras.unified_count = 2;
	assert_int_equal(cgroup_limits_plan(&limits, &arena, &unified, &resources, &extras, &error), 0);
	assert_string_equal(limits.settings[limits.setting_count - 3].value, "8:0 rbps=1");
	assert_string_equal(limits.settings[limits.setting_count - 2].value, "8:16 wbps=2");
	assert_string_equal(limits.settings[limits.setting_count - 1].controller, "memory");
	assert_string_equal(limits.settings[limits.setting_count - 1].file, "memory.high");
	assert_int_equal(cgroup_limits_plan(&limits, &arena, &separate, &resources, &extras, &error), -EINVAL);
	for (size_t i = 0; i < array_size(bad); i++) {
		files[1].file = bad[i];
		assert_int_equal(cgroup_limits_plan(&limits, &arena, &unified, &resources, &extras, &error), -EINVAL);
	}
	extras.unified_count = 0;
	extras.cpu_idle = 2;
	assert_int_equal(cgroup_limits_plan(&limits, &arena, &unified, &resources, &extras, &error), -EINVAL);
	extras.cpu_idle = 0;
	rdma.device = "mlx5_0 hca_handle=9";
	assert_int_equal(cgroup_limits_plan(&limits, &arena, &unified, &resources, &extras, &error), -EINVAL);
	arena_free(&arena);
}

/* Runs the program as the kernel does for one access: only the instructions that it uses. */
static uint64_t run(const struct program *program, uint32_t type, uint32_t access, uint32_t major, uint32_t minor)
{
	const struct bpf_cgroup_dev_ctx context = {.access_type = access << 16 | type, .major = major, .minor = minor};
	uint64_t registers[11] = {0};

	for (size_t next = 0; next < program->length; next++) {
		const struct bpf_insn *code = &program->code[next];
		uint64_t *to = &registers[code->dst_reg];
		uint64_t value = (uint64_t)(int64_t)code->imm;

		switch (code->code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			*to = *(const uint32_t *)((const char *)&context + code->off);
			break;
		case BPF_ALU64 | BPF_MOV | BPF_X:
			*to = registers[code->src_reg];
			break;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			*to = value;
			break;
		case BPF_ALU64 | BPF_AND | BPF_K:
			*to &= value;
			break;
		case BPF_ALU64 | BPF_AND | BPF_X:
			*to &= registers[code->src_reg];
			break;
		case BPF_ALU64 | BPF_OR | BPF_K:
			*to |= value;
			break;
		case BPF_ALU64 | BPF_OR | BPF_X:
			*to |= registers[code->src_reg];
			break;
		case BPF_ALU64 | BPF_XOR | BPF_K:
			*to ^= value;
			break;
		case BPF_ALU64 | BPF_XOR | BPF_X:
			*to ^= registers[code->src_reg];
			break;
		case BPF_ALU64 | BPF_SUB | BPF_K:
			*to -= value;
			break;
		case BPF_ALU64 | BPF_NEG:
			*to = -*to;
			break;
		case BPF_ALU64 | BPF_LSH | BPF_K:
			*to <<= value;
			break;
		case BPF_ALU64 | BPF_RSH | BPF_K:
			*to >>= value;
			break;
		case BPF_ALU64 | BPF_ARSH | BPF_K:
			*to = (uint64_t)((int64_t)*to >> value);
			break;
		case BPF_LD | BPF_IMM | BPF_DW:
			*to = (uint32_t)code->imm | (uint64_t)(uint32_t)program->code[++next].imm << 32;
			break;
		case BPF_JMP | BPF_EXIT:
			return registers[0];
		default:
			fail_msg("instruction %#x", code->code);
		}
	}
	fail_msg("the program has no end");
	return 0;
}

#define READ BPF_DEVCG_ACC_READ
#define WRITE BPF_DEVCG_ACC_WRITE
#define MAKE BPF_DEVCG_ACC_MKNOD
#define CHAR BPF_DEVCG_DEV_CHAR
#define BLOCK BPF_DEVCG_DEV_BLOCK

static void plan_rules(struct cgroup_limits *limits, struct arena *arena, const struct cgroup_tree *tree,
		       Grpc__LinuxDeviceCgroup **rules, size_t count)
{
	Grpc__LinuxResources resources = GRPC__LINUX_RESOURCES__INIT;

	resources.devices = rules;
	resources.n_devices = count;
	assert_int_equal(cgroup_limits_plan(limits, arena, tree, &resources, NULL, NULL), 0);
}

static void test_filter(void **state)
{
	Grpc__LinuxDeviceCgroup everything = GRPC__LINUX_DEVICE_CGROUP__INIT, disk = GRPC__LINUX_DEVICE_CGROUP__INIT,
				no_write = GRPC__LINUX_DEVICE_CGROUP__INIT;
	Grpc__LinuxDeviceCgroup *list[] = {&everything, &disk, &no_write};
	struct cgroup_tree tree = unified;
	struct cgroup_limits limits;
	static struct program program;
	struct arena arena;

	(void)state;
	arena_init(&arena, ARENA_FORK, 1 << 20);

	/* Defaults only. */
	plan_rules(&limits, &arena, &tree, NULL, 0);
	build_program(&program, &limits);
	assert_int_equal(run(&program, CHAR, READ | WRITE, 1, 3), 1);
	assert_int_equal(run(&program, CHAR, READ | WRITE, 136, 77), 1);
	assert_int_equal(run(&program, CHAR, MAKE, 99, 99), 1);
	assert_int_equal(run(&program, BLOCK, MAKE, 254, 0), 1);
	assert_int_equal(run(&program, BLOCK, READ, 254, 0), 0);
	assert_int_equal(run(&program, BLOCK, READ | MAKE, 254, 0), 0);
	assert_int_equal(run(&program, BLOCK, READ, 1, 3), 0);
	assert_int_equal(run(&program, CHAR, READ, 1, 11), 0);
	assert_int_equal(run(&program, CHAR, READ, 136, 0), 1);
	assert_int_equal(run(&program, CHAR, READ, 3, 1), 0);
	/* Nothing that is read, written or made: by some rule about the device. */
	assert_int_equal(run(&program, CHAR, 0, 99, 99), 1);

	/* The last rule about a kind of access counts; minor 0 is a device and not "any". */
	everything.access = "rwm";
	disk.allow = 1;
	disk.type = "b";
	disk.major = 254;
	disk.access = "rwm";
	no_write = disk;
	no_write.allow = 0;
	no_write.access = "w";
	plan_rules(&limits, &arena, &tree, list, 3);
	build_program(&program, &limits);
	assert_int_equal(run(&program, BLOCK, READ, 254, 0), 1);
	assert_int_equal(run(&program, BLOCK, WRITE, 254, 0), 0);
	assert_int_equal(run(&program, BLOCK, READ | WRITE, 254, 0), 0);
	assert_int_equal(run(&program, BLOCK, READ, 254, 16), 0);
	assert_int_equal(run(&program, BLOCK, READ | MAKE, 254, 0), 1);

	/* All is given, and still not the guest's own disk. */
	everything.allow = 1;
	tree.guest_disks[0] = makedev(254, 1);
	plan_rules(&limits, &arena, &tree, list, 1);
	build_program(&program, &limits);
	assert_int_equal(run(&program, BLOCK, READ | WRITE, 8, 0), 1);
	assert_int_equal(run(&program, CHAR, READ, 1, 11), 1);
	assert_int_equal(run(&program, BLOCK, READ, 254, 1), 0);
	assert_int_equal(run(&program, BLOCK, WRITE, 254, 1), 0);
	arena_free(&arena);
}

static void test_rules_refused(void **state)
{
	Grpc__LinuxDeviceCgroup rule = GRPC__LINUX_DEVICE_CGROUP__INIT, *list[] = {&rule};
	Grpc__LinuxResources resources = GRPC__LINUX_RESOURCES__INIT;
	struct cgroup_tree tree = separate;
	struct cgroup_limits limits;
	struct arena arena;

	(void)state;
	arena_init(&arena, ARENA_FORK, 1 << 20);
	resources.devices = list;
	resources.n_devices = 1;
	rule.type = "x";
	assert_int_equal(cgroup_limits_plan(&limits, &arena, &tree, &resources, NULL, NULL), -EINVAL);
	rule.type = "b";
	rule.access = "rx";
	assert_int_equal(cgroup_limits_plan(&limits, &arena, &tree, &resources, NULL, NULL), -EINVAL);
	/* v1 can't take one disk out of all of them. */
	rule.allow = 1;
	rule.access = "r";
	rule.minor = -1;
	tree.guest_disks[0] = makedev(254, 1);
	assert_int_equal(cgroup_limits_plan(&limits, &arena, &tree, &resources, NULL, NULL), -EINVAL);
	rule.major = 8;
	assert_int_equal(cgroup_limits_plan(&limits, &arena, &tree, &resources, NULL, NULL), 0);
	/* "a" with numbers isn't everything. */
	rule.type = "a";
	assert_int_equal(cgroup_limits_plan(&limits, &arena, &tree, &resources, NULL, NULL), 0);
	for (size_t i = 0; i < limits.rule_count; i++)
		assert_true(limits.rules[i].type != 'a');
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_extras),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_rules_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
