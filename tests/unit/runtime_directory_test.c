// uses: runtime/run_directory.c runtime/name.c lib/loop.c lib/error.c lib/fd.c lib/path.c
/* Run directories: names in use, and what the dead have left. Needs no root: XDG_RUNTIME_DIR, or /run/nacre. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/path.h"
#include "runtime/run_directory.h"

#define NAME "nacre-unit-test-of-directories"

static char folder[] = "/tmp/nacre-directory-test-XXXXXX";

static void in_use(void **state)
{
	struct run_directory first, second;
	struct error error;
	struct stat stat_;

	(void)state;
	assert_int_equal(run_directory_create(&first, NAME, &error), 0);
	assert_int_equal(stat(first.path, &stat_), 0);
	assert_int_equal(stat_.st_mode & 0777, 0700);
	assert_int_equal(run_directory_create(&second, NAME, &error), -EEXIST);
	assert_non_null(strstr(error.text, "in use"));
	run_directory_remove(&first);
	assert_int_equal(stat(first.path, &stat_), -1);
	assert_int_equal(run_directory_create(&second, NAME, &error), 0);
	run_directory_remove(&second);
	run_directory_remove(&second); /* twice is once */
}

static void dead_are_removed(void **state)
{
	struct run_directory directory;
	struct error error;
	struct stat stat_;
	char path[RUN_FILE_SIZE];
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		status = run_directory_create(&directory, NAME, &error);
		if (status == 0)
			status = run_directory_write(&directory, "status.json", "{}", &error);
		_exit(status != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(run_directory_create(&directory, NAME, &error), 0);
	assert_int_equal(stat(run_directory_file(&directory, "status.json", path), &stat_), -1);
	run_directory_remove(&directory);
}

static void bad_names(void **state)
{
	struct run_directory directory;
	struct error error;

	(void)state;
	assert_int_equal(run_directory_create(&directory, "..", &error), -EINVAL);
	assert_int_equal(run_directory_create(&directory, "a/b", &error), -EINVAL);
	run_directory_remove(&directory);
}

static void last_lines(void **state)
{
	struct run_directory directory;
	struct error error;
	char line[16], *big = malloc(10001);

	(void)state;
	assert_int_equal(run_directory_create(&directory, NULL, &error), 0);
	run_directory_last_line(&directory, "log", NULL, line, sizeof(line));
	assert_string_equal(line, "");
	assert_int_equal(run_directory_write(&directory, "log", "one panic\ntwo\n\n \n", &error), 0);
	run_directory_last_line(&directory, "log", NULL, line, sizeof(line));
	assert_string_equal(line, "two");
	run_directory_last_line(&directory, "log", "panic", line, sizeof(line));
	assert_string_equal(line, "one panic");
	run_directory_last_line(&directory, "log", "none", line, sizeof(line));
	assert_string_equal(line, "");
	assert_int_equal(run_directory_write(&directory, "log", "\n\033[31mred\a", &error), 0);
	run_directory_last_line(&directory, "log", NULL, line, sizeof(line));
	assert_string_equal(line, "?[31mred?");
	memset(big, 'x', 10000);
	big[10000] = '\0';
	assert_int_equal(run_directory_write(&directory, "log", big, &error), 0);
	run_directory_last_line(&directory, "log", NULL, line, sizeof(line));
	assert_int_equal(strlen(line), sizeof(line) - 1);
	free(big);
	run_directory_remove(&directory);
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) && setenv("XDG_RUNTIME_DIR", folder, 1) == 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return path_remove_tree(AT_FDCWD, folder, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_use),
		cmocka_unit_test(dead_are_removed),
		cmocka_unit_test(bad_names),
		cmocka_unit_test(last_lines),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
