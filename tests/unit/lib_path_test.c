// uses: lib/path.c lib/error.c lib/fd.c
/* Paths inside a root that somebody hostile has built. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/path.h"

static unsigned renames; /* that still come in between */

/* In the place of libc's: as the kernel has it while somebody renames. */
long syscall(long number, ...)
{
	long arguments[4];
	va_list list;

	va_start(list, number);
	for (size_t i = 0; i < 4; i++)
		arguments[i] = va_arg(list, long);
	va_end(list);
	if (renames > 0 && number == SYS_openat2) {
		renames--;
		errno = EAGAIN;
		return -1;
	}
	return ((long (*)(long, ...))dlsym(RTLD_NEXT, "syscall"))(number, arguments[0], arguments[1], arguments[2], arguments[3]);
}

static char base[64]; /* has root/, and outside/ beside it */
static int base_fd, root;

static int make_roots(void **state)
{
	(void)state;
	snprintf(base, sizeof(base), "/tmp/nacre-path-test-XXXXXX");
	if (!mkdtemp(base))
		return -1;
	base_fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mkdirat(base_fd, "root", 0755);
	mkdirat(base_fd, "outside", 0755);
	root = openat(base_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(openat(root, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	symlinkat("../outside", root, "up");
	symlinkat("/etc", root, "absolute");
	symlinkat("loop", root, "loop");
	symlinkat("/proc/self/root", root, "magic");
	return root < 0;
}

static int remove_roots(void **state)
{
	(void)state;
	close(root);
	path_remove_tree(AT_FDCWD, base, NULL);
	close(base_fd);
	return 0;
}

static bool same(int fd, int directory, const char *path)
{
	struct stat one, other;

	return fstat(fd, &one) == 0 && fstatat(directory, path, &other, 0) == 0 && one.st_ino == other.st_ino &&
	       one.st_dev == other.st_dev;
}

static void what_is_there_is_opened(void **state)
{
	struct error error;
	int fd = path_open_in_root(root, "/file", O_RDONLY, 0, &error);

	(void)state;
	assert_true(fd >= 0);
	assert_true(same(fd, root, "file"));
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	assert_int_equal(path_open_in_root(root, "missing", O_RDONLY, 0, &error), -ENOENT);
}

static void dots_stay_inside(void **state)
{
	static const char *const paths[] = {"../../../file", "/../file", "../outside/../file", "up/../file"};
	struct error error;
	int fd;

	(void)state;
	fd = path_open_in_root(root, paths[0], O_RDONLY, 0, &error);
	assert_true(same(fd, root, "file"));
	close(fd);
	fd = path_open_in_root(root, paths[1], O_RDONLY, 0, &error);
	assert_true(same(fd, root, "file"));
	close(fd);
	assert_true(path_open_in_root(root, paths[2], O_RDONLY, 0, &error) < 0);
	assert_true(path_open_in_root(root, paths[3], O_RDONLY, 0, &error) < 0);
}

static void links_stay_inside(void **state)
{
	struct error error;
	int fd;

	(void)state;
	assert_true(path_open_in_root(root, "absolute/passwd", O_RDONLY, 0, &error) < 0);
	fd = path_make_directories(root, "up/made", 0755, &error);
	if (fd >= 0)
		close(fd);
	assert_int_not_equal(faccessat(base_fd, "outside/made", F_OK, 0), 0);
	fd = path_make_file(root, "up/file", 0644, &error);
	if (fd >= 0)
		close(fd);
	assert_int_not_equal(faccessat(base_fd, "outside/file", F_OK, 0), 0);
}

static void loops_and_magic_links_are_refused(void **state)
{
	struct error error;

	(void)state;
	assert_int_equal(path_open_in_root(root, "loop", O_RDONLY, 0, &error), -ELOOP);
	assert_true(path_open_in_root(root, "magic/etc", O_RDONLY, 0, &error) < 0);
}

static void directories_and_files_are_made(void **state)
{
	struct error error;
	int fd = path_make_directories(root, "a/b/c", 0750, &error);

	(void)state;
	assert_true(same(fd, root, "a/b/c"));
	close(fd);
	fd = path_make_directories(root, "/a/b/../b//c/.", 0750, &error);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(path_make_directories(root, "file/x", 0750, &error), -ENOTDIR);
	fd = path_make_file(root, "d/e/f", 0640, &error);
	assert_true(same(fd, root, "d/e/f"));
	close(fd);
	fd = path_make_file(root, "file", 0640, &error);
	assert_true(same(fd, root, "file"));
	close(fd);
}

static void renames_are_waited_out_but_not_for_ever(void **state)
{
	struct error error;
	int fd;

	(void)state;
	renames = 100;
	fd = path_open_in_root(root, "/file", O_RDONLY, 0, &error);
	assert_int_equal(renames, 0);
	assert_true(same(fd, root, "file"));
	close(fd);
	renames = UINT_MAX;
	assert_int_equal(path_open_in_root(root, "/file", O_RDONLY, 0, &error), -EBUSY);
	assert_non_null(strstr(error.text, "/file"));
	assert_non_null(strstr(error.text, "renames"));
	assert_int_equal(path_make_directories(root, "a/b", 0755, &error), -EBUSY);
	assert_int_equal(path_make_file(root, "a/b", 0644, &error), -EBUSY);
	assert_int_equal(path_open_beneath(root, "file", O_RDONLY, 0), -EBUSY);
	renames = 0;
}

static void a_tree_is_removed_without_following(void **state)
{
	struct error error;

	(void)state;
	close(openat(base_fd, "outside/kept", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	mkdirat(root, "tree", 0755);
	mkdirat(root, "tree/deep", 0);
	symlinkat("../../outside", root, "tree/link");
	close(openat(root, "tree/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0));
	assert_int_equal(path_remove_tree(root, "tree", &error), 0);
	assert_int_not_equal(faccessat(root, "tree", F_OK, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(path_remove_tree(root, "tree", &error), 0);
	assert_int_equal(path_remove_tree(root, "up", &error), 0);
	assert_int_equal(faccessat(base_fd, "outside/kept", F_OK, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_there_is_opened, make_roots, remove_roots),
		cmocka_unit_test_setup_teardown(dots_stay_inside, make_roots, remove_roots),
		cmocka_unit_test_setup_teardown(links_stay_inside, make_roots, remove_roots),
		cmocka_unit_test_setup_teardown(loops_and_magic_links_are_refused, make_roots, remove_roots),
		cmocka_unit_test_setup_teardown(directories_and_files_are_made, make_roots, remove_roots),
		cmocka_unit_test_setup_teardown(renames_are_waited_out_but_not_for_ever, make_roots, remove_roots),
		cmocka_unit_test_setup_teardown(a_tree_is_removed_without_following, make_roots, remove_roots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
