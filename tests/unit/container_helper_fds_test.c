// uses: agent/container/helper_fds.c lib/fd.c lib/error.c
/* Which of the agent's descriptors a helper keeps: each test in a process of its own, as the helper is one. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container/helper.h"

#include <cmocka.h>

#define HIGHEST 200

static struct helper helper;

/* Numbers all over the table, as in an agent that has been running for a while. */
static void open_many(void)
{
	for (int fd = 3; fd < HIGHEST; fd++)
		if (dup2(STDERR_FILENO, fd) < 0)
			_exit(99);
}

static void wants_nothing(unsigned preserved)
{
	helper = (struct helper){.report = 150, .stdio = {20, -1, 40}, .plan.init_pidfd = -1};
	helper.plan.process.preserved_fds = preserved;
	for (size_t i = 0; i < PLAN_NAMESPACES; i++)
		helper.plan.namespaces[i].fd = -1;
}

static int open_count(void)
{
	int count = 0;

	for (int fd = 0; fd < HIGHEST + 100; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static bool is_null(int fd)
{
	struct stat stat, null;

	return fstat(fd, &stat) == 0 && lstat("/dev/null", &null) == 0 && stat.st_rdev == null.st_rdev;
}

/* Those that it was given, no others, all close-on-exec; and nothing of the agent's as standard streams. */
static int keeps_its_own(void)
{
	open_many();
	wants_nothing(0);
	helper.plan.init_pidfd = 7;
	helper.plan.namespaces[PLAN_PID].fd = 199;
	if (helper_keep_fds(&helper) < 0)
		return 1;
	const int own[] = {helper.report, helper.stdio[0], helper.stdio[2], helper.plan.init_pidfd,
			   helper.plan.namespaces[PLAN_PID].fd};
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (own[i] < 3 || !(fcntl(own[i], F_GETFD) & FD_CLOEXEC))
			return 2;
	if (helper.stdio[1] != -1 || open_count() != 3 + 5)
		return 3;
	return is_null(0) && is_null(1) && is_null(2) ? 0 : 4;
}

/* And those which the workload is to have, with their numbers. */
static int keeps_what_is_preserved(void)
{
	open_many();
	wants_nothing(2);
	if (helper_keep_fds(&helper) < 0)
		return 1;
	if (open_count() != 3 + 2 + 3 || fcntl(3, F_GETFD) < 0 || fcntl(4, F_GETFD) < 0)
		return 2;
	return helper.report > 4 && helper.stdio[0] > 4 && helper.stdio[2] > 4 ? 0 : 3;
}

static int misses_what_is_preserved(void)
{
	wants_nothing(2);
	helper.report = helper.stdio[0] = helper.stdio[2] = -1;
	close(3);
	return helper_keep_fds(&helper) < 0 && strstr(helper.error.text, "keep descriptor 3") ? 0 : 1;
}

static int status_of(int (*work)(void))
{
	pid_t child = fork();
	int status = -1;

	if (child == 0)
		_exit(work());
	waitpid(child, &status, 0);
	return status;
}

static void test_own(void **state)
{
	(void)state;
	assert_int_equal(status_of(keeps_its_own), 0);
}

static void test_preserved(void **state)
{
	(void)state;
	assert_int_equal(status_of(keeps_what_is_preserved), 0);
	assert_int_equal(status_of(misses_what_is_preserved), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_preserved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
