/* A container by nothing but the system calls which it takes, in one straight line: what a runtime's own work is measured
 * against. It has what the agent's containers have: cgroup with a device filter, namespaces (the sandbox's for ipc and uts),
 * mounts, devices, masked and read-only paths, capabilities, seccomp. */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container/cgroup_parts.h"
#include "agent/container/kernel.h"
#include "lib/cleanup.h"
#include "life.h"

#define CGROUPS "/sys/fs/cgroup"
#define CGROUP CGROUPS "/life"
#define CAPABILITY_LAST 40
#define ALL (BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE)

static const struct device_rule rules[] = {
	{true, 'c', -1, -1, BPF_DEVCG_ACC_MKNOD}, {true, 'b', -1, -1, BPF_DEVCG_ACC_MKNOD},
	{true, 'c', 1, 3, ALL},	  {true, 'c', 1, 5, ALL}, {true, 'c', 1, 7, ALL}, {true, 'c', 1, 8, ALL},
	{true, 'c', 1, 9, ALL},	  {true, 'c', 5, 0, ALL}, {true, 'c', 5, 1, ALL}, {true, 'c', 5, 2, ALL},
	{true, 'c', 136, -1, ALL}, {true, 'c', 10, 200, ALL},
};

/* The one rule of the agent's containers here: keyctl(2) is refused. */
static const struct sock_filter filter[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_keyctl, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

static pid_t sleeper;
static int sleeper_pidfd = -1;

static unsigned long take_flags(const char *options, char *data, size_t size)
{
	static const struct {
		const char *name;
		unsigned long flag;
	} names[] = {{"nosuid", MS_NOSUID},	      {"noexec", MS_NOEXEC}, {"nodev", MS_NODEV},
		     {"strictatime", MS_STRICTATIME}, {"ro", MS_RDONLY}};
	char copy[256], *rest = copy, *word;
	unsigned long flags = 0;

	snprintf(copy, sizeof(copy), "%s", options);
	*data = '\0';
	while ((word = strsep(&rest, ",")) != NULL) {
		unsigned long flag = 0;

		for (size_t i = 0; i < array_size(names); i++)
			if (strcmp(names[i].name, word) == 0)
				flag = names[i].flag;
		flags |= flag;
		if (flag == 0)
			snprintf(data + strlen(data), size - strlen(data), "%s%s", *data ? "," : "", word);
	}
	return flags;
}

static void mount_all(const char *root)
{
	/* mount(2) copies a page of it, and byte by byte where that isn't all there, as at the end of a stack. */
	static char data[4096];
	char path[256];

	for (const struct life_mount *entry = life_mounts; entry->target; entry++) {
		unsigned long flags = take_flags(entry->options, data, sizeof(data));
		const char *type = strcmp(entry->type, "cgroup") == 0 ? "cgroup2" : entry->type;

		snprintf(path, sizeof(path), "%s%s", root, entry->target);
		mkdir(path, 0755);
		if (mount(entry->source, path, type, flags, data) < 0)
			die(path);
	}
}

static void make_devices(const char *root)
{
	static const struct {
		const char *name;
		unsigned major, minor;
	} nodes[] = {{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};
	static const char *const links[][2] = {{"pts/ptmx", "ptmx"},
					       {"/proc/self/fd", "fd"},
					       {"/proc/self/fd/0", "stdin"},
					       {"/proc/self/fd/1", "stdout"},
					       {"/proc/self/fd/2", "stderr"}};
	char path[256];

	umask(0);
	for (size_t i = 0; i < array_size(nodes); i++) {
		snprintf(path, sizeof(path), "%s/dev/%s", root, nodes[i].name);
		if (mknod(path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) < 0)
			die(path);
	}
	for (size_t i = 0; i < array_size(links); i++) {
		snprintf(path, sizeof(path), "%s/dev/%s", root, links[i][1]);
		if (symlink(links[i][0], path) < 0)
			die(path);
	}
	umask(022);
}

static void mask(const char *root)
{
	char path[256];
	struct stat stat;

	for (const char *const *name = life_masked; *name; name++) {
		snprintf(path, sizeof(path), "%s%s", root, *name);
		if (lstat(path, &stat) < 0)
			continue;
		if ((S_ISDIR(stat.st_mode) ? mount("tmpfs", path, "tmpfs", MS_RDONLY, "size=0") :
					     mount("/dev/null", path, NULL, MS_BIND, NULL)) < 0)
			die(path);
	}
	for (const char *const *name = life_readonly; *name; name++) {
		const unsigned long flags = MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;

		snprintf(path, sizeof(path), "%s%s", root, *name);
		if (mount(path, path, NULL, MS_BIND, NULL) == 0 && mount(NULL, path, NULL, flags, NULL) < 0)
			die(path);
	}
}

static void enter_root(const char *root)
{
	if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0 || mount(root, root, NULL, MS_BIND | MS_REC, NULL) < 0)
		die("bind the root");
	mount_all(root);
	make_devices(root);
	mask(root);
	if (chdir(root) < 0 || kernel_pivot_root(".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		die("pivot_root");
}

static void shed(void)
{
	static const struct sock_fprog program = {array_size(filter), (struct sock_filter *)filter};
	const uint32_t version[2] = {0x20080522, 0};
	const uint32_t low = (uint32_t)LIFE_CAPABILITIES, sets[6] = {low, low, 0, 0, 0, 0};

	for (int i = 0; i <= CAPABILITY_LAST; i++)
		if (!(LIFE_CAPABILITIES >> i & 1) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0)
			die("drop a capability");
	if (syscall(SYS_setgroups, 0, NULL) < 0)
		die("setgroups");
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		die("seccomp");
	if (syscall(SYS_capset, version, sets) < 0)
		die("capset");
}

/* What a runtime gives a process for its streams. */
static void take_stdio(const int pipes[2][2])
{
	int null = open("/dev/null", O_RDONLY);

	dup2(null, 0);
	dup2(pipes[0][1], 1);
	dup2(pipes[1][1], 2);
	syscall(SYS_close_range, 3, ~0u, 0);
}

static void make_pipes(int pipes[2][2])
{
	if (pipe2(pipes[0], O_CLOEXEC) < 0 || pipe2(pipes[1], O_CLOEXEC) < 0)
		die("make pipes");
}

static void drain(int pipes[2][2])
{
	char byte;

	for (int i = 0; i < 2; i++) {
		close(pipes[i][1]);
		while (read(pipes[i][0], &byte, 1) > 0)
			continue;
		close(pipes[i][0]);
	}
}

static void execute(const char *command)
{
	char *const arguments[] = {(char *)command, strcmp(command, "sleep") == 0 ? (char *)"1000000" : NULL, NULL};
	char *const environment[] = {(char *)"PATH=/bin", NULL};
	char path[64];

	snprintf(path, sizeof(path), "/bin/%s", command);
	setsid();
	execve(path, arguments, environment);
	_exit(127);
}

/* What an agent's containers find: the sandbox's namespaces, which have its name, and every controller for their cgroups. */
static void enter_sandbox(void)
{
	static bool inside;
	cleanup_close int top = -1;

	if (inside)
		return;
	if (unshare(CLONE_NEWIPC | CLONE_NEWUTS) < 0 || sethostname("life", 4) < 0)
		die("make the sandbox's namespaces");
	top = open(CGROUPS, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (top < 0 || cgroup_enable_controllers(top, NULL) < 0)
		die("enable the controllers");
	inside = true;
}

static pid_t start(const char *root, const char *command, unsigned long flags, int pipes[2][2], int *pidfd)
{
	const struct cgroup_limits limits = {.rules = rules, .rule_count = array_size(rules)};
	cleanup_close int cgroup = -1;
	int processes;
	pid_t pid;

	enter_sandbox();
	if (mkdir(CGROUP, 0755) < 0)
		die("make " CGROUP);
	cgroup = open(CGROUP, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (device_filter_attach(cgroup, &limits, NULL) < 0)
		die("attach the device filter");
	processes = openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	make_pipes(pipes);
	pid = kernel_clone(flags | CLONE_NEWNS | CLONE_NEWPID | SIGCHLD, pidfd);
	if (pid == 0) {
		if (write(processes, "0", 1) < 0 || unshare(CLONE_NEWCGROUP) < 0)
			die("enter the cgroup");
		enter_root(root);
		take_stdio((const int(*)[2])pipes);
		shed();
		execute(command);
	}
	close(processes);
	if (pid < 0)
		die("clone");
	return pid;
}

static void await(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) < 0)
		die("wait");
	if (status != 0 && status != SIGKILL) {
		fprintf(stderr, "life: the bare process ended with status %#x\n", (unsigned)status);
		exit(1);
	}
}

void bare_life(const char *root)
{
	int pipes[2][2], pidfd;
	pid_t pid = start(root, "true", 0, pipes, &pidfd);

	drain(pipes);
	await(pid);
	close(pidfd);
	if (rmdir(CGROUP) < 0)
		die("remove " CGROUP);
}

void bare_start(const char *root)
{
	int pipes[2][2];

	/* It is executed once this returns. */
	sleeper = start(root, "sleep", CLONE_VFORK, pipes, &sleeper_pidfd);
}

void bare_exec(void)
{
	int processes = open(CGROUP "/cgroup.procs", O_WRONLY | O_CLOEXEC), pipes[2][2], pidfd;
	pid_t pid;

	make_pipes(pipes);
	pid = kernel_clone(SIGCHLD, &pidfd);
	if (pid == 0) {
		const int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
		int status;
		pid_t inner;

		if (write(processes, "0", 1) < 0 || setns(sleeper_pidfd, flags) < 0)
			die("join the container");
		inner = fork();
		if (inner == 0) {
			take_stdio((const int(*)[2])pipes);
			shed();
			execute("true");
		}
		waitpid(inner, &status, 0);
		_exit(status != 0);
	}
	close(processes);
	drain(pipes);
	await(pid);
	close(pidfd);
}

void bare_stop(void)
{
	kill(sleeper, SIGKILL);
	await(sleeper);
	if (rmdir(CGROUP) < 0)
		die("remove " CGROUP);
}
