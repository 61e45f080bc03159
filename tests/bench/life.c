/* What a container's whole life costs (create, start, wait, remove of `true`), and an exec in one: in a guest, by the bare
 * system calls, by the agent, and by any command.
 *
 *	life bare|agent=SOCKET ROOT COUNT life|exec
 *	life command COUNT COMMAND...
 *
 * Prints how long one takes, of COUNT after one that isn't counted: the mean in nanoseconds, and in ticks of the processor.
 * Where QEMU runs with -icount shift=0 these are instructions, and the time in which the guest had nothing to do. The mean, as
 * the kernel puts a part of the work off (cgroups and namespaces that have ended), which comes in one of three or four.
 */
#include "life.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT_MAX 1000

const char *const life_masked[] = {"/proc/acpi",	 "/proc/kcore",	     "/proc/keys",	 "/proc/latency_stats",
				   "/proc/timer_list", "/proc/sched_debug", "/sys/firmware", NULL};
const char *const life_readonly[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", NULL};
const struct life_mount life_mounts[] = {
	{"/proc", "proc", "proc", "nosuid,noexec,nodev"},
	{"/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"},
	{"/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"},
	{"/dev/shm", "tmpfs", "tmpfs", "nosuid,noexec,nodev,mode=1777,size=65536k"},
	{"/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev"},
	{"/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro"},
	{"/sys/fs/cgroup", "cgroup", "cgroup", "nosuid,noexec,nodev,ro"},
	{0},
};

void die(const char *what)
{
	fprintf(stderr, "life: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Its steps may be 10 ms. */
static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Of the processor; under -icount shift=0 each is an instruction. */
static int64_t ticks(void)
{
	return (int64_t)__builtin_ia32_rdtsc();
}

static void run_command(char **command)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execvp(command[0], command);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		die("run a command");
	if (status != 0) {
		fprintf(stderr, "life: %s ended with status %#x\n", command[0], (unsigned)status);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	bool command = argc >= 4 && strcmp(argv[1], "command") == 0;
	bool agent = argc == 5 && strncmp(argv[1], "agent=", 6) == 0;
	bool exec = !command && argc == 5 && strcmp(argv[4], "exec") == 0;
	int64_t began = 0, first = 0;
	int count;

	if (!command && argc != 5) {
		fprintf(stderr, "usage: life bare|agent=SOCKET ROOT COUNT life|exec; life command COUNT COMMAND...\n");
		return 2;
	}
	count = atoi(argv[command ? 2 : 3]);
	if (count < 1 || count > COUNT_MAX) {
		fprintf(stderr, "life: a count from 1 to %d\n", COUNT_MAX);
		return 2;
	}
	if (agent)
		agent_dial(argv[1] + 6);
	if (exec)
		(agent ? agent_start : bare_start)(argv[2]);
	for (int i = -1; i < count; i++) {
		if (i == 0) {
			began = now();
			first = ticks();
		}
		if (command)
			run_command(argv + 3);
		else if (exec)
			(agent ? agent_exec : bare_exec)();
		else
			(agent ? agent_life : bare_life)(argv[2]);
	}
	first = ticks() - first;
	began = now() - began;
	if (exec)
		(agent ? agent_stop : bare_stop)();
	printf("%lld %lld\n", (long long)began / count, (long long)first / count);
	return 0;
}
