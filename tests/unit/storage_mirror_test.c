// uses: agent/storage/mirror.c lib/path.c lib/error.c lib/fd.c
/* Copies of watchable mounts: what a pass takes over, and what whoever watches them is told. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/storage/mirror.h"
#include "lib/path.h"

static char home[64];
static struct error error;

static int enter(void **state)
{
	(void)state;
	strcpy(home, "/tmp/mirror-XXXXXX");
	return !mkdtemp(home) || chdir(home) < 0 || mkdir("source", 0750) < 0;
}

static int leave(void **state)
{
	(void)state;
	return chdir("/") < 0 || path_remove_tree(AT_FDCWD, home, NULL) < 0;
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void holds(const char *path, const char *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char found[64] = "";

	assert_true(fd >= 0);
	assert_true(read(fd, found, sizeof(found) - 1) >= 0);
	assert_string_equal(found, text);
	close(fd);
}

static void leads_to(const char *path, const char *text)
{
	char found[64] = "";

	assert_true(readlink(path, found, sizeof(found) - 1) > 0);
	assert_string_equal(found, text);
}

static struct stat look(const char *path)
{
	struct stat status;

	assert_int_equal(lstat(path, &status), 0);
	return status;
}

static void pass(void)
{
	assert_int_equal(mirror("source", "target", &error), 0);
}

static int watch(const char *path)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(inotify_add_watch(fd, path, IN_ALL_EVENTS & ~(unsigned)(IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE)) >= 0);
	return fd;
}

/* All that has been told since the last time, as bits. */
static uint32_t told(int fd)
{
	char buffer[4096] __attribute__((aligned(8)));
	ssize_t length = read(fd, buffer, sizeof(buffer));
	uint32_t mask = 0;

	for (ssize_t at = 0; at < length;) {
		const struct inotify_event *event = (const void *)(buffer + at);

		mask |= event->mask;
		at += (ssize_t)sizeof(*event) + event->len;
	}
	return mask;
}

static void a_tree_is_copied_with_modes_times_and_links(void **state)
{
	(void)state;
	assert_int_equal(mkdir("source/deep", 0710), 0);
	put("source/deep/file", "text");
	put("source/large", "");
	assert_int_equal(truncate("source/large", 300000), 0);
	assert_int_equal(symlink("deep/file", "source/link"), 0);
	assert_int_equal(symlink("nowhere", "source/deep/dangling"), 0);
	assert_int_equal(mkfifo("source/fifo", 0600), 0);
	assert_int_equal(chmod("source/deep/file", 0604), 0);
	pass();
	holds("target/deep/file", "text");
	holds("target/link", "text");
	leads_to("target/deep/dangling", "nowhere");
	assert_int_equal(look("target").st_mode, S_IFDIR | 0750);
	assert_int_equal(look("target/deep").st_mode, S_IFDIR | 0710);
	assert_int_equal(look("target/deep/file").st_mode, S_IFREG | 0604);
	assert_int_equal(look("target/large").st_size, 300000);
	assert_int_equal(look("target/large").st_mtim.tv_nsec, look("source/large").st_mtim.tv_nsec);
	assert_int_equal(access("target/fifo", F_OK), -1);
}

static void owners_are_kept(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	put("source/file", "text");
	assert_int_equal(symlink("file", "source/link"), 0);
	assert_int_equal(chown("source/file", 12, 34), 0);
	assert_int_equal(lchown("source/link", 56, 78), 0);
	pass();
	assert_int_equal(look("target/file").st_uid, 12);
	assert_int_equal(look("target/file").st_gid, 34);
	assert_int_equal(look("target/link").st_uid, 56);
	assert_int_equal(lchown("source/link", 1, 2), 0);
	pass();
	assert_int_equal(look("target/link").st_gid, 2);
}

static void a_changed_file_is_written_in_place_and_told(void **state)
{
	ino_t inode;
	int events;

	(void)state;
	put("source/file", "a longer text");
	put("source/other", "same");
	pass();
	inode = look("target/file").st_ino;
	events = watch("target");
	pass();
	assert_int_equal(told(events), 0);
	put("source/file", "short");
	pass();
	holds("target/file", "short");
	assert_int_equal(look("target/file").st_ino, inode);
	assert_true(told(events) & IN_MODIFY);
	assert_int_equal(chmod("source/file", 0600), 0);
	pass();
	assert_int_equal(look("target/file").st_mode & 07777, 0600);
	assert_int_equal(told(events) & (IN_ATTRIB | IN_CREATE | IN_DELETE), IN_ATTRIB);
	put("source/new", "new");
	assert_int_equal(unlink("source/other"), 0);
	pass();
	holds("target/new", "new");
	assert_int_equal(access("target/other", F_OK), -1);
	assert_int_equal(told(events) & (IN_CREATE | IN_DELETE), IN_CREATE | IN_DELETE);
	close(events);
}

/* As the kubelet does it. */
static void a_volume_of_kubernetes_is_exchanged_at_once(void **state)
{
	int events;

	(void)state;
	assert_int_equal(mkdir("source/..one", 0755), 0);
	put("source/..one/key", "first");
	assert_int_equal(symlink("..one", "source/..data"), 0);
	assert_int_equal(symlink("..data/key", "source/key"), 0);
	pass();
	holds("target/key", "first");
	events = watch("target");
	assert_int_equal(mkdir("source/..two", 0755), 0);
	put("source/..two/key", "second");
	assert_int_equal(symlink("..two", "source/..data_tmp"), 0);
	assert_int_equal(rename("source/..data_tmp", "source/..data"), 0);
	assert_int_equal(path_remove_tree(AT_FDCWD, "source/..one", NULL), 0);
	pass();
	holds("target/key", "second");
	leads_to("target/..data", "..two");
	assert_int_equal(access("target/..one", F_OK), -1);
	/* The name was never away. */
	assert_int_equal(told(events) & IN_MOVED_TO, IN_MOVED_TO);
	close(events);
}

/* A link that is still the old one, as the host's file system may have it for a moment. */
static void what_a_link_leads_to_stays(void **state)
{
	(void)state;
	assert_int_equal(mkdir("source/..one", 0755), 0);
	put("source/..one/key", "first");
	assert_int_equal(symlink("..one", "source/..data"), 0);
	pass();
	assert_int_equal(path_remove_tree(AT_FDCWD, "source/..one", NULL), 0);
	pass();
	holds("target/..data/key", "first");
	assert_int_equal(unlink("source/..data"), 0);
	pass();
	pass();
	assert_int_equal(access("target/..one", F_OK), -1);
}

static void a_name_may_become_something_else(void **state)
{
	(void)state;
	assert_int_equal(mkdir("source/name", 0755), 0);
	put("source/name/file", "x");
	assert_int_equal(mkdir("source/other", 0755), 0);
	pass();
	assert_int_equal(path_remove_tree(AT_FDCWD, "source/name", NULL), 0);
	put("source/name", "file");
	assert_int_equal(rmdir("source/other"), 0);
	assert_int_equal(symlink("name", "source/other"), 0);
	pass();
	holds("target/name", "file");
	holds("target/other", "file");
	assert_int_equal(unlink("source/name"), 0);
	assert_int_equal(unlink("source/other"), 0);
	assert_int_equal(mkdir("source/name", 0700), 0);
	put("source/other", "again");
	pass();
	assert_true(S_ISDIR(look("target/name").st_mode));
	holds("target/other", "again");
}

/* A container can write to its copy. */
static void links_in_the_copy_lead_nowhere(void **state)
{
	(void)state;
	put("outside", "outside");
	put("source/file", "inside");
	assert_int_equal(mkdir("source/folder", 0755), 0);
	put("source/folder/outside", "inside");
	assert_int_equal(mkdir("target", 0755), 0);
	assert_int_equal(symlink("../outside", "target/file"), 0);
	assert_int_equal(symlink("..", "target/folder"), 0);
	pass();
	holds("outside", "outside");
	holds("target/file", "inside");
	holds("target/folder/outside", "inside");
}

static void a_single_file_is_copied_too(void **state)
{
	ino_t inode;

	(void)state;
	put("one", "text");
	assert_int_equal(mirror("one", "copy", &error), 0);
	holds("copy", "text");
	inode = look("copy").st_ino;
	put("one", "other text");
	assert_int_equal(mirror("one", "copy", &error), 0);
	holds("copy", "other text");
	assert_int_equal(look("copy").st_ino, inode);
}

static void what_is_not_there_is_said(void **state)
{
	(void)state;
	assert_int_equal(mirror("nothing", "target", &error), -ENOENT);
	assert_non_null(strstr(error.text, "copy nothing to target"));
	assert_int_equal(access("target", F_OK), -1);
}

static void large(const char *path, off_t size)
{
	put(path, "");
	assert_int_equal(truncate(path, size), 0);
}

static void what_is_too_large_is_refused(void **state)
{
	(void)state;
	assert_int_equal(mkdir("source/folder", 0755), 0);
	large("source/folder/file", MIRROR_SIZE_MAX / 2);
	large("source/other", MIRROR_SIZE_MAX / 2);
	pass();
	/* Also where most of it is there already. */
	put("source/third", "text");
	assert_int_equal(mirror("source", "target", &error), -EFBIG);
	assert_non_null(strstr(error.text, "copy source to target: File too large"));
	assert_int_equal(access("target/third", F_OK), -1);
	large("one", MIRROR_SIZE_MAX + 1);
	assert_int_equal(mirror("one", "copy", &error), -EFBIG);
	assert_int_equal(access("copy", F_OK), -1);
}

static void what_is_larger_than_it_looked_is_not_copied_for_ever(void **state)
{
	(void)state;
	/* It says that it is empty, as a file that grows has said, and has hundreds of gigabytes. */
	assert_int_equal(look("/proc/self/pagemap").st_size, 0);
	assert_int_equal(mirror("/proc/self/pagemap", "copy", &error), -EFBIG);
	assert_true(look("copy").st_size <= MIRROR_SIZE_MAX);
}

static void what_is_too_deep_is_refused(void **state)
{
	char path[512] = "source";

	(void)state;
	for (int i = 0; i < 40; i++) {
		strcat(path, "/folder");
		assert_int_equal(mkdir(path, 0755), 0);
	}
	assert_int_equal(mirror("source", "target", &error), -EFBIG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_tree_is_copied_with_modes_times_and_links),
		TEST(owners_are_kept),
		TEST(a_changed_file_is_written_in_place_and_told),
		TEST(a_volume_of_kubernetes_is_exchanged_at_once),
		TEST(what_a_link_leads_to_stays),
		TEST(a_name_may_become_something_else),
		TEST(links_in_the_copy_lead_nowhere),
		TEST(a_single_file_is_copied_too),
		TEST(what_is_not_there_is_said),
		TEST(what_is_too_large_is_refused),
		TEST(what_is_larger_than_it_looked_is_not_copied_for_ever),
		TEST(what_is_too_deep_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
