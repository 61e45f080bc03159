/* cgroup v2 in one mount; cgroup v1 in one mount a controller, as the Kata agent lays it out. */
#define LOG_SUBSYSTEM "init"
#include "init/guest_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/log.h"

#define TOP "/sys/fs/cgroup"
#define OWN TOP "/nacre-agent"
#define OWN_MEMORY "8388608" /* bytes: supervisor, agent, and the kernel's memory for them, with room */
#define FLAGS (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RELATIME)

static const char *const controllers[] = {"cpu",     "cpuacct",	 "blkio",    "cpuset",	 "memory", "devices", "freezer",
					  "net_cls", "perf_event", "net_prio", "hugetlb", "pids",	   "rdma"};

/* A line of /proc/cgroups: name, hierarchy, number of cgroups, 1 where it is enabled. */
static void mount_controller(char *line)
{
	const char *name = strsep(&line, "\t"), *enabled = line ? strrchr(line, '\t') : NULL;
	char path[sizeof(TOP) + 32];

	if (!enabled || enabled[1] != '1')
		return;
	for (size_t i = 0; i < array_size(controllers); i++) {
		if (strcmp(controllers[i], name) != 0)
			continue;
		snprintf(path, sizeof(path), TOP "/%s", name);
		mkdir(path, 0755);
		if (mount("cgroup", path, "cgroup", FLAGS, name) < 0)
			log_warning("mount cgroup %s: %s", name, strerror(errno));
	}
}

static int mount_v1(struct error *error)
{
	char text[4096], *rest = text, *line;

	if (fd_read_file(AT_FDCWD, "/proc/cgroups", text, sizeof(text), error) < 0)
		return error_wrap(error, "mount cgroups");
	if (mount("tmpfs", TOP, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755") < 0)
		return error_errno(error, errno, "mount a tmpfs on " TOP);
	while ((line = strsep(&rest, "\n")))
		if (*line != '#')
			mount_controller(line);
	/* Newer kernels always count hierarchically and don't let it be said. */
	fd_write_file(AT_FDCWD, TOP "/memory/memory.use_hierarchy", "1", NULL);
	if (mount(NULL, TOP, NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755") < 0)
		return error_errno(error, errno, "make " TOP " read-only");
	return 0;
}

int guest_cgroup_mount(bool v1, struct error *error)
{
	if (v1)
		return mount_v1(error);
	if (mount("cgroup2", TOP, "cgroup2", FLAGS, "nsdelegate") == 0)
		return 0;
	if (errno == ENODEV)
		return mount_v1(error);
	return error_errno(error, errno, "mount cgroup2 on " TOP);
}

int guest_cgroup_enter(pid_t agent, struct error *error)
{
	char pid[16];
	int status;

	if (access(TOP "/cgroup.procs", F_OK) < 0)
		return 0;
	/* Processes are moved without waiting for an RCU grace period, which is most of what an exec takes; in return, forks
	 * take a lock. It costs one grace period (20 ms), and the agent listens already. Kernels before 6.0 don't know it. */
	mount(NULL, TOP, NULL, MS_REMOUNT | FLAGS, "nsdelegate,favordynmods");
	if (mkdir(OWN, 0755) < 0 && errno != EEXIST)
		return error_errno(error, errno, "make " OWN);
	snprintf(pid, sizeof(pid), "%d", agent);
	status = fd_write_file(AT_FDCWD, OWN "/cgroup.procs", "0", error);
	if (status == 0)
		status = fd_write_file(AT_FDCWD, OWN "/cgroup.procs", pid, error);
	if (status == 0)
		status = fd_write_file(AT_FDCWD, TOP "/cgroup.subtree_control", "+memory", error);
	if (status == 0)
		status = fd_write_file(AT_FDCWD, OWN "/memory.min", OWN_MEMORY, error);
	return status;
}
