// uses: lib/fd.c lib/error.c
/* Descriptors: passing them, and small files. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/fd.h"

static int lowest_free(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	close(fd);
	return fd;
}

static void pass(int type, size_t count, size_t room, ssize_t expected)
{
	int sockets[2], fds[FD_MESSAGE_MAX], received[FD_MESSAGE_MAX], before;
	char text[16] = "";
	size_t got = room;
	ssize_t length;

	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, sockets), 0);
	for (size_t i = 0; i < count; i++)
		fds[i] = sockets[0];
	assert_int_equal(fd_send(sockets[0], "hi", 2, fds, count), 0);
	before = lowest_free();
	length = fd_receive(sockets[1], text, sizeof(text), received, &got);
	assert_int_equal(length, expected);
	if (length > 0) {
		assert_int_equal(got, count);
		assert_memory_equal(text, "hi", 2);
		for (size_t i = 0; i < got; i++) {
			assert_true(fcntl(received[i], F_GETFD) & FD_CLOEXEC);
			close(received[i]);
		}
	}
	assert_int_equal(lowest_free(), before);
	close(sockets[0]);
	close(sockets[1]);
}

static void descriptors_pass(void **state)
{
	(void)state;
	pass(SOCK_STREAM, 1, 4, 2);
	pass(SOCK_SEQPACKET, 3, 3, 2);
	pass(SOCK_SEQPACKET, 0, 3, 2);
	pass(SOCK_SEQPACKET, FD_MESSAGE_MAX, FD_MESSAGE_MAX, 2);
}

static void a_cut_message_leaves_nothing_open(void **state)
{
	(void)state;
	pass(SOCK_SEQPACKET, 5, 2, -EPROTO);
	pass(SOCK_SEQPACKET, 1, 0, -EPROTO);
}

/* The kernel leaves out what the table has no room for, and only the flag says so. */
static void descriptors_without_room_are_missed(void **state)
{
	int sockets[2], fds[3], received[3], before = lowest_free();
	size_t got = 3;
	struct rlimit limit, low;
	char text[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	for (size_t i = 0; i < 3; i++)
		fds[i] = sockets[0];
	assert_int_equal(fd_send(sockets[0], "hi", 2, fds, 3), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = (struct rlimit){.rlim_cur = (rlim_t)lowest_free() + 2, .rlim_max = limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_int_equal(fd_receive(sockets[1], text, sizeof(text), received, &got), -EPROTO);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	close(sockets[0]);
	close(sockets[1]);
	assert_int_equal(lowest_free(), before);
}

static void data_that_does_not_fit_is_cut_too(void **state)
{
	int sockets[2], fds[1], before;
	char text[2];
	size_t count = 1;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	assert_int_equal(fd_send(sockets[0], "too long", 8, &sockets[0], 1), 0);
	before = lowest_free();
	assert_int_equal(fd_receive(sockets[1], text, sizeof(text), fds, &count), -EPROTO);
	assert_int_equal(lowest_free(), before);
	close(sockets[0]);
	count = 1;
	assert_int_equal(fd_receive(sockets[1], text, sizeof(text), fds, &count), 0);
	close(sockets[1]);
}

/* Opens so many from `first` on. */
static void fill(int first, int count)
{
	for (int fd = first; fd < first + count; fd++)
		assert_int_equal(dup2(1, fd), fd);
}

static int open_from(int first, int count)
{
	int found = 0;

	for (int fd = first; fd < first + count; fd++)
		found += fcntl(fd, F_GETFD) >= 0;
	return found;
}

static void others_are_closed(void **state)
{
	(void)state;
	/* Those that are kept in any order, one twice, one that isn't there, and one below the first. */
	fill(100, 50);
	assert_int_equal(fd_close_others(110, (const int[]){140, 120, 121, -1, 120, 105}, 6), 0);
	assert_int_equal(open_from(100, 10), 10);
	assert_int_equal(open_from(110, 40), 3);
	assert_int_equal(open_from(120, 2), 2);
	assert_int_equal(open_from(140, 1), 1);
	/* The highest of all, and none to keep. */
	assert_int_equal(fd_close_others(100, (const int[]){121}, 1), 0);
	assert_int_equal(open_from(100, 50), 1);
	assert_int_equal(fd_close_others(100, NULL, 0), 0);
	assert_int_equal(open_from(100, 50), 0);
}

static void small_files(void **state)
{
	char directory[] = "/tmp/nacre-fd-test-XXXXXX", text[8];
	struct error error;
	int dir;

	(void)state;
	assert_non_null(mkdtemp(directory));
	dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(fd_write_file(dir, "file", "1", &error), -ENOENT);
	close(openat(dir, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(fd_write_file(dir, "file", "12345\n", &error), 0);
	assert_int_equal(fd_read_file(dir, "file", text, sizeof(text), &error), 5);
	assert_string_equal(text, "12345");
	assert_int_equal(fd_write_file(dir, "file", "12345678", &error), 0);
	assert_int_equal(fd_read_file(dir, "file", text, sizeof(text), &error), -EFBIG);
	unlinkat(dir, "file", 0);
	close(dir);
	rmdir(directory);
}

static void whole_reads_and_writes(void **state)
{
	char text[100];
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(fd_write_all(ends[1], "abc", 3), 0);
	assert_int_equal(fd_write_all(ends[1], "def", 3), 0);
	fd_close(&ends[1]);
	assert_int_equal(ends[1], -1);
	assert_int_equal(fd_read_all(ends[0], text, sizeof(text)), 6);
	assert_memory_equal(text, "abcdef", 6);
	fd_close(&ends[0]);
	fd_close(&ends[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors_pass),
		cmocka_unit_test(a_cut_message_leaves_nothing_open),
		cmocka_unit_test(descriptors_without_room_are_missed),
		cmocka_unit_test(data_that_does_not_fit_is_cut_too),
		cmocka_unit_test(others_are_closed),
		cmocka_unit_test(small_files),
		cmocka_unit_test(whole_reads_and_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
