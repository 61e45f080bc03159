// uses: agent/container/plan.c agent/container/hooks_plan.c agent/container/plan_mounts.c agent/container/plan_devices.c agent/container/plan_path.c
// uses: agent/container/plan_labels.c agent/container/plan_mappings.c agent/container/plan_process_extras.c
// uses: agent/container/plan_process.c agent/container/plan_sysctls.c agent/container/capabilities.c
// uses: agent/container/seccomp.c agent/container/cgroup.c agent/container/cgroup_limits.c agent/container/cgroup_extras.c agent/container/cgroup_v1.c
// uses: agent/container/cgroup_v2.c agent/container/device_rules.c agent/container/device_filter.c
// uses: lib/arena.c lib/error.c lib/fd.c lib/log.c
/* Planning: what a spec becomes, and what is refused, by name. */
#include <errno.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include "agent/container/plan.h"
#include "lib/cleanup.h"

#define ARENA_LIMIT (4u << 20)

/* A spec that is right, and whose parts a test changes. */
struct fixture {
	Grpc__Spec spec;
	Grpc__Process process;
	Grpc__Root root;
	Grpc__Linux linux;
	Grpc__LinuxNamespace namespaces[4];
	Grpc__LinuxNamespace *namespace_list[5];
	Grpc__Mount mount;
	Grpc__Mount *mount_list[1];
	struct cgroup_tree tree;
	struct cgroup cgroup;
	struct boot_limits limits;
	struct plan_parameters parameters;
	struct arena arena;
	struct plan plan;
	struct error error;
};

static int setup(void **state)
{
	static const char *const kinds[] = {"mount", "ipc", "uts", "pid"};
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	grpc__spec__init(&fixture->spec);
	grpc__process__init(&fixture->process);
	grpc__root__init(&fixture->root);
	grpc__linux__init(&fixture->linux);
	grpc__mount__init(&fixture->mount);
	for (size_t i = 0; i < array_size(kinds); i++) {
		grpc__linux_namespace__init(&fixture->namespaces[i]);
		fixture->namespaces[i].type = (char *)kinds[i];
		fixture->namespace_list[i] = &fixture->namespaces[i];
	}
	fixture->linux.namespaces = fixture->namespace_list;
	fixture->linux.n_namespaces = array_size(kinds);
	fixture->root.path = "/run/kata-containers/c/rootfs";
	fixture->spec.process = &fixture->process;
	fixture->spec.root = &fixture->root;
	fixture->spec.linux = &fixture->linux;
	fixture->mount_list[0] = &fixture->mount;
	fixture->tree = (struct cgroup_tree){
		.unified = true,
		.hierarchy_count = 1,
		.hierarchies = {{"", "/sys/fs/cgroup"}},
	};
	cgroup_init(&fixture->cgroup, &fixture->tree, "", "c", NULL);
	boot_limits_read(&fixture->limits);
	fixture->parameters = (struct plan_parameters){
		.id = "c",
		.bundle = "/run/kata-containers/c",
		.hooks = {.id = "c", .bundle = "/run/kata-containers/c"},
		.ipc_namespace = -1,
		.uts_namespace = -1,
		.pid_namespace = -1,
		.cgroup = &fixture->cgroup,
		.limits = &fixture->limits,
	};
	arena_init(&fixture->arena, ARENA_FORK, ARENA_LIMIT);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	arena_free(&fixture->arena);
	free(fixture);
	return 0;
}

static int plan(struct fixture *fixture)
{
	fixture->error.text[0] = '\0';
	return plan_container(&fixture->plan, &fixture->arena, &fixture->spec, &fixture->parameters, &fixture->error);
}

static void assert_refused(struct fixture *fixture, const char *word)
{
	assert_int_equal(plan(fixture), -EINVAL);
	if (!strstr(fixture->error.text, word))
		fail_msg("\"%s\" doesn't say \"%s\"", fixture->error.text, word);
}

static void set_mount(struct fixture *fixture, const char *type, const char *source, const char *target, char **options,
		      size_t count)
{
	fixture->mount.type = (char *)type;
	fixture->mount.source = (char *)source;
	fixture->mount.destination = (char *)target;
	fixture->mount.options = options;
	fixture->mount.n_options = count;
	fixture->spec.mounts = fixture->mount_list;
	fixture->spec.n_mounts = 1;
}

static void test_defaults(void **state)
{
	struct fixture *fixture = *state;
	const struct plan *result = &fixture->plan;

	assert_int_equal(plan(fixture), 0);
	assert_string_equal(result->process.arguments[0], "sh");
	assert_null(result->process.arguments[1]);
	assert_string_equal(result->process.directory, "/");
	assert_true(result->process.home_wanted);
	assert_int_equal(result->process.oom_score_adjust, 0);
	assert_int_equal(result->process.capabilities.bounding, 0);
	assert_int_equal(result->root_propagation, 0);
	assert_int_equal(result->namespaces[PLAN_PID].mode, PLAN_NAMESPACE_NEW);
	assert_int_equal(result->namespaces[PLAN_NETWORK].mode, PLAN_NAMESPACE_KEEP);
	assert_int_equal(result->namespaces[PLAN_CGROUP].mode, PLAN_NAMESPACE_NEW);
	assert_int_equal(result->device_count, 6);
	/* A helper has nothing of the agent's memory but the arena. */
	assert_ptr_not_equal(result->cgroup, &fixture->cgroup);
	assert_true(arena_touches(&fixture->arena, result->cgroup->tree, result->cgroup->tree + 1));
}

static void test_shared_namespaces(void **state)
{
	struct fixture *fixture = *state;

	fixture->parameters.ipc_namespace = 10;
	fixture->parameters.uts_namespace = 11;
	fixture->parameters.pid_namespace = 12;
	fixture->parameters.procfs = "/run/x";
	fixture->spec.hostname = "name";
	assert_int_equal(plan(fixture), 0);
	assert_int_equal(fixture->plan.namespaces[PLAN_IPC].fd, 10);
	assert_int_equal(fixture->plan.namespaces[PLAN_UTS].fd, 11);
	assert_int_equal(fixture->plan.namespaces[PLAN_PID].fd, 12);
	assert_int_equal(fixture->plan.namespaces[PLAN_PID].mode, PLAN_NAMESPACE_JOIN);
	assert_null(fixture->plan.hostname); /* the sandbox's stays */

	/* One that isn't listed is the guest's, but for the pid namespace. */
	fixture->linux.n_namespaces = 1;
	fixture->spec.hostname = "";
	assert_int_equal(plan(fixture), 0);
	assert_int_equal(fixture->plan.namespaces[PLAN_IPC].mode, PLAN_NAMESPACE_KEEP);
	assert_int_equal(fixture->plan.namespaces[PLAN_PID].mode, PLAN_NAMESPACE_JOIN);
}

static void test_namespace_rules(void **state)
{
	struct fixture *fixture = *state;
	Grpc__LinuxNamespace more = GRPC__LINUX_NAMESPACE__INIT;

	fixture->linux.n_namespaces = 0;
	assert_refused(fixture, "cannot find the pid ns");
	fixture->linux.n_namespaces = 5;
	fixture->namespace_list[4] = &more;
	more.type = "nothing";
	assert_refused(fixture, "\"nothing\"");
	more.type = "time";
	assert_int_equal(plan(fixture), 0);
	assert_int_equal(fixture->plan.namespaces[PLAN_TIME].mode, PLAN_NAMESPACE_NEW);
	more.type = "ipc";
	assert_refused(fixture, "twice");
	more.type = "mnt"; /* as the Rust runtime has it */
	assert_refused(fixture, "twice");
	more.type = "user";
	assert_refused(fixture, "mappings");
	fixture->linux.n_namespaces = 4;
	fixture->namespaces[0].type = "network";
	assert_refused(fixture, "mount namespace");
	fixture->namespaces[0].type = "mount";
	fixture->namespaces[2].type = "network";
	fixture->spec.hostname = "name";
	assert_refused(fixture, "hostname");
}

static void test_mount_options(void **state)
{
	struct fixture *fixture = *state;
	char *options[] = {"nosuid", "ro", "rw", "ro", "noatime", "strictatime", "size=1m", "mode=755", "rslave"};
	const struct plan_mount *mount;

	set_mount(fixture, "tmpfs", "tmpfs", "//a/./b/", options, array_size(options));
	assert_int_equal(plan(fixture), 0);
	mount = &fixture->plan.mounts[0];
	assert_int_equal(mount->kind, PLAN_MOUNT_FILESYSTEM);
	assert_string_equal(mount->target, "/a/b");
	assert_string_equal(mount->data, "size=1m,mode=755");
	assert_int_equal(mount->flags, MS_NOSUID | MS_RDONLY | MS_STRICTATIME);
	assert_int_equal(mount->propagation, MS_SLAVE | MS_REC);
}

static void test_bind(void **state)
{
	struct fixture *fixture = *state;
	char *options[] = {"rbind", "exec", "ro"};
	const struct plan_mount *mount;

	set_mount(fixture, "none", "/src", "/dst", options, array_size(options));
	assert_int_equal(plan(fixture), 0);
	mount = &fixture->plan.mounts[0];
	assert_int_equal(mount->kind, PLAN_MOUNT_BIND);
	assert_true(mount->recursive);
	assert_int_equal(mount->flags, MS_RDONLY);
	assert_int_equal(mount->clear, MS_NOEXEC);
	fixture->mount.source = "src";
	assert_refused(fixture, "absolute");
}

static void test_dev_is_made_readonly_at_the_end(void **state)
{
	struct fixture *fixture = *state;
	char *options[] = {"ro"};

	set_mount(fixture, "tmpfs", "tmpfs", "/dev", options, 1);
	assert_int_equal(plan(fixture), 0);
	assert_true(fixture->plan.dev_readonly);
	assert_false(fixture->plan.dev_is_bind);
	assert_int_equal(fixture->plan.mounts[0].flags, 0);
}

static void test_bad_mounts(void **state)
{
	struct fixture *fixture = *state;
	static const struct {
		const char *type, *target, *option, *word;
	} cases[] = {
		{"tmpfs", "", "ro", "absolute"},		{"tmpfs", "/a/../b", "ro", ".."},
		{"tmpfs", "/", "ro", "root"},			{"tmpfs", "/proc", "ro", "inside /proc"},
		{"tmpfs", "/proc/sys", "ro", "inside /proc"}, {"bind", "/proc/self/attr", "bind", "inside /proc"},
		{"", "/x", "ro", "no type"},			{"tmpfs", "/x", "idmap", "only a bind"},
		{"bind", "/x", "idmap", "user namespace"},  {"bind", "/x", "tmpcopyup", "tmpcopyup"},
		{"tmpfs", "x/..", "ro", ".."},				{"proc", "/proc/x", "ro", "inside /proc"},
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		char *options[] = {(char *)cases[i].option};

		set_mount(fixture, cases[i].type, "/src", cases[i].target, options, 1);
		assert_refused(fixture, cases[i].word);
	}
	/* What lxcfs and its like put there. */
	set_mount(fixture, "bind", "/src", "/proc/meminfo", NULL, 0);
	assert_int_equal(plan(fixture), 0);
	set_mount(fixture, "proc", "proc", "/proc", NULL, 0);
	assert_int_equal(plan(fixture), 0);
	assert_int_equal(fixture->plan.mounts[0].kind, PLAN_MOUNT_PROC);
}

static void test_mount_data_is_bounded(void **state)
{
	struct fixture *fixture = *state;
	char *options[600];

	for (size_t i = 0; i < array_size(options); i++)
		options[i] = "option=1";
	set_mount(fixture, "tmpfs", "tmpfs", "/x", options, array_size(options));
	assert_refused(fixture, "4095");
}

static void test_devices(void **state)
{
	struct fixture *fixture = *state;
	Grpc__LinuxDevice device = GRPC__LINUX_DEVICE__INIT;
	Grpc__LinuxDevice *list[] = {&device};
	const struct plan_device *null = NULL;

	device.path = "/dev/null";
	device.type = "c";
	device.major = 1;
	device.minor = 3;
	device.filemode = 0600;
	device.uid = 5;
	fixture->linux.devices = list;
	fixture->linux.n_devices = 1;
	assert_int_equal(plan(fixture), 0);
	assert_int_equal(fixture->plan.device_count, 6); /* it has taken the default one's place */
	null = &fixture->plan.devices[0];
	assert_int_equal(null->mode, S_IFCHR | 0600);
	assert_int_equal(null->number, makedev(1, 3));
	assert_int_equal(null->uid, 5);
	device.path = "/dev/x/y";
	assert_int_equal(plan(fixture), 0);
	assert_int_equal(fixture->plan.device_count, 7);

	device.path = "/";
	assert_refused(fixture, "root");
	device.path = "/dev/../x";
	assert_refused(fixture, "..");
	device.path = "/dev/x";
	device.type = "z";
	assert_refused(fixture, "type");
	device.type = "b";
	device.major = 1 << 13;
	assert_refused(fixture, "number");
	device.major = -1;
	assert_refused(fixture, "number");
	device.major = 1;
	device.filemode = 04755;
	assert_refused(fixture, "mode");
}

static void test_sysctls(void **state)
{
	struct fixture *fixture = *state;
	Grpc__Linux__SysctlEntry entry = GRPC__LINUX__SYSCTL_ENTRY__INIT;
	Grpc__Linux__SysctlEntry *list[] = {&entry};
	static const char *const bad[] = {"kernel.core_pattern", "kernel.hostname", "kernel.msgmax.x", "net/x",
					  "net.ipv4..x",	 "net.ipv4.",	    "vm.swappiness",   "net.\n"};

	fixture->linux.sysctl = list;
	fixture->linux.n_sysctl = 1;
	entry.value = "1";
	entry.key = "net.ipv4.ip_forward";
	assert_int_equal(plan(fixture), 0);
	assert_string_equal(fixture->plan.sysctls[0].path, "net/ipv4/ip_forward");
	entry.key = "kernel.shmmax";
	assert_int_equal(plan(fixture), 0);
	for (size_t i = 0; i < array_size(bad); i++) {
		entry.key = (char *)bad[i];
		assert_refused(fixture, "sysctl");
	}
	entry.key = "kernel.shmmax";
	fixture->namespaces[1].type = "network";
	assert_refused(fixture, "namespace of its own");
}

static void test_environment(void **state)
{
	struct fixture *fixture = *state;
	char *environment[] = {"A=1", " B=2\n", "none", "=x", "A=3", "PATH=/x:/y", "AB=4", ""};
	const struct plan_process *process = &fixture->plan.process;

	fixture->process.env = environment;
	fixture->process.n_env = array_size(environment);
	assert_int_equal(plan(fixture), 0);
	assert_int_equal(process->environment_count, 4);
	assert_string_equal(process->environment[0], "B=2");
	assert_string_equal(process->environment[1], "A=3"); /* the last of a name counts */
	assert_string_equal(process->environment[2], "PATH=/x:/y");
	assert_string_equal(process->environment[3], "AB=4");
	assert_null(process->environment[4]);
	assert_string_equal(process->search_path, "/x:/y");
	environment[0] = "HOME=/h";
	assert_int_equal(plan(fixture), 0);
	assert_false(process->home_wanted);
}

static void test_long_environment(void **state)
{
	struct fixture *fixture = *state;
	const size_t count = 60000;
	cleanup_free char **environment = calloc(count, sizeof(*environment));

	for (size_t i = 0; i < count; i++)
		environment[i] = "SAME=1";
	fixture->process.env = environment;
	fixture->process.n_env = count;
	assert_int_equal(plan(fixture), 0);
	assert_int_equal(fixture->plan.process.environment_count, 1);
}

static void test_limits(void **state)
{
	struct fixture *fixture = *state;
	Grpc__POSIXRlimit limit = GRPC__POSIXRLIMIT__INIT;
	Grpc__POSIXRlimit *list[] = {&limit, &limit};

	limit.type = "RLIMIT_NOFILE";
	limit.soft = 10;
	limit.hard = 20;
	fixture->process.rlimits = list;
	fixture->process.n_rlimits = 1;
	assert_int_equal(plan(fixture), 0);
	assert_int_equal(fixture->plan.process.limits[RLIMIT_NOFILE].value.rlim_cur, 10);
	assert_int_equal(fixture->plan.process.limits[RLIMIT_CORE].value.rlim_max,
			 fixture->limits.limits[RLIMIT_CORE].rlim_max);
	fixture->process.n_rlimits = 2;
	assert_refused(fixture, "twice");
	fixture->process.n_rlimits = 1;
	limit.soft = 21;
	assert_refused(fixture, "soft");
	limit.type = "RLIMIT_NONSENSE";
	assert_refused(fixture, "RLIMIT_NONSENSE");
}

static void test_capabilities(void **state)
{
	struct fixture *fixture = *state;
	Grpc__LinuxCapabilities capabilities = GRPC__LINUX_CAPABILITIES__INIT;
	char *names[] = {"CAP_CHOWN", "CAP_KILL"};

	capabilities.bounding = names;
	capabilities.n_bounding = 2;
	capabilities.effective = names;
	capabilities.n_effective = 1;
	fixture->process.capabilities = &capabilities;
	assert_int_equal(plan(fixture), 0);
	assert_int_equal(fixture->plan.process.capabilities.bounding, 1u << CAP_CHOWN | 1u << CAP_KILL);
	assert_int_equal(fixture->plan.process.capabilities.effective, 1u << CAP_CHOWN);
	assert_int_equal(fixture->plan.process.capabilities.inheritable, 0);
	names[1] = "CAP_NONSENSE";
	assert_int_equal(plan(fixture), 0);
	assert_int_equal(fixture->plan.process.capabilities.bounding, 1u << CAP_CHOWN);
	names[1] = "";
	assert_int_equal(plan(fixture), 0);
	assert_int_equal(fixture->plan.process.capabilities.bounding, 1u << CAP_CHOWN);
	names[1] = "KILL"; /* as the Rust runtime has it */
	assert_int_equal(plan(fixture), 0);
	assert_int_equal(fixture->plan.process.capabilities.bounding, 1u << CAP_CHOWN | 1u << CAP_KILL);
	/* Ambient ones have to be permitted and inheritable. */
	capabilities.ambient = capabilities.permitted = names;
	capabilities.n_ambient = capabilities.n_permitted = 2;
	capabilities.inheritable = names + 1;
	capabilities.n_inheritable = 1;
	assert_int_equal(plan(fixture), 0);
	assert_int_equal(fixture->plan.process.capabilities.ambient, 1u << CAP_KILL);
}

/* A list that says the same as the one before isn't looked up again. */
static void test_capability_lists_alike(void **state)
{
	struct fixture *fixture = *state;
	Grpc__LinuxCapabilities capabilities = GRPC__LINUX_CAPABILITIES__INIT;
	char *names[] = {"CAP_CHOWN", "CAP_KILL"}, *same[] = {"CAP_CHOWN", "CAP_KILL"}, *others[] = {"CAP_CHOWN", "CAP_FOWNER"};
	const uint64_t both = 1u << CAP_CHOWN | 1u << CAP_KILL;

	capabilities.bounding = names;
	capabilities.effective = same;
	capabilities.permitted = others;
	capabilities.inheritable = names;
	capabilities.ambient = same;
	capabilities.n_bounding = capabilities.n_effective = capabilities.n_permitted = 2;
	capabilities.n_inheritable = capabilities.n_ambient = 2;
	fixture->process.capabilities = &capabilities;
	assert_int_equal(plan(fixture), 0);
	assert_int_equal(fixture->plan.process.capabilities.bounding, both);
	assert_int_equal(fixture->plan.process.capabilities.effective, both);
	assert_int_equal(fixture->plan.process.capabilities.permitted, 1u << CAP_CHOWN | 1u << CAP_FOWNER);
	assert_int_equal(fixture->plan.process.capabilities.inheritable, both);
	/* Of the same words not all can be given here. */
	assert_int_equal(fixture->plan.process.capabilities.ambient, 1u << CAP_CHOWN);
}

static void test_user(void **state)
{
	struct fixture *fixture = *state;
	Grpc__User user = GRPC__USER__INIT;
	uint32_t groups[] = {7, 8};

	user.uid = 1000;
	user.gid = 100;
	user.additionalgids = groups;
	user.n_additionalgids = 2;
	fixture->process.user = &user;
	assert_int_equal(plan(fixture), 0);
	assert_int_equal(fixture->plan.process.uid, 1000);
	assert_int_equal(fixture->plan.process.group_count, 2);
	user.uid = UINT32_MAX; /* setresuid(2) takes it for "leave as it is" */
	assert_refused(fixture, "no user");
}

static void test_seccomp(void **state)
{
	struct fixture *fixture = *state;
	Grpc__LinuxSeccomp profile = GRPC__LINUX_SECCOMP__INIT;
	Grpc__LinuxSyscall rule = GRPC__LINUX_SYSCALL__INIT;
	Grpc__LinuxSeccompArg arguments[2] = {GRPC__LINUX_SECCOMP_ARG__INIT, GRPC__LINUX_SECCOMP_ARG__INIT};
	Grpc__LinuxSeccompArg *argument_list[] = {&arguments[0], &arguments[1]};
	Grpc__LinuxSyscall *rules[] = {&rule};
	char *names[] = {"mkdir", "no_such_call"}, *architectures[] = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86"};

	fixture->linux.seccomp = &profile;
	assert_int_equal(plan(fixture), 0);
	assert_null(fixture->plan.process.seccomp);
	profile.defaultaction = "SCMP_ACT_ALLOW";
	profile.architectures = architectures;
	profile.n_architectures = 2;
	profile.syscalls = rules;
	profile.n_syscalls = 1;
	rule.names = names;
	rule.n_names = 2;
	rule.action = "SCMP_ACT_ERRNO";
	assert_int_equal(plan(fixture), 0);
	assert_non_null(fixture->plan.process.seccomp);
	/* Twice the same argument: either comparison is enough. */
	arguments[0].op = arguments[1].op = "SCMP_CMP_EQ";
	arguments[1].value = 1;
	rule.args = argument_list;
	rule.n_args = 2;
	assert_int_equal(plan(fixture), 0);
	arguments[1].index = 6;
	assert_refused(fixture, "index");
	arguments[1].index = UINT64_MAX;
	assert_refused(fixture, "index");
	arguments[1].index = 1;
	arguments[1].op = "SCMP_CMP_NONSENSE";
	assert_refused(fixture, "SCMP_CMP_NONSENSE");
	rule.n_args = 0;
	rule.action = "SCMP_ACT_NOTIFY";
	assert_refused(fixture, "SCMP_ACT_NOTIFY");
	rule.action = "";
	assert_refused(fixture, "action");
	rule.action = "SCMP_ACT_ALLOW";
	architectures[0] = "SCMP_ARCH_NONSENSE";
	assert_refused(fixture, "SCMP_ARCH_NONSENSE");
	profile.defaultaction = "NONSENSE";
	assert_refused(fixture, "NONSENSE");
}

/* The last program is kept: it is that of its profile alone. */
static void test_seccomp_again(void **state)
{
	struct fixture *fixture = *state;
	Grpc__LinuxSeccomp profile = GRPC__LINUX_SECCOMP__INIT;
	Grpc__LinuxSyscall rule = GRPC__LINUX_SYSCALL__INIT, *rules[] = {&rule};
	char *name = "mkdir", *log_flag = "SECCOMP_FILTER_FLAG_LOG";
	struct sock_filter first[64];
	size_t count;

	fixture->linux.seccomp = &profile;
	profile.defaultaction = "SCMP_ACT_ALLOW";
	profile.syscalls = rules;
	profile.n_syscalls = 1;
	profile.flags = &log_flag;
	profile.n_flags = 1;
	rule.names = &name;
	rule.n_names = 1;
	rule.action = "SCMP_ACT_ERRNO";
	assert_int_equal(plan(fixture), 0);
	count = fixture->plan.process.seccomp_count;
	assert_in_range(count, 1, array_size(first));
	memcpy(first, fixture->plan.process.seccomp, count * sizeof(*first));
	name = "rmdir";
	assert_int_equal(plan(fixture), 0);
	assert_int_equal(fixture->plan.process.seccomp_count, count);
	assert_memory_not_equal(fixture->plan.process.seccomp, first, count * sizeof(*first));
	name = "mkdir";
	for (int i = 0; i < 2; i++) {
		fixture->plan.process.seccomp_flags = 0;
		assert_int_equal(plan(fixture), 0);
		assert_int_equal(fixture->plan.process.seccomp_count, count);
		assert_memory_equal(fixture->plan.process.seccomp, first, count * sizeof(*first));
		assert_true(fixture->plan.process.seccomp_flags & SECCOMP_FILTER_FLAG_LOG);
	}
}

static void test_exec(void **state)
{
	struct fixture *fixture = *state;
	Grpc__Process process = GRPC__PROCESS__INIT;
	Grpc__LinuxCapabilities capabilities = GRPC__LINUX_CAPABILITIES__INIT;
	const struct plan_exec_parameters parameters = {
		.id = "c", .init_pidfd = 5, .cgroup = &fixture->cgroup, .limits = &fixture->limits};
	char *names[] = {"CAP_CHOWN"};
	struct plan exec;

	capabilities.bounding = names;
	capabilities.n_bounding = 1;
	fixture->process.capabilities = &capabilities;
	fixture->process.oomscoreadj = 300;
	assert_int_equal(plan_exec(&exec, &fixture->arena, &process, &fixture->spec, &parameters, &fixture->error), 0);
	assert_true(exec.exec);
	assert_int_equal(exec.process.capabilities.bounding, 1u << CAP_CHOWN);
	assert_int_equal(exec.process.oom_score_adjust, 300);
	assert_int_equal(exec.namespaces[PLAN_USER].mode, PLAN_NAMESPACE_KEEP);
	/* Named ones are its own, also where there are none. */
	process.capabilities = &(Grpc__LinuxCapabilities)GRPC__LINUX_CAPABILITIES__INIT;
	assert_int_equal(plan_exec(&exec, &fixture->arena, &process, &fixture->spec, &parameters, &fixture->error), 0);
	assert_int_equal(exec.process.capabilities.bounding, 0);
}

/* What only config.json has. */
static void test_extras(void **state)
{
	struct fixture *fixture = *state;
	static const char *const flags[] = {"SCHED_FLAG_RESET_ON_FORK"};
	struct plan_extras extras = {
		.process = {.umask_given = true, .umask = 027, .scheduler = {"SCHED_FIFO", 3, 9, flags, 1}, .io_class = "IOPRIO_CLASS_IDLE",
			    .io_priority = 4, .oom_score_kept = true, .preserved_fds = 2},
		.personality = "LINUX32",
		.domainname = "example",
		.namespaces_literal = true,
	};

	/* Without them. */
	assert_int_equal(plan(fixture), 0);
	assert_int_equal(fixture->plan.process.umask, 022);
	assert_int_equal(fixture->plan.process.personality, PLAN_PERSONALITY_KEEP);
	assert_int_equal(fixture->plan.process.scheduler.size, 0);
	assert_int_equal(fixture->plan.process.io_priority, 0);
	fixture->parameters.extras = &extras;
	assert_int_equal(plan(fixture), 0);
	assert_int_equal(fixture->plan.process.umask, 027);
	assert_int_equal(fixture->plan.process.personality, 8);
	assert_int_equal(fixture->plan.process.scheduler.policy, 1);
	assert_int_equal(fixture->plan.process.scheduler.priority, 9);
	assert_int_equal(fixture->plan.process.scheduler.nice, 3);
	assert_int_equal(fixture->plan.process.scheduler.flags, 1);
	assert_int_equal(fixture->plan.process.io_priority, 3 << 13 | 4);
	assert_true(fixture->plan.process.oom_score_kept);
	assert_string_equal(fixture->plan.domainname, "example");
	/* To the letter: a joined uts namespace is named, and a pid namespace that isn't listed is the caller's. */
	fixture->namespaces[2].path = "/proc/1/ns/uts";
	fixture->linux.n_namespaces = 3;
	fixture->spec.hostname = "named";
	assert_int_equal(plan(fixture), 0);
	assert_int_equal(fixture->plan.namespaces[PLAN_UTS].mode, PLAN_NAMESPACE_JOIN);
	assert_int_equal(fixture->plan.namespaces[PLAN_PID].mode, PLAN_NAMESPACE_KEEP);
	assert_string_equal(fixture->plan.hostname, "named");
	extras.process.scheduler.policy = "SCHED_NONE";
	assert_refused(fixture, "SCHED_NONE");
	extras.process.scheduler.policy = NULL;
	extras.personality_flag_count = 1;
	assert_refused(fixture, "flags");
	extras.personality_flag_count = 0;
	extras.process.preserved_fds = 100000;
	assert_refused(fixture, "descriptors");
}

static void test_processors_of_an_exec(void **state)
{
	struct fixture *fixture = *state;
	static const char *const bad[] = {"x", "1,", ",1", "1-", "3-2", "0-1024", "99999999999999999999", "1 2"};
	Grpc__Process process = GRPC__PROCESS__INIT;
	struct plan_process_extras extras = {.cpus_initial = "0-2,64,66-67"};
	struct plan_exec_parameters parameters = {.id = "c", .limits = &fixture->limits, .process_extras = &extras};
	struct plan exec;

	assert_int_equal(plan_exec(&exec, &fixture->arena, &process, &fixture->spec, &parameters, &fixture->error), 0);
	assert_int_equal(exec.process.cpus_initial->mask[0], 7);
	assert_int_equal(exec.process.cpus_initial->mask[1], 1 | 4 | 8);
	assert_null(exec.process.cpus_final);
	for (size_t i = 0; i < array_size(bad); i++) {
		extras.cpus_initial = bad[i];
		assert_int_equal(plan_exec(&exec, &fixture->arena, &process, &fixture->spec, &parameters, &fixture->error),
				 -EINVAL);
	}
}

static void test_arena_limit(void **state)
{
	struct fixture *fixture = *state;

	fixture->arena.limit = 100;
	assert_int_equal(plan(fixture), -ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_defaults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shared_namespaces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_namespace_rules, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mount_options, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dev_is_made_readonly_at_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_mounts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mount_data_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_devices, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sysctls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_environment, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_environment, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_capabilities, setup, teardown),
		cmocka_unit_test_setup_teardown(test_capability_lists_alike, setup, teardown),
		cmocka_unit_test_setup_teardown(test_user, setup, teardown),
		cmocka_unit_test_setup_teardown(test_seccomp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_seccomp_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exec, setup, teardown),
		cmocka_unit_test_setup_teardown(test_extras, setup, teardown),
		cmocka_unit_test_setup_teardown(test_processors_of_an_exec, setup, teardown),
		cmocka_unit_test_setup_teardown(test_arena_limit, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
