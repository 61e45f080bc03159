// uses: runtime/run_directory.c runtime/name.c lib/loop.c lib/error.c lib/fd.c lib/path.c
/* Run directories: names in use, and what the dead have left. In a folder of its own, by NACRE_RUNTIME_DIR. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

/* Makes a directory in another process, which dies at once: how it is kept is the caller's to say. */
static void leave_dead(bool keep)
{
	struct run_directory directory;
	struct error error;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		status = run_directory_create(&directory, NAME, &error);
		if (status == 0 && keep)
			status = run_directory_keep(&directory, &error);
		_exit(status != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static size_t count_names(void)
{
	struct error error;
	char **names = run_directory_list(&error);
	size_t count = 0;

	assert_non_null(names);
	while (names[count])
		count++;
	run_directory_free_list(names);
	return count;
}

/* The dead who are to be kept hold their name until they are removed. */
static void kept(void **state)
{
	struct run_directory directory, other;
	struct error error;

	(void)state;
	assert_int_equal(run_directory_open(&directory, NAME, &error), -ENOENT);
	assert_int_equal(count_names(), 0);
	leave_dead(true);
	assert_int_equal(run_directory_create(&other, NULL, &error), 0);
	run_directory_remove(&other);
	assert_int_equal(count_names(), 1);
	assert_int_equal(run_directory_create(&other, NAME, &error), -EEXIST);
	assert_non_null(strstr(error.text, "nacre rm " NAME));
	assert_int_equal(run_directory_open(&directory, NAME, &error), 0);
	assert_false(run_directory_alive(&directory));
	assert_int_equal(run_directory_discard(&directory, &error), 0);
	run_directory_close(&directory);
	assert_int_equal(count_names(), 0);
}

/* The living are seen as such without being disturbed, and can't be discarded. */
static void alive(void **state)
{
	struct run_directory directory, own;
	struct error error;

	(void)state;
	assert_int_equal(run_directory_create(&own, NAME, &error), 0);
	assert_int_equal(run_directory_open(&directory, NAME, &error), 0);
	assert_string_equal(directory.path, own.path);
	assert_true(run_directory_alive(&directory));
	assert_int_equal(run_directory_discard(&directory, &error), -EBUSY);
	run_directory_close(&own);
	assert_false(run_directory_alive(&directory));
	run_directory_close(&directory);
}

/* A monitor's lock goes a moment after its connections: who knows of its end waits for that, and can discard it then. */
static void the_end_is_awaited(void **state)
{
	volatile bool *ending = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct run_directory directory, own;
	struct error error;
	int ready[2];
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		run_directory_create(&own, NAME, &error);
		/* What clients see of its end. */
		close(ready[0]);
		close(ready[1]);
		/* And the rest of it: the longer, the surer a look that doesn't wait is found out. */
		usleep(100000);
		*ending = true;
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 0);
	close(ready[0]);
	assert_int_equal(run_directory_open(&directory, NAME, &error), 0);
	run_directory_await_end(&directory);
	assert_true(*ending);
	assert_int_equal(run_directory_discard(&directory, &error), 0);
	run_directory_close(&directory);
	waitpid(pid, NULL, 0);
	munmap((void *)ending, 1);
}

/* Who has opened the old one of a name doesn't remove the new one. */
static void not_another(void **state)
{
	struct run_directory old, own;
	struct error error;

	(void)state;
	leave_dead(true);
	assert_int_equal(run_directory_open(&old, NAME, &error), 0);
	assert_int_equal(run_directory_open(&own, NAME, &error), 0);
	assert_int_equal(run_directory_discard(&own, &error), 0);
	run_directory_close(&own);
	assert_int_equal(run_directory_create(&own, NAME, &error), 0);
	assert_int_equal(run_directory_discard(&old, &error), 0);
	run_directory_close(&old);
	assert_int_equal(count_names(), 1);
	run_directory_remove(&own);
}

static void stripped(void **state)
{
	static const char *const names[] = {"lock", "wanted", NULL};
	struct run_directory directory;
	struct error error;
	char path[RUN_FILE_SIZE];

	(void)state;
	assert_int_equal(run_directory_create(&directory, NAME, &error), 0);
	assert_int_equal(run_directory_write(&directory, "wanted", "x", &error), 0);
	assert_int_equal(run_directory_write(&directory, "big", "x", &error), 0);
	assert_int_equal(mkdirat(directory.fd, "folder", 0700), 0);
	run_directory_strip(&directory, names);
	assert_int_equal(access(run_directory_file(&directory, "wanted", path), F_OK), 0);
	assert_int_equal(access(run_directory_file(&directory, "big", path), F_OK), -1);
	assert_int_equal(access(run_directory_file(&directory, "folder", path), F_OK), -1);
	run_directory_remove(&directory);
}

static void bad_names(void **state)
{
	struct run_directory directory;
	struct error error;

	(void)state;
	assert_int_equal(run_directory_create(&directory, "..", &error), -EINVAL);
	assert_int_equal(run_directory_create(&directory, "a/b", &error), -EINVAL);
	assert_int_equal(run_directory_open(&directory, "..", &error), -ENOENT);
	assert_int_equal(run_directory_open(&directory, "", &error), -ENOENT);
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
	return mkdtemp(folder) && setenv("NACRE_RUNTIME_DIR", folder, 1) == 0 ? 0 : -1;
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
		cmocka_unit_test(kept),
		cmocka_unit_test(alive),
		cmocka_unit_test(the_end_is_awaited),
		cmocka_unit_test(not_another),
		cmocka_unit_test(stripped),
		cmocka_unit_test(bad_names),
		cmocka_unit_test(last_lines),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
