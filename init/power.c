/* Killing, syncing and powering off, none of which may keep the machine from ending. */
#include "init/power.h"

#include <signal.h>
#include <sys/reboot.h>
#include <time.h>
#include <unistd.h>

#include "init/reaper.h"
#include "lib/loop.h"

#define SYNCING (10 * LOOP_SECOND)

/* In a child, as a disk whose host side is gone may never answer. */
static void sync_disks(void)
{
	uint64_t deadline = loop_now() + SYNCING;
	pid_t child = fork();
	sigset_t signals;
	int status;

	if (child == 0) {
		sync();
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
	sync_disks();
	if (by_reboot)
		reboot(RB_AUTOBOOT);
	reboot(RB_POWER_OFF);
	reboot(RB_HALT_SYSTEM);
	for (;;)
		pause();
}
