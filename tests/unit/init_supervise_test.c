// uses: init/supervise.c init/supervise_line.c init/supervise_end.c init/supervise_guest.c init/program.c init/reaper.c
// uses: init/fdstore.c init/early.c init/guest_cgroup.c init/power.c init/settings.c init/stop.c init/restart.c init/shell.c lib/shell.c
// uses: init/modules.c init/notify.c init/power_button.c lib/run_program.c
// uses: lib/mount_table.c lib/supervision.c lib/cmdline.c lib/fd.c lib/error.c lib/log.c lib/loop.c
/* The supervisor as an ordinary parent. The agent that it starts is this same program, which plays a scenario and
 * writes down what it saw; the test compares that. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/sched.h>

#include <cmocka.h>

#include "init/program.h"
#include "init/supervise.h"
#include "lib/supervision.h"

/* The agent's side --------------------------------------------------------------------------------------------- */

#define CHILDREN 300

static int book; /* where the agent writes down what it saw */

static void note(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vdprintf(book, format, arguments);
	va_end(arguments);
}

static void say(uint32_t type, pid_t pid)
{
	struct supervision_message message = {.type = type, .pid = pid};

	supervision_send(SUPERVISION_FD, &message, NULL, 0);
}

static void store(const char *name, const int *fds, size_t count)
{
	struct supervision_message message = {.type = SUPERVISION_STORE};

	strcpy(message.name, name);
	supervision_send(SUPERVISION_FD, &message, fds, count);
}

/* The number of descriptors that were restored; the first one in *fd, the names in the book. */
static size_t hear_restored(int *fd)
{
	struct supervision_message message;
	int fds[FD_MESSAGE_MAX];
	size_t count, sum = 0;

	*fd = -1;
	while (supervision_receive(SUPERVISION_FD, &message, fds, &count) > 0 && message.type == SUPERVISION_STORE) {
		note("store %s %zu\n", message.name, count);
		if (*fd < 0 && count > 0)
			*fd = fds[0];
		sum += count;
	}
	note(message.type == SUPERVISION_RESTORED ? "restored\n" : "unexpected %u\n", message.type);
	return sum;
}

static bool hear_exit(pid_t *pid, int *status)
{
	struct supervision_message message;
	int fds[FD_MESSAGE_MAX];
	size_t count;

	if (supervision_receive(SUPERVISION_FD, &message, fds, &count) <= 0 || message.type != SUPERVISION_EXITED)
		return false;
	*pid = message.pid;
	*status = message.status;
	return true;
}

/* A child of the supervisor's, as containers are. */
static pid_t make_sibling(void)
{
	struct clone_args arguments = {.flags = CLONE_PARENT};

	return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

static pid_t sibling_exits(int status)
{
	pid_t pid = make_sibling();

	if (pid == 0)
		_exit(status);
	return pid;
}

static void told_to_end(int signal)
{
	(void)signal;
	note("told\n");
	_exit(0);
}

static bool is_gone_soon(pid_t pid)
{
	for (int i = 0; i < 500; i++) {
		if (kill(pid, 0) < 0 && errno == ESRCH)
			return true;
		usleep(10000);
	}
	return false;
}

static int play_exits(void)
{
	pid_t exited = sibling_exits(7), killed = make_sibling(), pid;
	int status;

	if (killed == 0)
		for (;;)
			pause();
	say(SUPERVISION_READY, 0);
	if (hear_exit(&pid, &status) && pid == exited)
		note("first %d\n", status);
	/* A zombie until it is acknowledged; acknowledging another changes nothing. */
	say(SUPERVISION_ACK, killed);
	kill(killed, SIGKILL);
	usleep(50000);
	note("kept %d\n", kill(exited, 0));
	say(SUPERVISION_ACK, exited);
	if (hear_exit(&pid, &status) && pid == killed)
		note("second %d\n", status);
	say(SUPERVISION_ACK, killed);
	note("gone %d %d\n", is_gone_soon(exited), is_gone_soon(killed));
	return 0;
}

static int play_many(void)
{
	pid_t pids[CHILDREN], pid;
	int status, sum = 0, seen = 0, gone = 0;

	say(SUPERVISION_READY, 0);
	for (int i = 0; i < CHILDREN; i++)
		pids[i] = sibling_exits(i % 100);
	while (seen < CHILDREN && hear_exit(&pid, &status)) {
		seen++;
		sum += status;
		say(SUPERVISION_ACK, pid);
	}
	for (int i = 0; i < CHILDREN; i++)
		gone += is_gone_soon(pids[i]);
	note("seen %d sum %d gone %d\n", seen, sum, gone);
	return 0;
}

/* The first agent dies with an exit unacknowledged and one more to come; the second finds everything. */
static int play_restart(size_t restored, int fd)
{
	pid_t pid;
	int status, pipe_ends[2], many[FD_MESSAGE_MAX];
	char text[8] = "";

	say(SUPERVISION_READY, 0);
	if (restored > 0) {
		note("read %zd %s\n", read(fd, text, 5), text);
		for (int i = 0; i < 2 && hear_exit(&pid, &status); i++) {
			note("exit %d\n", status);
			say(SUPERVISION_ACK, pid);
		}
		return 0;
	}
	if (pipe(pipe_ends) < 0 || write(pipe_ends[1], "hello", 5) != 5)
		return 1;
	for (size_t i = 0; i < FD_MESSAGE_MAX; i++)
		many[i] = pipe_ends[1];
	store("dropped", pipe_ends, 2);
	store("pipe", pipe_ends, 1);
	store("many", many, FD_MESSAGE_MAX);
	struct supervision_message drop = {.type = SUPERVISION_DROP, .name = "dropped"};
	supervision_send(SUPERVISION_FD, &drop, NULL, 0);
	sibling_exits(5);
	hear_exit(&pid, &status);
	note("unacknowledged %d\n", status);
	sibling_exits(6);
	raise(SIGKILL);
	return 1;
}

/* What isn't understood costs the agent its life, and no more. */
static int play_junk(size_t restored)
{
	int end = dup(SUPERVISION_FD);

	if (restored > 0)
		return 0;
	store("seen", &end, 1);
	(void)!write(SUPERVISION_FD, "junk", 4);
	for (;;)
		pause();
}

/* A child with a grandchild, which tell their pids. `dies`: they mind SIGTERM and say so. */
static void make_family(bool dies)
{
	if (make_sibling() != 0)
		return;
	setsid();
	fork();
	if (dies)
		signal(SIGTERM, told_to_end);
	else
		signal(SIGTERM, SIG_IGN);
	note("pid %d\n", getpid());
	for (;;)
		pause();
}

/* Hears the next STOP, passing over exits, and notes what it says. */
static void hear_stop(void)
{
	struct supervision_message message;
	int fds[FD_MESSAGE_MAX];
	size_t count;

	while (supervision_receive(SUPERVISION_FD, &message, fds, &count) > 0 && message.type != SUPERVISION_STOP)
		say(SUPERVISION_ACK, message.pid);
	/* 3 seconds, less what has passed. */
	note(message.status > 0 && message.status <= 3000 ? "stop in time\n" : "stop in %d\n", message.status);
}

/* Asked to stop twice, as the supervisor has had two signals; it does, and ends in order. What is left is killed. */
static int play_stop(void)
{
	make_family(false);
	say(SUPERVISION_READY, 0);
	note("ready %d\n", getppid());
	hear_stop();
	say(SUPERVISION_STOP, 0);
	kill(getppid(), SIGTERM);
	hear_stop();
	return 0;
}

/* Dies in the middle of all, or doesn't listen: then the supervisor does what is to be done. */
static void __attribute__((noreturn)) play_deaf(void)
{
	make_family(true);
	say(SUPERVISION_READY, 0);
	note("ready %d\n", getppid());
	for (;;)
		pause();
}

static void __attribute__((noreturn)) play_death(void)
{
	make_family(true);
	say(SUPERVISION_READY, 0);
	note("ready %d\n", getppid());
	hear_stop();
	raise(SIGKILL);
	_exit(1);
}

static int play_agent(int argc, char **argv)
{
	size_t restored;
	int fd, status = 1;

	if (argc < 3 || strcmp(argv[1], "usage") == 0)
		return 2;
	book = open(argv[2], O_WRONLY | O_APPEND | O_CLOEXEC);
	restored = hear_restored(&fd);
	if (strcmp(argv[1], "exits") == 0)
		status = play_exits();
	else if (strcmp(argv[1], "many") == 0)
		status = play_many();
	else if (strcmp(argv[1], "restart") == 0)
		status = play_restart(restored, fd);
	else if (strcmp(argv[1], "junk") == 0)
		status = play_junk(restored);
	else if (strcmp(argv[1], "stop") == 0)
		status = play_stop();
	else if (strcmp(argv[1], "deaf") == 0)
		play_deaf();
	else if (strcmp(argv[1], "death") == 0)
		play_death();
	say(SUPERVISION_POWER_OFF, 0);
	return status;
}

/* The test's side ---------------------------------------------------------------------------------------------- */

static char book_path[] = "/tmp/nacre-supervise-XXXXXX";
static char seen[4096];

/* A supervisor in a process of its own, as it becomes a subreaper and blocks signals. */
static pid_t start_supervisor(const char *scenario)
{
	pid_t pid;

	book = mkstemp(book_path);
	assert_true(book >= 0);
	pid = fork();
	if (pid == 0) {
		char *arguments[] = {(char *)"agent", (char *)scenario, book_path, NULL};

		alarm(60);
		_exit(supervise_here(arguments));
	}
	return pid;
}

static int wait_for(pid_t supervisor)
{
	int status;

	assert_int_equal(waitpid(supervisor, &status, 0), supervisor);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static const char *read_book(void)
{
	ssize_t length = pread(book, seen, sizeof(seen) - 1, 0);

	seen[length < 0 ? 0 : length] = '\0';
	return seen;
}

static int close_book(void **state)
{
	(void)state;
	close(book);
	unlink(book_path);
	strcpy(strrchr(book_path, '-'), "-XXXXXX");
	return 0;
}

static void exits_are_reported_and_kept_until_acknowledged(void **state)
{
	(void)state;
	assert_int_equal(wait_for(start_supervisor("exits")), 0);
	assert_string_equal(read_book(), "restored\nfirst 7\nkept 0\nsecond 137\ngone 1 1\n");
}

static void many_exits_at_once_are_each_reported_once(void **state)
{
	(void)state;
	assert_int_equal(wait_for(start_supervisor("many")), 0);
	assert_string_equal(read_book(), "restored\nseen 300 sum 14850 gone 300\n");
}

static void a_new_agent_gets_descriptors_and_exits_of_the_old_one(void **state)
{
	(void)state;
	assert_int_equal(wait_for(start_supervisor("restart")), 0);
	assert_string_equal(read_book(), "restored\nunacknowledged 5\n"
					 "store pipe 1\nstore many 253\nrestored\nread 5 hello\nexit 5\nexit 6\n");
}

static void an_agent_that_talks_nonsense_is_replaced(void **state)
{
	(void)state;
	assert_int_equal(wait_for(start_supervisor("junk")), 0);
	assert_string_equal(read_book(), "restored\nstore seen 1\nrestored\n");
}

static void an_agent_that_refuses_to_start_ends_the_supervisor(void **state)
{
	(void)state;
	assert_int_equal(wait_for(start_supervisor("usage")), 2);
}

/* Starts a supervisor whose agent has a family, sends SIGTERM, and returns how often `word` is in the book at the end, when
 * nobody of the family may be left. */
static int stop_with_family(const char *scenario, const char *word)
{
	pid_t supervisor = start_supervisor(scenario), family[2] = {0};
	const char *text = "";
	int count = 0;

	for (int i = 0; i < 500 && (!strstr(text, "ready") || family[1] == 0); i++) {
		const char *first;

		usleep(10000);
		text = read_book();
		first = strstr(text, "pid ");
		if (first && strstr(first + 1, "pid ")) {
			family[0] = atoi(first + 4);
			family[1] = atoi(strstr(first + 1, "pid ") + 4);
		}
	}
	assert_true(family[0] > 0 && family[1] > 0);
	kill(supervisor, SIGTERM);
	assert_int_equal(wait_for(supervisor), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(kill(family[i], 0), -1);
	for (text = read_book(); (text = strstr(text, word)); text++)
		count++;
	return count;
}

static void the_agent_is_asked_to_stop_and_what_it_leaves_is_killed(void **state)
{
	(void)state;
	assert_int_equal(stop_with_family("stop", "stop in time\n"), 1);
	/* The second signal: at once. */
	assert_non_null(strstr(seen, "stop in 0\n"));
}

static void where_the_agent_does_not_listen_its_children_are_told_by_the_supervisor(void **state)
{
	(void)state;
	/* Every child of its own, as containers' first processes are; theirs where it has become its own in time. */
	assert_in_range(stop_with_family("deaf", "told\n"), 1, 2);
}

static void where_the_agent_dies_its_children_are_told_by_the_supervisor(void **state)
{
	(void)state;
	assert_in_range(stop_with_family("death", "told\n"), 1, 2);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(exits_are_reported_and_kept_until_acknowledged, close_book),
		cmocka_unit_test_teardown(many_exits_at_once_are_each_reported_once, close_book),
		cmocka_unit_test_teardown(a_new_agent_gets_descriptors_and_exits_of_the_old_one, close_book),
		cmocka_unit_test_teardown(an_agent_that_talks_nonsense_is_replaced, close_book),
		cmocka_unit_test_teardown(an_agent_that_refuses_to_start_ends_the_supervisor, close_book),
		cmocka_unit_test_teardown(the_agent_is_asked_to_stop_and_what_it_leaves_is_killed, close_book),
		cmocka_unit_test_teardown(where_the_agent_does_not_listen_its_children_are_told_by_the_supervisor, close_book),
		cmocka_unit_test_teardown(where_the_agent_dies_its_children_are_told_by_the_supervisor, close_book),
	};
	const char *role = getenv(SUPERVISION_ROLE);

	if (role && strcmp(role, "agent") == 0)
		_exit(play_agent(argc, argv));
	setenv("NACRE_STOP_TIMEOUT", "3", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
