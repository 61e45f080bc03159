// uses: agent/copy_file.c lib/path.c lib/error.c
/* CopyFile: what it makes, and that no path gets it out of its folder (security.md A03). Works on a tmpfs of its own. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/copy_file.h"

static struct copy_file regular(const char *path, const char *text)
{
	return (struct copy_file){
		.path = path,
		.size = (int64_t)strlen(text),
		.mode = S_IFREG | 0640,
		.directory_mode = 0750,
		.uid = 12,
		.gid = 34,
		.data = text,
		.length = strlen(text),
	};
}

static int run(const struct copy_file *copy)
{
	struct error error = {0};
	int status = copy_file_check(copy, &error);

	return status < 0 ? status : copy_file(copy, &error);
}

static void assert_text(const char *path, const char *expected)
{
	char text[256] = "";
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_true(read(fd, text, sizeof(text) - 1) >= 0);
	close(fd);
	assert_string_equal(text, expected);
}

/* In a chroot "/" may be no mount point, and its mount out of reach: so /run is made one, which is private. */
static int fresh_folder(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNS) < 0 || (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 && errno != EINVAL))
		return -1;
	if (mount("/run", "/run", NULL, MS_BIND, NULL) < 0 || mount(NULL, "/run", NULL, MS_PRIVATE, NULL) < 0)
		return -1;
	return mount("tmpfs", "/run", "tmpfs", 0, NULL);
}

/* Where the mount below is a shared one, the bind is seen by others until here. */
static int drop_folder(void **state)
{
	(void)state;
	return umount("/run") < 0 || umount("/run") < 0 ? -1 : 0;
}

static void makes_file_with_owner_and_mode(void **state)
{
	struct copy_file copy = regular(COPY_FILE_ROOT "/a/b/file.conf", "hello");
	struct stat status;

	(void)state;
	assert_int_equal(run(&copy), 0);
	assert_text(copy.path, "hello");
	assert_int_equal(stat(copy.path, &status), 0);
	assert_int_equal(status.st_mode, S_IFREG | 0640);
	assert_int_equal(status.st_uid, 12);
	assert_int_equal(status.st_gid, 34);
	assert_int_equal(stat(COPY_FILE_ROOT "/a/b", &status), 0);
	assert_int_equal(status.st_mode, S_IFDIR | 0750);
	assert_int_equal(status.st_uid, 12);
}

static void file_in_parts_appears_whole(void **state)
{
	struct copy_file copy = regular(COPY_FILE_ROOT "/parts", "first ");

	(void)state;
	copy.size = 12;
	assert_int_equal(run(&copy), 0);
	assert_int_equal(access(copy.path, F_OK), -1);
	copy.data = "second";
	copy.offset = 6;
	assert_int_equal(run(&copy), 0);
	assert_text(copy.path, "first second");
}

static void empty_file_and_directory_and_symlink(void **state)
{
	struct copy_file copy = regular(COPY_FILE_ROOT "/empty", "");
	char target[64] = "";
	struct stat status;

	(void)state;
	assert_int_equal(run(&copy), 0);
	assert_text(copy.path, "");
	copy = regular(COPY_FILE_ROOT "/folder", "");
	copy.mode = S_IFDIR | 01777;
	assert_int_equal(run(&copy), 0);
	assert_int_equal(run(&copy), 0);
	assert_int_equal(stat(copy.path, &status), 0);
	assert_int_equal(status.st_mode, S_IFDIR | 01777);
	copy = regular(COPY_FILE_ROOT "/link", "/etc/passwd");
	copy.mode = S_IFLNK | 0777;
	assert_int_equal(run(&copy), 0);
	assert_true(readlink(copy.path, target, sizeof(target) - 1) > 0);
	assert_string_equal(target, "/etc/passwd");
}

static void never_leaves_its_folder(void **state)
{
	static const char *const bad[] = {
		"/etc/x",
		COPY_FILE_ROOT,
		COPY_FILE_ROOT "/",
		COPY_FILE_ROOT "x/y",
		COPY_FILE_ROOT "/../x",
		COPY_FILE_ROOT "/a/../../x",
		COPY_FILE_ROOT "/a//b",
		COPY_FILE_ROOT "/./a",
	};
	struct copy_file copy;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		copy = regular(bad[i], "x");
		assert_true(run(&copy) < 0);
	}
}

static void planted_links_are_not_followed_out(void **state)
{
	struct copy_file copy = regular(COPY_FILE_ROOT "/trap", "/run/outside");

	(void)state;
	assert_int_equal(mkdir("/run/outside", 0755), 0);
	copy.mode = S_IFLNK | 0777;
	assert_int_equal(run(&copy), 0);
	copy = regular(COPY_FILE_ROOT "/trap/file", "x");
	run(&copy);
	assert_int_equal(access("/run/outside/file", F_OK), -1);
	/* Nor is the last component, at any offset. */
	copy = regular(COPY_FILE_ROOT "/trap2", "/run/outside/made");
	copy.mode = S_IFLNK | 0777;
	assert_int_equal(run(&copy), 0);
	copy = regular(COPY_FILE_ROOT "/trap2", "x");
	assert_int_equal(run(&copy), 0);
	assert_int_equal(symlink("/run/outside/made", COPY_FILE_ROOT "/late.tmp"), 0);
	copy = regular(COPY_FILE_ROOT "/late", "x");
	copy.offset = 1;
	assert_true(run(&copy) < 0);
	assert_int_equal(access("/run/outside/made", F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_file_with_owner_and_mode),
		cmocka_unit_test(file_in_parts_appears_whole),
		cmocka_unit_test(empty_file_and_directory_and_symlink),
		cmocka_unit_test(never_leaves_its_folder),
		cmocka_unit_test(planted_links_are_not_followed_out),
	};

	return cmocka_run_group_tests(tests, fresh_folder, drop_folder);
}
