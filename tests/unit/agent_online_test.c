// uses: agent/online.c lib/match.c lib/fd.c lib/error.c
/* MemHotplugByProbe's part of it: kernels with the file that it writes to are none of ours, so it gets one that looks so. The
 * rest of online.c is in tests/boot/hotplug_cpu_memory.bats. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/online.h"

static char home[] = "/tmp/nacre-online.XXXXXX";
static struct error error;

static int enter(void **state)
{
	(void)state;
	return !mkdtemp(home) || chdir(home) < 0;
}

static int leave(void **state)
{
	(void)state;
	return unlink("probe") < 0 || chdir("/") < 0 || rmdir(home) < 0;
}

static void addresses_are_written_as_hexadecimal_numbers(void **state)
{
	const uint64_t addresses[] = {0x100000000, 0xabcdef0000000000};
	char text[64];
	int reader;

	(void)state;
	assert_int_equal(mkfifo("probe", 0600), 0);
	reader = open("probe", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	assert_true(reader >= 0);
	assert_int_equal(online_probe_memory("probe", addresses, 2, &error), 0);
	assert_int_equal(read(reader, text, sizeof(text)), (int)strlen("0x100000000" "0xABCDEF0000000000"));
	assert_memory_equal(text, "0x100000000" "0xABCDEF0000000000", 29);
	close(reader);
}

static void a_kernel_without_it_and_one_that_refuses(void **state)
{
	const uint64_t address = 0x100000000;

	(void)state;
	assert_int_equal(online_probe_memory("nosuch", &address, 1, &error), -ENODEV);
	assert_non_null(strstr(error.text, "it has no nosuch"));
	assert_int_equal(online_probe_memory("nosuch", NULL, 0, &error), 0);
	/* A file that no write fits into. */
	assert_int_equal(online_probe_memory("/dev/full", &address, 1, &error), -ENOSPC);
	assert_non_null(strstr(error.text, "memory at 0x100000000: "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_written_as_hexadecimal_numbers),
		cmocka_unit_test(a_kernel_without_it_and_one_that_refuses),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
