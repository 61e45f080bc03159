// uses: runtime/user.c lib/error.c lib/fd.c lib/path.c
/* Users and groups of a root file system, also of one that means harm. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/path.h"
#include "runtime/user.h"

static char folder[] = "/tmp/nacre-user-test-XXXXXX";
static int root = -1;

static void put(const char *path, const char *text)
{
	int fd;

	unlinkat(root, path, 0);
	fd = openat(root, path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static int make_root(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mkdirat(root, "etc", 0755);
	return root < 0 ? -1 : 0;
}

static int remove_root(void **state)
{
	(void)state;
	close(root);
	return path_remove_tree(AT_FDCWD, folder, NULL);
}

static void usual(void **state)
{
	struct user user;

	(void)state;
	put("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nsshd:x:33:34::/run/sshd:\n"
			  "me:x:1000:1001:Me,,,:/home/me:/bin/sh\n");
	put("etc/group", "root:x:0:\nwheel:x:10:root,me\naudio:x:29:me\nus:x:500:\nthem:x:501:meme,m\n");
	assert_int_equal(user_resolve(&user, root, NULL, NULL), 0);
	assert_int_equal(user.uid, 0);
	assert_string_equal(user.home, "/root");
	assert_int_equal(user.group_count, 1);
	assert_int_equal(user_resolve(&user, root, "me", NULL), 0);
	assert_int_equal(user.uid, 1000);
	assert_int_equal(user.gid, 1001);
	assert_string_equal(user.home, "/home/me");
	assert_int_equal(user.group_count, 2);
	assert_int_equal(user.groups[0], 10);
	assert_int_equal(user.groups[1], 29);
	assert_int_equal(user_resolve(&user, root, "1000", NULL), 0);
	assert_int_equal(user.gid, 1001);
	assert_int_equal(user.group_count, 2);
	assert_int_equal(user_resolve(&user, root, "me:us", NULL), 0);
	assert_int_equal(user.gid, 500);
	assert_int_equal(user.group_count, 0);
	assert_int_equal(user_resolve(&user, root, "7:8", NULL), 0);
	assert_int_equal(user.uid, 7);
	assert_int_equal(user.gid, 8);
	assert_string_equal(user.home, "");
	assert_int_equal(user_resolve(&user, root, "12345", NULL), 0);
	assert_int_equal(user.gid, 0);
}

static void refused(void **state)
{
	static const char *const bad[] = {":", "me:", ":us", "4294967295", "99999999999", "me:4294967295"};
	struct error error;
	struct user user;

	(void)state;
	assert_int_equal(user_resolve(&user, root, "nobody", &error), -ENOENT);
	assert_non_null(strstr(error.text, "nobody"));
	assert_int_equal(user_resolve(&user, root, "me:nobody", &error), -ENOENT);
	assert_int_equal(user_resolve(&user, root, "-1", &error), -ENOENT);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(user_resolve(&user, root, bad[i], &error), -EINVAL);
}

/* A line "0:x:5:5" must not make user 0 somebody else; lines that are cut or out of range don't count. */
static void malformed_lines(void **state)
{
	struct user user;

	(void)state;
	put("etc/passwd", "1000:x:0:0::/:/bin/sh\nshort:x:1\nbig:x:4294967295:0::/:\nbad:x:-1:0::/:\nhex:x:0x0:0::/:\n"
			  "\n:::::::\nlong:x:5:6::relative:/bin/sh:more:fields\nlast:x:7:8::/l:");
	assert_int_equal(user_resolve(&user, root, "1000", NULL), 0);
	assert_int_equal(user.uid, 1000);
	assert_int_equal(user_resolve(&user, root, "short", NULL), -ENOENT);
	assert_int_equal(user_resolve(&user, root, "big", NULL), -ENOENT);
	assert_int_equal(user_resolve(&user, root, "bad", NULL), -ENOENT);
	assert_int_equal(user_resolve(&user, root, "hex", NULL), -ENOENT);
	assert_int_equal(user_resolve(&user, root, "long", NULL), 0);
	assert_string_equal(user.home, "");
	assert_int_equal(user_resolve(&user, root, "last", NULL), 0);
	assert_int_equal(user.uid, 7);
}

/* Links stay inside; devices, FIFOs, directories and giants aren't read. */
static void hostile_files(void **state)
{
	struct user user;

	(void)state;
	put("real", "inside:x:42:42::/:\n");
	unlinkat(root, "etc/passwd", 0);
	assert_int_equal(symlinkat("/real", root, "etc/passwd"), 0);
	assert_int_equal(user_resolve(&user, root, "inside", NULL), 0);
	assert_int_equal(user.uid, 42);
	unlinkat(root, "etc/passwd", 0);
	assert_int_equal(symlinkat("../../../../../../etc/passwd", root, "etc/passwd"), 0);
	assert_int_equal(user_resolve(&user, root, "root", NULL), -ENOENT);
	unlinkat(root, "etc/passwd", 0);
	assert_int_equal(symlinkat("/proc/self/fd/0", root, "etc/passwd"), 0);
	assert_int_equal(user_resolve(&user, root, "root", NULL), -ENOENT);
	unlinkat(root, "etc/passwd", 0);
	assert_int_equal(mkfifoat(root, "etc/passwd", 0644), 0);
	assert_int_equal(user_resolve(&user, root, "root", NULL), -ENOENT);
	unlinkat(root, "etc/passwd", 0);
	assert_int_equal(mkdirat(root, "etc/passwd", 0755), 0);
	assert_int_equal(user_resolve(&user, root, "root", NULL), -ENOENT);
	unlinkat(root, "etc/passwd", AT_REMOVEDIR);
	put("etc/passwd", "root:x:0:0::/:\n");
	assert_int_equal(ftruncate(openat(root, "etc/passwd", O_RDWR | O_CLOEXEC), 1 << 30), 0);
	assert_int_equal(user_resolve(&user, root, "root", NULL), -ENOENT);
	unlinkat(root, "etc/passwd", 0);
	assert_int_equal(user_resolve(&user, root, "0", NULL), 0);
}

static void many_groups(void **state)
{
	char text[8192] = "";
	struct user user;

	(void)state;
	put("etc/passwd", "me:x:1:1::/:\n");
	for (int i = 0; i < 200; i++)
		sprintf(text + strlen(text), "g%d:x:%d:me\n", i, 100 + i);
	put("etc/group", text);
	assert_int_equal(user_resolve(&user, root, "me", NULL), 0);
	assert_int_equal(user.group_count, USER_GROUPS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usual),	 cmocka_unit_test(refused),	cmocka_unit_test(malformed_lines),
		cmocka_unit_test(hostile_files), cmocka_unit_test(many_groups),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
