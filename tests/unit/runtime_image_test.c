// uses: runtime/image.c runtime/filesystem.c lib/error.c lib/fd.c
/* What kind of guest image a file is, and the text of dm-verity beside it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/image.h"

static struct error error;
static char folder[] = "/tmp/nacre-image.XXXXXX";
static char path[64], verity[80];

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/image", folder);
	snprintf(verity, sizeof(verity), "%s.verity", path);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	unlink(verity);
	return rmdir(folder);
}

static void write_file(const char *name, off_t offset, const void *data, size_t length)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, data, length, offset), length);
	close(fd);
}

static const char *type_of(off_t offset, const char *magic, size_t length)
{
	static struct image image;

	write_file(path, offset, magic, length);
	assert_int_equal(image_open(&image, path, &error), 0);
	return image.type;
}

static void kinds_are_known_by_their_magic(void **state)
{
	(void)state;
	assert_null(type_of(0, "070701", 6));
	assert_null(type_of(0, "\x1f\x8b", 2));
	assert_string_equal(type_of(0, "hsqs", 4), "squashfs");
	assert_string_equal(type_of(1024, "\xe2\xe1\xf5\xe0", 4), "erofs");
	assert_string_equal(type_of(1080, "\x53\xef", 2), "ext4");
}

static void what_is_no_image_is_refused(void **state)
{
	struct image image;

	(void)state;
	write_file(path, 0, "", 0);
	assert_int_equal(image_open(&image, path, &error), -EINVAL);
	write_file(path, 0, "07070", 5);
	assert_int_equal(image_open(&image, path, &error), -EINVAL);
	write_file(path, 1024, "\xe2\xe1\xf5", 3);
	assert_int_equal(image_open(&image, path, &error), -EINVAL);
	assert_non_null(strstr(error.text, path));
	assert_int_equal(image_open(&image, folder, &error), -EISDIR);
	assert_int_equal(image_open(&image, "/nowhere/image", &error), -ENOENT);
}

static void a_text_of_dm_verity_is_read(void **state)
{
	struct image image;

	(void)state;
	write_file(path, 0, "hsqs", 4);
	write_file(verity, 0, "root,,,ro,0 8 verity 1\n", 23);
	assert_int_equal(image_open(&image, path, &error), 0);
	assert_string_equal(image.verity, "root,,,ro,0 8 verity 1");
	/* An initramfs has none, whatever lies beside it. */
	write_file(path, 0, "070701", 6);
	assert_int_equal(image_open(&image, path, &error), 0);
	assert_string_equal(image.verity, "");
	unlink(verity);
}

static void a_text_that_could_say_more_than_that_is_refused(void **state)
{
	static const char *const wrong[] = {"", "\n", "a\" init=/bin/sh", "a\nb", "a\n\n", "a\tb", "\xc3\xa9"};
	char longest[IMAGE_VERITY_SIZE + 16];
	struct image image;

	(void)state;
	write_file(path, 0, "hsqs", 4);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		write_file(verity, 0, wrong[i], strlen(wrong[i]));
		assert_int_equal(image_open(&image, path, &error), -EINVAL);
	}
	memset(longest, 'x', sizeof(longest));
	write_file(verity, 0, longest, sizeof(longest));
	assert_int_equal(image_open(&image, path, &error), -EINVAL);
	write_file(verity, 0, longest, IMAGE_VERITY_SIZE);
	assert_int_equal(image_open(&image, path, &error), -EINVAL);
	write_file(verity, 0, longest, IMAGE_VERITY_SIZE - 1);
	assert_int_equal(image_open(&image, path, &error), 0);
	unlink(verity);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_are_known_by_their_magic),
		cmocka_unit_test(what_is_no_image_is_refused),
		cmocka_unit_test(a_text_of_dm_verity_is_read),
		cmocka_unit_test(a_text_that_could_say_more_than_that_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
