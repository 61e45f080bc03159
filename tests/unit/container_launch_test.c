// uses: lib/error.c lib/fd.c
/* What the agent makes of reports, which may come from a process that a container has taken over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* The reports come from this test; no helper is cloned. (Before cmocka, which has another fail().) */
#include "agent/container/launch.c"

#include <cmocka.h>

void helper_learn_signals(void)
{
}

_Noreturn void helper_main(const struct plan *plan, int report, const int stdio[3])
{
	(void)plan;
	(void)report;
	(void)stdio;
	_exit(1);
}

struct fixture {
	struct launch launch;
	int theirs;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets), 0);
	fixture->launch = (struct launch){
		.report_fd = sockets[0],
		.helper_pidfd = -1,
		.pidfd = -1,
		.pid_namespace = -1,
		.procfs = -1,
		.terminal = -1,
		.seccomp_listener = -1,
	};
	fixture->theirs = sockets[1];
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	launch_destroy(&fixture->launch);
	fd_close(&fixture->theirs);
	free(fixture);
	return 0;
}

static void report(struct fixture *fixture, uint32_t type, pid_t pid, size_t fds)
{
	struct report message = {.type = type, .pid = pid};
	int list[4] = {0, 0, 0, 0};

	assert_int_equal(fd_send(fixture->theirs, &message, sizeof(message), list, fds), 0);
}

static int open_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void test_order(void **state)
{
	struct fixture *fixture = *state;

	fixture->launch.terminal_due = true;
	assert_int_equal(launch_receive(&fixture->launch), -EAGAIN);
	report(fixture, REPORT_PROCFS, 0, 1);
	report(fixture, LAUNCH_PROCESS, 42, 2);
	report(fixture, LAUNCH_TERMINAL, 0, 1);
	report(fixture, LAUNCH_READY, 0, 0);
	assert_int_equal(launch_receive(&fixture->launch), LAUNCH_PROCESS);
	assert_int_equal(fixture->launch.pid, 42);
	assert_true(fixture->launch.pidfd >= 0 && fixture->launch.pid_namespace >= 0 && fixture->launch.procfs >= 0);
	assert_int_equal(launch_receive(&fixture->launch), LAUNCH_TERMINAL);
	assert_int_equal(launch_receive(&fixture->launch), LAUNCH_READY);
	assert_int_equal(launch_receive(&fixture->launch), -EAGAIN);
	/* Not the one that a report was about: it must not be signalled. */
	fd_close(&fixture->launch.pidfd);
	assert_int_equal(launch_release(&fixture->launch), 0);
	fd_close(&fixture->theirs);
	assert_int_equal(launch_receive(&fixture->launch), LAUNCH_EXECED);
	assert_int_equal(launch_receive(&fixture->launch), -EAGAIN);
	assert_int_equal(launch_release(&fixture->launch), -EPIPE);
}

/* A helper that becomes the workload is known by the agent, and says nothing of its pid that counts. */
static void test_direct(void **state)
{
	struct fixture *fixture = *state;

	fixture->launch.direct = true;
	fixture->launch.helper_pid = 42;
	fixture->launch.helper_pidfd = dup(fixture->theirs);
	report(fixture, LAUNCH_PROCESS, 1, 1);
	report(fixture, LAUNCH_READY, 0, 0);
	assert_int_equal(launch_receive(&fixture->launch), LAUNCH_PROCESS);
	assert_int_equal(fixture->launch.pid, 42);
	assert_true(fixture->launch.pidfd >= 0 && fixture->launch.pidfd != fixture->launch.helper_pidfd);
	assert_true(fixture->launch.pid_namespace >= 0);
	assert_int_equal(launch_receive(&fixture->launch), LAUNCH_READY);
	report(fixture, LAUNCH_PROCESS, 43, 1);
	assert_int_equal(launch_receive(&fixture->launch), LAUNCH_FAILED);
	assert_int_equal(fixture->launch.pid, 42);
	/* They are this test's. */
	fd_close(&fixture->launch.pidfd);
	fd_close(&fixture->launch.helper_pidfd);
}

static void test_death_on_the_way(void **state)
{
	struct fixture *fixture = *state;

	fd_close(&fixture->theirs);
	assert_int_equal(launch_receive(&fixture->launch), LAUNCH_FAILED);
	assert_int_equal(fixture->launch.failure_class, LAUNCH_OTHER);
}

static void test_failure_is_made_printable(void **state)
{
	struct fixture *fixture = *state;
	struct report message = {.type = LAUNCH_FAILED, .failure_class = 77, .failure_number = -5};

	memset(message.text, 'x', sizeof(message.text)); /* no end */
	message.text[3] = '\n';
	message.text[4] = '\x1b';
	assert_int_equal(fd_send(fixture->theirs, &message, sizeof(message), NULL, 0), 0);
	assert_int_equal(launch_receive(&fixture->launch), LAUNCH_FAILED);
	assert_int_equal(fixture->launch.failure_class, LAUNCH_OTHER);
	assert_int_equal(fixture->launch.failure.number, EIO);
	assert_int_equal(strlen(fixture->launch.failure.text), ERROR_TEXT_SIZE - 1);
	assert_memory_equal(fixture->launch.failure.text, "xxx??xxx", 8);
}

static void test_nonsense(void **state)
{
	static const struct {
		uint32_t type;
		pid_t pid;
		size_t fds;
	} cases[] = {
		{0, 0, 0},	      {LAUNCH_EXECED, 0, 0},	{UINT32_MAX, 0, 1},	{LAUNCH_READY, 0, 0},
		{LAUNCH_PROCESS, 0, 1},  {LAUNCH_PROCESS, -1, 1}, {LAUNCH_PROCESS, 5, 0}, {LAUNCH_PROCESS, 5, 3},
		{LAUNCH_TERMINAL, 0, 0}, {LAUNCH_TERMINAL, 0, 1}, {LAUNCH_FAILED, 0, 1},	{REPORT_PROCFS, 0, 2},
	};
	struct fixture *fixture = *state;
	int before = open_fds();

	for (size_t i = 0; i < array_size(cases); i++) {
		fixture->launch.over = false;
		report(fixture, cases[i].type, cases[i].pid, cases[i].fds);
		assert_int_equal(launch_receive(&fixture->launch), LAUNCH_FAILED);
		assert_int_equal(open_fds(), before);
	}
}

static void test_wrong_sizes(void **state)
{
	struct fixture *fixture = *state;
	char bytes[2 * sizeof(struct report)] = "";
	static const size_t sizes[] = {1, sizeof(struct report) - 1, sizeof(struct report) + 1, sizeof(bytes)};

	for (size_t i = 0; i < array_size(sizes); i++) {
		fixture->launch.over = false;
		assert_int_equal(fd_send(fixture->theirs, bytes, sizes[i], NULL, 0), 0);
		assert_int_equal(launch_receive(&fixture->launch), LAUNCH_FAILED);
	}
}

static void test_twice(void **state)
{
	struct fixture *fixture = *state;
	int before;

	report(fixture, LAUNCH_PROCESS, 42, 1);
	assert_int_equal(launch_receive(&fixture->launch), LAUNCH_PROCESS);
	fd_close(&fixture->launch.pidfd);
	before = open_fds();
	report(fixture, LAUNCH_PROCESS, 43, 1);
	assert_int_equal(launch_receive(&fixture->launch), LAUNCH_FAILED);
	assert_int_equal(fixture->launch.pid, 42);
	assert_int_equal(open_fds(), before);
}

/* Its caller has made streams of the first one, and would lose them. */
static void test_second_terminal(void **state)
{
	struct fixture *fixture = *state;
	int before = open_fds();

	fixture->launch.terminal_due = true;
	report(fixture, LAUNCH_TERMINAL, 0, 1);
	assert_int_equal(launch_receive(&fixture->launch), LAUNCH_TERMINAL);
	fd_close(&fixture->launch.terminal);
	report(fixture, LAUNCH_TERMINAL, 0, 1);
	assert_int_equal(launch_receive(&fixture->launch), LAUNCH_FAILED);
	assert_int_equal(open_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_direct, setup, teardown),
		cmocka_unit_test_setup_teardown(test_death_on_the_way, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failure_is_made_printable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nonsense, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(test_second_terminal, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
