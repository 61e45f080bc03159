// uses: lib/supervision.c lib/fd.c lib/error.c
/* Messages between agent and supervisor: whole ones, and broken ones. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/supervision.h"

static int ends[2];

static int open_line(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}

static int close_line(void **state)
{
	(void)state;
	close(ends[0]);
	close(ends[1]);
	return 0;
}

static void a_message_arrives_with_its_descriptors(void **state)
{
	struct supervision_message sent = {.type = SUPERVISION_STORE, .pid = -1, .status = 7, .name = "listener"};
	struct supervision_message got;
	int fds[FD_MESSAGE_MAX], out[FD_MESSAGE_MAX];
	size_t count;

	(void)state;
	for (size_t i = 0; i < FD_MESSAGE_MAX; i++)
		out[i] = ends[0];
	assert_int_equal(supervision_send(ends[0], &sent, out, FD_MESSAGE_MAX), 0);
	assert_int_equal(supervision_receive(ends[1], &got, fds, &count), 1);
	assert_int_equal(count, FD_MESSAGE_MAX);
	assert_memory_equal(&got, &sent, sizeof(got));
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
		close(fds[i]);
	}
}

static void the_end_is_told_from_an_error(void **state)
{
	struct supervision_message got;
	int fds[FD_MESSAGE_MAX];
	size_t count;

	(void)state;
	shutdown(ends[0], SHUT_WR);
	assert_int_equal(supervision_receive(ends[1], &got, fds, &count), 0);
}

static void broken_messages_are_refused_and_leave_no_descriptor(void **state)
{
	char bytes[sizeof(struct supervision_message) + 1] = {0};
	struct supervision_message got;
	int fds[FD_MESSAGE_MAX], passed = dup(ends[0]), next;
	size_t count;

	(void)state;
	next = dup(ends[0]);
	close(next);
	/* Too short, too long, a name without an end. */
	assert_int_equal(fd_send(ends[0], bytes, 10, &passed, 1), 0);
	assert_int_equal(supervision_receive(ends[1], &got, fds, &count), -EPROTO);
	assert_int_equal(fd_send(ends[0], bytes, sizeof(bytes), &passed, 1), 0);
	assert_int_equal(supervision_receive(ends[1], &got, fds, &count), -EPROTO);
	memset(bytes, 'x', sizeof(bytes));
	assert_int_equal(fd_send(ends[0], bytes, sizeof(bytes) - 1, &passed, 1), 0);
	assert_int_equal(supervision_receive(ends[1], &got, fds, &count), -EPROTO);
	assert_int_equal(dup(ends[0]), next);
	close(next);
	close(passed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_message_arrives_with_its_descriptors, open_line, close_line),
		cmocka_unit_test_setup_teardown(the_end_is_told_from_an_error, open_line, close_line),
		cmocka_unit_test_setup_teardown(broken_messages_are_refused_and_leave_no_descriptor, open_line,
						close_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
