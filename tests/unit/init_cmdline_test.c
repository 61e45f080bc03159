// uses: lib/cmdline.c lib/fd.c lib/error.c
/* The kernel's command line, as text from a host. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

#include "lib/cmdline.h"

static void words_are_split_at_white_space(void **state)
{
	const char *text = "  quiet\tagent.log=debug a=b=c\nempty= \n";
	struct cmdline_word word;

	(void)state;
	assert_true(cmdline_next(&text, &word));
	assert_string_equal(word.key, "quiet");
	assert_null(word.value);
	assert_true(cmdline_next(&text, &word));
	assert_string_equal(word.key, "agent.log");
	assert_string_equal(word.value, "debug");
	assert_true(cmdline_next(&text, &word));
	assert_string_equal(word.key, "a");
	assert_string_equal(word.value, "b=c");
	assert_true(cmdline_next(&text, &word));
	assert_string_equal(word.key, "empty");
	assert_string_equal(word.value, "");
	assert_false(cmdline_next(&text, &word));
	assert_false(cmdline_next(&text, &word));
}

static void quotes_keep_white_space_and_go(void **state)
{
	const char *text = "one=\"a b\" \"two=c d\" three=x\"y z\"w last=\"open end";
	const char *const expected[][2] = {{"one", "a b"}, {"two", "c d"}, {"three", "xy zw"}, {"last", "open end"}};
	struct cmdline_word word;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_true(cmdline_next(&text, &word));
		assert_string_equal(word.key, expected[i][0]);
		assert_string_equal(word.value, expected[i][1]);
	}
	assert_false(cmdline_next(&text, &word));
}

static void a_word_that_is_too_long_is_passed_over(void **state)
{
	char text[CMDLINE_WORD_SIZE * 2];
	const char *rest = text;
	struct cmdline_word word;

	(void)state;
	memset(text, 'x', CMDLINE_WORD_SIZE);
	strcpy(text + CMDLINE_WORD_SIZE, " next");
	assert_true(cmdline_next(&rest, &word));
	assert_string_equal(word.key, "next");

	/* The longest that fits. */
	memset(text, 'x', CMDLINE_WORD_SIZE - 1);
	text[CMDLINE_WORD_SIZE - 1] = '\0';
	rest = text;
	assert_true(cmdline_next(&rest, &word));
	assert_int_equal(strlen(word.key), CMDLINE_WORD_SIZE - 1);
}

static void keys_match_exactly_and_the_last_wins(void **state)
{
	const char *text = "agent.logx=no xagent.log=no agent.log agent.log=info agent.log=debug";
	char value[8];

	(void)state;
	assert_true(cmdline_get(text, "agent.log", value, sizeof(value)));
	assert_string_equal(value, "debug");
	assert_false(cmdline_get(text, "agent.lo", value, sizeof(value)));
	assert_false(cmdline_get("agent.log", "agent.log", value, sizeof(value)));
}

static void a_value_without_room_counts_as_absent(void **state)
{
	char value[4];

	(void)state;
	assert_false(cmdline_get("key=1234", "key", value, sizeof(value)));
	assert_true(cmdline_get("key=123", "key", value, sizeof(value)));
	assert_string_equal(value, "123");
}

static void bare_words_are_found_bare_only(void **state)
{
	(void)state;
	assert_true(cmdline_has("quiet agent.debug_console", "agent.debug_console"));
	assert_false(cmdline_has("agent.debug_console=1", "agent.debug_console"));
	assert_false(cmdline_has("", "agent.debug_console"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_split_at_white_space),
		cmocka_unit_test(quotes_keep_white_space_and_go),
		cmocka_unit_test(a_word_that_is_too_long_is_passed_over),
		cmocka_unit_test(keys_match_exactly_and_the_last_wins),
		cmocka_unit_test(a_value_without_room_counts_as_absent),
		cmocka_unit_test(bare_words_are_found_bare_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
