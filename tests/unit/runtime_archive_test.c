// uses: runtime/archive_place.c runtime/archive_unpack.c runtime/archive_pack.c lib/path.c lib/fd.c lib/error.c
/* What a hostile guest may send as a tar stream, and what becomes of it: nothing outside of the place that it is for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/path.h"
#include "runtime/archive.h"

/* TOP/place is what is unpacked into; TOP/canary and TOP/secret must stay as they are. */
struct fixture {
	char top[64];
	int directory; /* TOP/place */
	int stream;
	struct archive *writer;
	struct error error;
	unsigned left_out;
};

static const struct archive_options as_asked = {.inside = "asked", .outside = "got"};

static void write_file(const char *folder, const char *name, const char *text)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

static const char *read_path(const struct fixture *fixture, const char *name)
{
	static char text[4096];
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", fixture->top, name);
	return fd_read_file(AT_FDCWD, path, text, sizeof(text), NULL) < 0 ? "(nothing)" : text;
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	char path[PATH_MAX];

	strcpy(fixture->top, "/tmp/nacre-archive-XXXXXX");
	assert_non_null(mkdtemp(fixture->top));
	snprintf(path, sizeof(path), "%s/canary", fixture->top);
	mkdir(path, 0755);
	write_file(fixture->top, "secret", "secret");
	snprintf(path, sizeof(path), "%s/place", fixture->top);
	mkdir(path, 0755);
	fixture->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/stream", fixture->top);
	fixture->stream = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	fixture->writer = archive_write_new();
	archive_write_set_format_pax(fixture->writer);
	assert_int_equal(archive_write_open_fd(fixture->writer, fixture->stream), ARCHIVE_OK);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	archive_write_free(fixture->writer);
	close(fixture->stream);
	close(fixture->directory);
	path_remove_tree(AT_FDCWD, fixture->top, NULL);
	free(fixture);
	return 0;
}

enum { FILE_ENTRY = AE_IFREG, DIRECTORY = AE_IFDIR, SYMLINK = AE_IFLNK, DEVICE = AE_IFCHR, FIFO = AE_IFIFO, HARDLINK = 1 };

/* `text` is a file's contents, or what a link leads to. */
static void put(struct fixture *fixture, int type, const char *name, const char *text, mode_t mode)
{
	struct archive_entry *entry = archive_entry_new();

	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, type == HARDLINK ? AE_IFREG : (unsigned)type);
	archive_entry_set_perm(entry, mode);
	if (type == FILE_ENTRY)
		archive_entry_set_size(entry, (la_int64_t)strlen(text));
	if (type == SYMLINK)
		archive_entry_set_symlink(entry, text);
	if (type == HARDLINK)
		archive_entry_set_hardlink(entry, text);
	if (type == DEVICE)
		archive_entry_set_rdev(entry, makedev(1, 3));
	assert_int_equal(archive_write_header(fixture->writer, entry), ARCHIVE_OK);
	if (type == FILE_ENTRY)
		archive_write_data(fixture->writer, text, strlen(text));
	archive_entry_free(entry);
}

static int unpack(struct fixture *fixture, const struct archive_options *options)
{
	assert_int_equal(archive_write_close(fixture->writer), ARCHIVE_OK);
	lseek(fixture->stream, 0, SEEK_SET);
	return archive_unpack(fixture->stream, fixture->directory, options, &fixture->left_out, &fixture->error);
}

static size_t count_entries(const struct fixture *fixture, const char *name)
{
	char path[PATH_MAX];
	size_t count = 0;
	DIR *stream;

	snprintf(path, sizeof(path), "%s/%s", fixture->top, name);
	stream = opendir(path);
	assert_non_null(stream);
	while (readdir(stream))
		count++;
	closedir(stream);
	return count - 2;
}

/* Whatever was tried: what is outside of the place is as it was. */
static void nothing_escaped(const struct fixture *fixture)
{
	assert_int_equal(count_entries(fixture, "canary"), 0);
	assert_string_equal(read_path(fixture, "secret"), "secret");
	assert_int_equal(count_entries(fixture, "."), 4);
}

static void tree_is_unpacked_under_its_new_name(void **state)
{
	struct fixture *fixture = *state;
	struct stat stat;

	put(fixture, DIRECTORY, "./asked/", NULL, 0555);
	put(fixture, FILE_ENTRY, "asked/file", "text", 0640);
	put(fixture, DIRECTORY, "asked/in", NULL, 0750);
	put(fixture, SYMLINK, "asked/in/link", "../file", 0777);
	put(fixture, HARDLINK, "asked/in/same", "asked/file", 0640);
	assert_int_equal(unpack(fixture, &as_asked), 0);
	assert_string_equal(read_path(fixture, "place/got/in/link"), "text");
	assert_string_equal(read_path(fixture, "place/got/in/same"), "text");
	assert_int_equal(fstatat(fixture->directory, "got", &stat, 0), 0);
	assert_int_equal(stat.st_mode & 07777, 0555);
	assert_int_equal(fstatat(fixture->directory, "got/file", &stat, 0), 0);
	assert_int_equal(stat.st_mode & 07777, 0640);
	assert_int_equal(stat.st_nlink, 2);
	nothing_escaped(fixture);
}

static void what_is_there_is_replaced_and_merged(void **state)
{
	struct fixture *fixture = *state;

	mkdirat(fixture->directory, "got", 0755);
	symlinkat("../../secret", fixture->directory, "got/file");
	put(fixture, DIRECTORY, "asked", NULL, 0755);
	put(fixture, FILE_ENTRY, "asked/file", "new", 0644);
	assert_int_equal(unpack(fixture, &as_asked), 0);
	assert_string_equal(read_path(fixture, "place/got/file"), "new");
	nothing_escaped(fixture);
}

static void contents_go_into_the_place_itself(void **state)
{
	static const struct archive_options contents = {.inside = "", .outside = ""};
	struct fixture *fixture = *state;

	put(fixture, DIRECTORY, "./", NULL, 0700);
	put(fixture, FILE_ENTRY, "./file", "text", 0644);
	assert_int_equal(unpack(fixture, &contents), 0);
	assert_string_equal(read_path(fixture, "place/file"), "text");
}

/* Each of these in an archive of its own. */
struct attack {
	const char *what;
	struct {
		int type;
		const char *name, *text;
	} entries[4];
	const char *said;
};

static const struct attack attacks[] = {
	{"absolute name", {{FILE_ENTRY, "/tmp/nacre-escaped", "x"}}, "absolute"},
	{"..", {{FILE_ENTRY, "asked/../../canary/x", "x"}}, "'..'"},
	{".. at the beginning", {{FILE_ENTRY, "../canary/x", "x"}}, "'..'"},
	{"another name", {{FILE_ENTRY, "other", "x"}}, "not what was asked for"},
	{"no name", {{FILE_ENTRY, ".", "x"}}, "not what was asked for"},
	{"symlink, then a file through it",
	 {{DIRECTORY, "asked", ""}, {SYMLINK, "asked/l", "../../canary"}, {FILE_ENTRY, "asked/l/x", "x"}},
	 "unpack got/l/x"},
	{"the place itself as a symlink", {{SYMLINK, "asked", "../canary"}, {FILE_ENTRY, "asked/x", "x"}}, "unpack got/x"},
	{"symlink, then a directory over it",
	 {{DIRECTORY, "asked", ""}, {SYMLINK, "asked/l", "../../canary"}, {DIRECTORY, "asked/l", ""}},
	 "Not a directory"},
	{"hard link to what is outside", {{DIRECTORY, "asked", ""}, {HARDLINK, "asked/h", "../secret"}}, "'..'"},
	{"hard link to an absolute name", {{DIRECTORY, "asked", ""}, {HARDLINK, "asked/h", "/etc/passwd"}}, "absolute"},
	{"hard link through a symlink",
	 {{DIRECTORY, "asked", ""}, {SYMLINK, "asked/l", "../.."}, {HARDLINK, "asked/h", "asked/l/secret"}},
	 "unpack got/l/secret"},
	{"hard link to itself", {{FILE_ENTRY, "asked", "x"}, {HARDLINK, "asked", "asked"}}, "Invalid argument"},
	{"a file where a directory is",
	 {{DIRECTORY, "asked", ""}, {DIRECTORY, "asked/d", ""}, {FILE_ENTRY, "asked/d", "x"}},
	 "unpack got/d"},
	{"escapes for a terminal", {{FILE_ENTRY, "\x1b[2Jother", "x"}}, "'?[2Jother'"},
};

static void attacks_are_refused(void **state)
{
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		if (i > 0) {
			teardown(state);
			setup(state);
			fixture = *state;
		}
		for (size_t j = 0; j < 4 && attacks[i].entries[j].name; j++)
			put(fixture, attacks[i].entries[j].type, attacks[i].entries[j].name, attacks[i].entries[j].text,
			    0777);
		if (unpack(fixture, &as_asked) >= 0)
			fail_msg("%s was taken", attacks[i].what);
		if (!strstr(fixture->error.text, attacks[i].said))
			fail_msg("%s: '%s' doesn't say '%s'", attacks[i].what, fixture->error.text, attacks[i].said);
		nothing_escaped(fixture);
		assert_int_not_equal(access("/tmp/nacre-escaped", F_OK), 0);
	}
}

/* A hard link to a symlink is another symlink, and what is written to that name later replaces it. */
static void a_link_to_a_link_is_no_way_out(void **state)
{
	struct fixture *fixture = *state;

	put(fixture, DIRECTORY, "asked", NULL, 0755);
	put(fixture, SYMLINK, "asked/l", "../../secret", 0777);
	put(fixture, HARDLINK, "asked/h", "asked/l", 0777);
	put(fixture, FILE_ENTRY, "asked/h", "overwritten", 0644);
	assert_int_equal(unpack(fixture, &as_asked), 0);
	assert_string_equal(read_path(fixture, "place/got/h"), "overwritten");
	nothing_escaped(fixture);
}

static void devices_are_left_out_and_odd_modes_are_not_kept(void **state)
{
	struct fixture *fixture = *state;
	struct stat stat;

	put(fixture, DIRECTORY, "asked", NULL, 07777);
	put(fixture, DEVICE, "asked/null", NULL, 0666);
	put(fixture, FIFO, "asked/fifo", NULL, 0666);
	put(fixture, FILE_ENTRY, "asked/su", "#!/bin/sh", 06755);
	assert_int_equal(unpack(fixture, &as_asked), 0);
	assert_int_equal(fixture->left_out, 2);
	assert_int_equal(count_entries(fixture, "place/got"), 1);
	assert_int_equal(fstatat(fixture->directory, "got/su", &stat, 0), 0);
	assert_int_equal(stat.st_mode & 07777, 0755);
	assert_int_equal(stat.st_uid, geteuid());
	assert_int_equal(fstatat(fixture->directory, "got", &stat, 0), 0);
	assert_int_equal(stat.st_mode & 07777, 0777);
}

static void what_is_no_archive_is_an_error(void **state)
{
	struct fixture *fixture = *state;
	char noise[8192];

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)(i * 31 + 7);
	assert_int_equal(ftruncate(fixture->stream, 0), 0);
	assert_int_equal(fd_write_all(fixture->stream, noise, sizeof(noise)), 0);
	lseek(fixture->stream, 0, SEEK_SET);
	assert_true(archive_unpack(fixture->stream, fixture->directory, &as_asked, &fixture->left_out,
				   &fixture->error) < 0);
	assert_int_equal(count_entries(fixture, "place"), 0);
}

/* Packing, and unpacking again: names of any length, holes, links. */
static void what_is_packed_comes_back(void **state)
{
	static const struct archive_options names = {.inside = "there", .outside = "back"};
	struct fixture *fixture = *state;
	char source[128], name[202], path[256];
	struct stat stat;
	int folder, fd;

	snprintf(source, sizeof(source), "%s/canary", fixture->top);
	folder = open(source, O_RDONLY | O_DIRECTORY);
	memset(name, 'n', sizeof(name));
	name[201] = '\0';
	write_file(source, "short", "long");
	assert_int_equal(linkat(folder, "short", folder, name, 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", folder, "link"), 0);
	fd = openat(folder, "holes", O_WRONLY | O_CREAT, 0600);
	assert_int_equal(pwrite(fd, "end", 3, 1 << 20), 3);
	close(fd);
	close(folder);

	assert_int_equal(ftruncate(fixture->stream, 0), 0);
	assert_int_equal(archive_pack(fixture->stream, source, &names, &fixture->left_out, &fixture->error), 0);
	lseek(fixture->stream, 0, SEEK_SET);
	assert_int_equal(archive_unpack(fixture->stream, fixture->directory, &names, &fixture->left_out,
					&fixture->error), 0);
	snprintf(path, sizeof(path), "place/back/%s", name);
	assert_string_equal(read_path(fixture, path), "long");
	assert_int_equal(fstatat(fixture->directory, "back/short", &stat, 0), 0);
	assert_int_equal(stat.st_nlink, 2);
	assert_int_equal(fstatat(fixture->directory, "back/holes", &stat, 0), 0);
	assert_int_equal(stat.st_size, (1 << 20) + 3);
	assert_int_equal(readlinkat(fixture->directory, "back/link", path, sizeof(path)), strlen("/etc/passwd"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tree_is_unpacked_under_its_new_name, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_there_is_replaced_and_merged, setup, teardown),
		cmocka_unit_test_setup_teardown(contents_go_into_the_place_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(attacks_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_link_to_a_link_is_no_way_out, setup, teardown),
		cmocka_unit_test_setup_teardown(devices_are_left_out_and_odd_modes_are_not_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_archive_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_packed_comes_back, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
