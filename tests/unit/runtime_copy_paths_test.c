// uses: runtime/copy_paths.c lib/error.c
/* Which names `nacre cp` gives: docker's table, one case a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "runtime/copy_private.h"

enum { MISSING = PATH_MISSING, DIRECTORY = PATH_DIRECTORY, OTHER = PATH_OTHER };

static const struct out_case {
	const char *inside;
	int inside_kind;
	const char *outside;
	int outside_kind;
	int error; /* or 0, and then: */
	const char *directory, *name; /* what the container's tar does */
	const char *unpacked_in, *from, *to;
} outs[] = {
	/* A file: to a new name, over a file, into a directory. */
	{"/etc/passwd", OTHER, "new", MISSING, 0, "/etc", "passwd", ".", "passwd", "new"},
	{"/etc/passwd", OTHER, "a/old", OTHER, 0, "/etc", "passwd", "a", "passwd", "old"},
	{"/etc/passwd", OTHER, "dir", DIRECTORY, 0, "/etc", "passwd", "dir", "passwd", "passwd"},
	{"/passwd", OTHER, "/new", MISSING, 0, "/", "passwd", "/", "passwd", "new"},
	{"/etc/passwd", OTHER, "new/", MISSING, ENOTDIR, 0, 0, 0, 0, 0},
	{"/etc/passwd", OTHER, "old/", OTHER, ENOTDIR, 0, 0, 0, 0, 0},
	{"/etc/passwd/", OTHER, "new", MISSING, ENOTDIR, 0, 0, 0, 0, 0},
	{"/etc/passwd/.", OTHER, "new", MISSING, ENOTDIR, 0, 0, 0, 0, 0},
	/* A directory: as a new one, into one, its contents into one. */
	{"/etc", DIRECTORY, "new", MISSING, 0, "/", "etc", ".", "etc", "new"},
	{"/etc/", DIRECTORY, "new/", MISSING, 0, "/", "etc", ".", "etc", "new"},
	{"/a/etc", DIRECTORY, "dir/", DIRECTORY, 0, "/a", "etc", "dir", "etc", "etc"},
	{"/etc/.", DIRECTORY, "dir", DIRECTORY, 0, "/etc", ".", "dir", "", ""},
	{"/etc/.", DIRECTORY, "new", MISSING, 0, "/etc", ".", ".", "", "new"},
	{"/etc", DIRECTORY, "old", OTHER, ENOTDIR, 0, 0, 0, 0, 0},
	/* The root has no name but what it is given. */
	{"/", DIRECTORY, "new", MISSING, 0, "/", ".", ".", "", "new"},
	{"/", DIRECTORY, "dir", DIRECTORY, 0, "/", ".", "dir", "", ""},
	{"/nosuch", MISSING, "new", MISSING, ENOENT, 0, 0, 0, 0, 0},
	{"/etc/..", DIRECTORY, "new", MISSING, EINVAL, 0, 0, 0, 0, 0},
	{"/etc", DIRECTORY, "dir/..", DIRECTORY, 0, "/", "etc", "dir/..", "etc", "etc"},
};

static const struct in_case {
	const char *outside;
	int outside_kind;
	const char *inside;
	int inside_kind;
	int error;
	const char *packed, *directory, *from;
} ins[] = {
	{"file", OTHER, "/new", MISSING, 0, "file", "/", "new"},
	{"a/file", OTHER, "/etc/old", OTHER, 0, "a/file", "/etc", "old"},
	{"a/file", OTHER, "/etc", DIRECTORY, 0, "a/file", "/etc", "file"},
	{"file", OTHER, "/new/", MISSING, ENOTDIR, 0, 0, 0},
	{"dir", DIRECTORY, "/a/new", MISSING, 0, "dir", "/a", "new"},
	{"dir/", DIRECTORY, "/a", DIRECTORY, 0, "dir", "/a", "dir"},
	{"dir/.", DIRECTORY, "/a", DIRECTORY, 0, "dir", "/a", ""},
	{".", DIRECTORY, "/a", DIRECTORY, 0, ".", "/a", ""},
	{"dir/.", DIRECTORY, "/new", MISSING, 0, "dir", "/", "new"},
	{"dir", DIRECTORY, "/file", OTHER, ENOTDIR, 0, 0, 0},
	{"dir", DIRECTORY, "/", DIRECTORY, 0, "dir", "/", "dir"},
	{"nosuch", MISSING, "/a", DIRECTORY, ENOENT, 0, 0, 0},
};

static struct copy_path cut(const char *text, int kind)
{
	struct copy_path path;
	struct error error;

	assert_int_equal(copy_path_cut(&path, text, &error), 0);
	path.kind = (enum path_kind)kind;
	return path;
}

static void out_of_a_container(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(outs) / sizeof(outs[0]); i++) {
		const struct out_case *given = &outs[i];
		struct copy_path inside = cut(given->inside, given->inside_kind);
		struct copy_path outside = cut(given->outside, given->outside_kind);
		struct copy_plan plan;
		struct error error = {0};

		if (copy_plan_out(&plan, &inside, &outside, &error) != -given->error)
			fail_msg("%s -> %s: %s", given->inside, given->outside, error.text);
		if (given->error)
			continue;
		assert_string_equal(plan.directory, given->directory);
		assert_string_equal(plan.name, given->name);
		assert_string_equal(plan.outside, given->unpacked_in);
		assert_string_equal(plan.from, given->from);
		assert_string_equal(plan.to, given->to);
	}
}

static void into_a_container(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ins) / sizeof(ins[0]); i++) {
		const struct in_case *given = &ins[i];
		struct copy_path inside = cut(given->inside, given->inside_kind);
		struct copy_path outside = cut(given->outside, given->outside_kind);
		struct copy_plan plan;
		struct error error = {0};

		if (copy_plan_in(&plan, &inside, &outside, &error) != -given->error)
			fail_msg("%s -> %s: %s", given->outside, given->inside, error.text);
		if (given->error)
			continue;
		assert_string_equal(plan.outside, given->packed);
		assert_string_equal(plan.directory, given->directory);
		assert_string_equal(plan.from, given->from);
	}
}

static void what_is_no_path(void **state)
{
	static char longer[PATH_MAX + 2];
	struct copy_path path;
	struct error error;

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	assert_int_equal(copy_path_cut(&path, "", &error), -EINVAL);
	assert_int_equal(copy_path_cut(&path, longer, &error), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(out_of_a_container),
		cmocka_unit_test(into_a_container),
		cmocka_unit_test(what_is_no_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
