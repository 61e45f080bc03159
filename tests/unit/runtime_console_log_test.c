// uses: runtime/console_log.c lib/loop.c lib/path.c lib/fd.c lib/error.c
/* A console that is written to for ever: what is kept of it, and where. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/path.h"
#include "runtime/console_log.h"

#define PIECE 65536

static char home[] = "/tmp/nacre-console.XXXXXX";
static struct console_log console;
static struct loop loop;
static struct error error;
static int directory, vmm;

static int enter(void **state)
{
	(void)state;
	strcpy(home + strlen(home) - 6, "XXXXXX");
	if (!mkdtemp(home) || loop_init(&loop) < 0)
		return -1;
	directory = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (console_log_open(&console, &loop, directory, &error) < 0)
		return -1;
	vmm = openat(directory, CONSOLE_LOG, O_WRONLY | O_APPEND | O_CLOEXEC);
	return vmm < 0 ? -1 : 0;
}

static int leave(void **state)
{
	(void)state;
	close(vmm);
	console_log_close(&console);
	close(directory);
	loop_destroy(&loop);
	return path_remove_tree(AT_FDCWD, home, NULL);
}

static void say(char byte, size_t pieces)
{
	static char piece[PIECE];

	memset(piece, byte, sizeof(piece));
	for (size_t i = 0; i < pieces; i++) {
		assert_int_equal(write(vmm, piece, sizeof(piece)), sizeof(piece));
		assert_true(loop_step(&loop) == 0);
	}
}

/* The size of a file, all of which are this byte; -1 where there is none. */
static long all_of(const char *name, char byte)
{
	static char text[CONSOLE_LOG_MOST + 1];
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
	ssize_t length;

	if (fd < 0)
		return -1;
	length = read(fd, text, sizeof(text));
	close(fd);
	for (ssize_t i = 0; i < length; i++)
		assert_int_equal(text[i], byte);
	return length;
}

static void what_a_guest_says_stays_in_one_file_while_it_is_little(void **state)
{
	(void)state;
	say('a', CONSOLE_LOG_MOST / PIECE - 1);
	assert_int_equal(all_of(CONSOLE_LOG, 'a'), CONSOLE_LOG_MOST - PIECE);
	assert_int_equal(all_of(CONSOLE_LOG_OLD, 'a'), -1);
}

static void what_is_older_is_moved_and_then_dropped(void **state)
{
	(void)state;
	say('a', CONSOLE_LOG_MOST / PIECE);
	assert_int_equal(all_of(CONSOLE_LOG, 'a'), 0);
	assert_int_equal(all_of(CONSOLE_LOG_OLD, 'a'), CONSOLE_LOG_MOST);
	say('b', CONSOLE_LOG_MOST / PIECE);
	say('c', 1);
	assert_int_equal(all_of(CONSOLE_LOG_OLD, 'b'), CONSOLE_LOG_MOST);
	assert_int_equal(all_of(CONSOLE_LOG, 'c'), PIECE);
}

static void of_what_comes_at_once_the_last_is_kept(void **state)
{
	static char much[3 * CONSOLE_LOG_MOST];

	(void)state;
	memset(much + 2 * CONSOLE_LOG_MOST, 'z', CONSOLE_LOG_MOST);
	assert_int_equal(write(vmm, much, sizeof(much)), sizeof(much));
	assert_true(loop_step(&loop) == 0);
	assert_int_equal(all_of(CONSOLE_LOG_OLD, 'z'), CONSOLE_LOG_MOST);
	assert_int_equal(all_of(CONSOLE_LOG, 'z'), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_a_guest_says_stays_in_one_file_while_it_is_little),
		TEST(what_is_older_is_moved_and_then_dropped),
		TEST(of_what_comes_at_once_the_last_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
