/* Killing, syncing, unmounting and powering off, none of which may keep the machine from ending. */
#include "init/power.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <time.h>
#include <unistd.h>

#include "init/reaper.h"
#include "lib/cleanup.h"
#include "lib/loop.h"
#include "lib/mount_table.h"

#define SYNCING (10 * LOOP_SECOND)
#define MOUNTS_MAX 512

/* Filesystems of memory, which nothing is left of anyway: those of the early mounts, and what containers have. */
static bool is_virtual(const char *type)
{
	static const char *const types[] = {"rootfs", "proc",	 "sysfs",  "devtmpfs", "devpts", "tmpfs",
					    "mqueue", "cgroup2", "cgroup", "ramfs",    "bpf"};

	for (size_t i = 0; i < array_size(types); i++)
		if (strcmp(types[i], type) == 0)
			return true;
	return false;
}

/* Everything that isn't only memory, the last mounted one first; the root can only be made read-only. */
static void unmount_all(void)
{
	cleanup_mount_table struct mount_table mounts;
	char *paths[MOUNTS_MAX];
	size_t count = 0;

	mount_table_open(&mounts, "/proc/self/mounts");
	while (count < MOUNTS_MAX && mount_table_next(&mounts))
		if (!is_virtual(mounts.type) && (paths[count] = strdup(mounts.path)))
			count++;
	while (count-- > 0)
		if (umount2(paths[count], UMOUNT_NOFOLLOW) < 0)
			mount(NULL, paths[count], NULL, MS_REMOUNT | MS_RDONLY, NULL);
}

/* In a child, as a disk whose host side is gone may never answer. */
static void settle_disks(void)
{
	uint64_t deadline = loop_now() + SYNCING;
	pid_t child = fork();
	sigset_t signals;
	int status;

	if (child == 0) {
		sync();
		unmount_all();
		_exit(0);
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	while (child > 0 && loop_now() < deadline && !reaper_ended(child, &status)) {
		struct timespec pause = {.tv_nsec = 100 * LOOP_MILLISECOND};

		sigtimedwait(&signals, NULL, &pause);
	}
}

void power_off(bool by_reboot)
{
	reaper_kill_all(true);
	settle_disks();
	if (by_reboot)
		reboot(RB_AUTOBOOT);
	reboot(RB_POWER_OFF);
	reboot(RB_HALT_SYSTEM);
	for (;;)
		pause();
}
