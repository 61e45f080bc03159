/* Says what time it is, as PID 1 of a guest, and becomes the real one: from here to the agent's first words is what a
 * start costs. Under QEMU's -icount shift=0 a nanosecond is an instruction. Without a C library, so that its own start and
 * end cost next to nothing; x86_64 only.
 */
#include <sys/syscall.h>
#include <time.h>

static long call(long number, long first, long second, long third)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(first), "S"(second), "d"(third)
			 : "rcx", "r11", "memory");
	return result;
}

/* "stamp NANOSECONDS\n" */
static void say(unsigned long nanoseconds)
{
	char line[] = "stamp 00000000000000000000\n";

	for (int i = sizeof(line) - 3; nanoseconds > 0; i--, nanoseconds /= 10)
		line[i] = (char)('0' + nanoseconds % 10);
	call(SYS_write, 1, (long)line, sizeof(line) - 1);
}

__attribute__((used)) static void start(void)
{
	static char path[] = "/init.real";
	static char *const arguments[] = {path, 0};
	struct timespec now = {0};

	call(SYS_clock_gettime, CLOCK_REALTIME, (long)&now, 0);
	say((unsigned long)now.tv_sec * 1000000000UL + (unsigned long)now.tv_nsec);
	call(SYS_execve, (long)path, (long)arguments, 0);
	call(SYS_exit, 1, 0, 0);
}

__asm__(".globl _start\n_start: and $-16, %rsp\n call start\n");
