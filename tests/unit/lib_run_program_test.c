// uses: lib/run_program.c lib/fd.c lib/error.c lib/loop.c
/* Programs that end well, badly, never, or can't be started: by shell scripts. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <signal.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/loop.h"
#include "lib/run_program.h"

static struct error error;

static int run(const char *script, uint64_t timeout)
{
	char *arguments[] = {(char *)"/bin/sh", (char *)"-c", (char *)script, NULL};

	error = (struct error){0};
	return run_program(arguments, timeout, &error);
}

static void a_program_that_ends_well_is_no_error(void **state)
{
	(void)state;
	assert_int_equal(run("echo anything; exit 0", 30 * LOOP_SECOND), 0);
	/* Whatever it prints, and however much. */
	assert_int_equal(run("i=0; while [ $i -lt 5000 ]; do echo a line of some length >&2; i=$((i + 1)); done",
			     60 * LOOP_SECOND), 0);
}

static void what_it_prints_says_what_failed(void **state)
{
	(void)state;
	assert_int_equal(run("printf '\\nmodule nope not found\\r\\n\\n' >&2; echo more; exit 1", 30 * LOOP_SECOND), -EIO);
	assert_string_equal(error.text, "/bin/sh: module nope not found more");
	assert_int_equal(run("exit 3", 30 * LOOP_SECOND), -EIO);
	assert_string_equal(error.text, "/bin/sh ended with status 3");
	assert_int_equal(run("kill -9 $$", 30 * LOOP_SECOND), -EIO);
	assert_string_equal(error.text, "/bin/sh was killed by signal 9");
}

static void one_that_is_not_there_is_named(void **state)
{
	char *arguments[] = {(char *)"/nowhere/modprobe", NULL};

	(void)state;
	assert_int_equal(run_program(arguments, LOOP_SECOND, &error), -ENOENT);
	assert_string_equal(error.text, "/nowhere/modprobe: No such file or directory");
}

static void one_that_does_not_end_is_ended(void **state)
{
	int status;

	(void)state;
	/* What loses its parent becomes ours, and is there to be looked at. */
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	assert_int_equal(run("sleep 1000 & wait", 50 * LOOP_MILLISECOND), -ETIMEDOUT);
	alarm(20);
	assert_true(waitpid(-1, &status, 0) > 0);
	alarm(0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

static void a_grandchild_with_its_output_is_not_waited_for(void **state)
{
	(void)state;
	assert_int_equal(run("sleep 20 & exit 0", 10 * LOOP_SECOND), 0);
}

static void it_reads_and_writes_what_it_is_given(void **state)
{
	char *arguments[] = {(char *)"/bin/sh", (char *)"-c", (char *)"tr a-z A-Z; echo seen >&2; exit $FAILS", NULL};
	char text[32] = "";
	FILE *input = tmpfile(), *output = tmpfile();

	(void)state;
	fputs("some text", input);
	rewind(input);
	assert_int_equal(run_program_on(arguments, fileno(input), fileno(output), 30 * LOOP_SECOND, &error), 0);
	rewind(output);
	assert_non_null(fgets(text, sizeof(text), output));
	assert_string_equal(text, "SOME TEXT");
	setenv("FAILS", "1", 1);
	assert_int_equal(run_program_on(arguments, fileno(input), fileno(output), 30 * LOOP_SECOND, &error), -EIO);
	assert_string_equal(error.text, "/bin/sh: seen");
	fclose(input);
	fclose(output);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_that_ends_well_is_no_error),
		cmocka_unit_test(what_it_prints_says_what_failed),
		cmocka_unit_test(one_that_is_not_there_is_named),
		cmocka_unit_test(it_reads_and_writes_what_it_is_given),
		cmocka_unit_test(one_that_does_not_end_is_ended),
		cmocka_unit_test(a_grandchild_with_its_output_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
