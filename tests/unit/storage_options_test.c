// uses: agent/storage/options.c lib/error.c
/* Mount options of a storage: words, and what is left for the filesystem. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include <cmocka.h>

#include "agent/storage/options.h"

#define PARSE(...)                                                                    \
	({                                                                            \
		const char *const words_[] = {__VA_ARGS__};                           \
		options_parse(&options, words_, sizeof(words_) / sizeof(char *), NULL); \
	})

static struct mount_options options;

static void flag_words_become_flags(void **state)
{
	(void)state;
	assert_int_equal(PARSE("defaults", "ro", "nosuid", "nodev", "noexec", "relatime"), 0);
	assert_int_equal(options.flags, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RELATIME);
	assert_string_equal(options.data, "");
	assert_int_equal(PARSE("rbind", "rprivate"), 0);
	assert_int_equal(options.flags, MS_BIND | MS_REC | MS_PRIVATE);
}

static void a_later_word_undoes_an_earlier_one(void **state)
{
	(void)state;
	assert_int_equal(PARSE("ro", "noexec", "rw", "exec", "sync", "async"), 0);
	assert_int_equal(options.flags, 0);
}

static void the_rest_is_the_filesystem_s(void **state)
{
	(void)state;
	assert_int_equal(PARSE("size=1m", "ro", "mode=700", "", "dax"), 0);
	assert_int_equal(options.flags, MS_RDONLY);
	assert_string_equal(options.data, "size=1m,mode=700,dax");
}

static void words_for_the_agent_stay_here(void **state)
{
	(void)state;
	assert_int_equal(PARSE("io.katacontainers.fs-opt.overlay-rw", "lowerdir=/a", "X-kata.mode=1"), 0);
	assert_string_equal(options.data, "lowerdir=/a");
}

static void loop_is_refused(void **state)
{
	(void)state;
	assert_int_equal(PARSE("ro", "loop"), -EINVAL);
	assert_int_equal(PARSE("loop=/dev/loop0"), -EINVAL);
	assert_int_equal(PARSE("loopy"), 0);
}

static void data_is_bounded_to_a_page(void **state)
{
	char *most = malloc(OPTIONS_DATA_SIZE), *over = malloc(OPTIONS_DATA_SIZE + 1);

	(void)state;
	memset(most, 'x', OPTIONS_DATA_SIZE);
	most[OPTIONS_DATA_SIZE - 2] = '\0';
	assert_int_equal(PARSE(most), 0);
	assert_string_equal(options.data, most);
	assert_int_equal(PARSE(most, "y"), -EINVAL);
	memset(over, 'x', OPTIONS_DATA_SIZE);
	over[OPTIONS_DATA_SIZE] = '\0';
	assert_int_equal(PARSE(over), -EINVAL);
	free(most);
	free(over);
}

static void values_are_found_by_their_whole_key(void **state)
{
	const char *const words[] = {"modes=1", "mode", "mode=700", "mode=755"};

	(void)state;
	assert_string_equal(options_find(words, 4, "mode"), "700");
	assert_null(options_find(words, 4, "mod"));
	assert_null(options_find(words, 0, "mode"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flag_words_become_flags),
		cmocka_unit_test(a_later_word_undoes_an_earlier_one),
		cmocka_unit_test(the_rest_is_the_filesystem_s),
		cmocka_unit_test(words_for_the_agent_stay_here),
		cmocka_unit_test(loop_is_refused),
		cmocka_unit_test(data_is_bounded_to_a_page),
		cmocka_unit_test(values_are_found_by_their_whole_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
