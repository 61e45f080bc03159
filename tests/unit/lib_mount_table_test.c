// uses: lib/mount_table.c
/* Lines of /proc/PID/mounts, the odd ones too. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/mount_table.h"

static struct mount_table table;
static char path[] = "/tmp/nacre-mounts.XXXXXX";

static void open_with(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_true(mount_table_open(&table, path));
}

static int set_up(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
	(void)state;
	return unlink(path);
}

static void entries_come_in_order_and_decoded(void **state)
{
	(void)state;
	open_with("proc /proc proc rw,nosuid 0 0\n/dev/a\\040b /mnt/tab\\011line\\012slash\\134 ext4 ro 0 0\n");
	assert_true(mount_table_next(&table));
	assert_string_equal(table.source, "proc");
	assert_string_equal(table.path, "/proc");
	assert_string_equal(table.type, "proc");
	assert_string_equal(table.options, "rw,nosuid");
	assert_true(mount_table_next(&table));
	assert_string_equal(table.source, "/dev/a b");
	assert_string_equal(table.path, "/mnt/tab\tline\nslash\\");
	assert_string_equal(table.type, "ext4");
	assert_false(mount_table_next(&table));
	mount_table_close(&table);
}

static void a_line_that_is_cut_has_empty_fields(void **state)
{
	(void)state;
	open_with("none /a\\04 tmpfs\n\nx");
	assert_true(mount_table_next(&table));
	assert_string_equal(table.path, "/a\\04");
	assert_string_equal(table.type, "tmpfs");
	assert_string_equal(table.options, "");
	assert_true(mount_table_next(&table));
	assert_string_equal(table.path, "");
	assert_true(mount_table_next(&table));
	assert_string_equal(table.source, "x");
	assert_string_equal(table.type, "");
	assert_false(mount_table_next(&table));
	mount_table_close(&table);
}

static void a_long_line_is_read_whole(void **state)
{
	static char text[100000];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	memcpy(text, "s /p t ", 7);
	open_with(text);
	assert_true(mount_table_next(&table));
	assert_int_equal(strlen(table.options), sizeof(text) - 1 - 7);
	mount_table_close(&table);
}

static void a_table_that_cannot_be_opened_is_empty(void **state)
{
	(void)state;
	assert_false(mount_table_open(&table, "/nowhere/mounts"));
	assert_false(mount_table_next(&table));
	mount_table_close(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_come_in_order_and_decoded),
		cmocka_unit_test(a_line_that_is_cut_has_empty_fields),
		cmocka_unit_test(a_long_line_is_read_whole),
		cmocka_unit_test(a_table_that_cannot_be_opened_is_empty),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
