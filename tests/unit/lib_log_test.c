// uses: lib/log.c
/* Log lines: their form, their level, and that they never block. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LOG_SUBSYSTEM "test"
#include "lib/log.h"

static int ends[2];

static int open_pipe(void **state)
{
	(void)state;
	return pipe2(ends, O_CLOEXEC | O_NONBLOCK);
}

static int close_pipe(void **state)
{
	(void)state;
	log_open(2, LOG_TEXT, LOG_WARNING, "test");
	close(ends[0]);
	close(ends[1]);
	return 0;
}

static const char *written(void)
{
	static char text[65536];
	ssize_t length = read(ends[0], text, sizeof(text) - 1);

	text[length > 0 ? length : 0] = '\0';
	return text;
}

static void text_is_for_people(void **state)
{
	(void)state;
	log_open(ends[1], LOG_TEXT, LOG_WARNING, "prog");
	log_warning("%d eggs", 3);
	assert_string_equal(written(), "prog: warning: 3 eggs\n");
}

static void no_text_passes_for_another_line(void **state)
{
	(void)state;
	log_open(ends[1], LOG_TEXT, LOG_WARNING, "prog");
	log_warning("name %s", "x\nprog: error: forged\r\x1b[2J\x7f");
	assert_string_equal(written(), "prog: warning: name x\\x0aprog: error: forged\\x0d\\x1b[2J\\x7f\n");
}

static void json_is_a_line_that_holds_whatever_was_said(void **state)
{
	const char *text;

	(void)state;
	log_open(ends[1], LOG_JSON, LOG_DEBUG, "kata-agent");
	log_info("say \"%s\"\n\t\\ \x01", "hi");
	text = written();
	assert_int_equal(text[0], '{');
	assert_string_equal(strchr(text, '\n'), "\n");
	assert_non_null(strstr(text, "\"level\":\"INFO\""));
	assert_non_null(strstr(text, "\"name\":\"kata-agent\""));
	assert_non_null(strstr(text, "\"subsystem\":\"test\""));
	assert_non_null(strstr(text, "say \\\"hi\\\""));
	assert_null(strchr(text, '\x01'));
}

static void what_is_too_detailed_is_not_written(void **state)
{
	(void)state;
	log_open(ends[1], LOG_TEXT, LOG_WARNING, "prog");
	log_info("no");
	log_debug("no");
	assert_string_equal(written(), "");
	log_set_level(LOG_DEBUG);
	assert_int_equal(log_get_level(), LOG_DEBUG);
	log_debug("yes");
	assert_non_null(strstr(written(), "yes"));
}

static void a_full_pipe_loses_lines_and_says_how_many(void **state)
{
	const char *text;
	bool told = false;

	(void)state;
	log_open(ends[1], LOG_TEXT, LOG_WARNING, "prog");
	for (int i = 0; i < 20000; i++)
		log_warning("line %d", i);
	while (*written())
		;
	log_warning("after");
	log_warning("later");
	text = written();
	for (const char *at = text; *at; at++)
		told = told || (*at >= '1' && *at <= '9');
	assert_true(told);
	assert_non_null(strstr(text, "later"));
}

static void a_long_line_is_one_line(void **state)
{
	static char longest[20000];
	const char *text;

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	log_open(ends[1], LOG_TEXT, LOG_WARNING, "prog");
	log_warning("%s", longest);
	text = written();
	assert_int_equal(text[strlen(text) - 1], '\n');
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void who_causes_many_fills_no_log(void **state)
{
	struct log_limit limit = {0};
	unsigned long left_out = 0;
	const char *text;
	size_t lines = 0;

	(void)state;
	log_open(ends[1], LOG_TEXT, LOG_WARNING, "prog");
	for (int i = 0; i < 100; i++)
		log_limited(LOG_WARNING, "flood %d", i);
	log_limited(LOG_WARNING, "elsewhere");
	text = written();
	assert_non_null(strstr(text, "flood 4\n"));
	assert_null(strstr(text, "flood 5"));
	assert_non_null(strstr(text, "elsewhere\n"));
	for (; *text; text++)
		lines += *text == '\n';
	assert_int_equal(lines, LOG_LIMIT_LINES + 1);
	/* Time passes, and the next one says what is missing. */
	for (int i = 0; i < 12; i++)
		assert_int_equal(log_limit_take(&limit, 1000, &left_out), i < LOG_LIMIT_LINES);
	assert_false(log_limit_take(&limit, 999 + LOG_LIMIT_TIME, &left_out));
	assert_int_equal(left_out, 0);
	assert_true(log_limit_take(&limit, 1000 + LOG_LIMIT_TIME, &left_out));
	assert_int_equal(left_out, 8);
	assert_true(log_limit_take(&limit, 1000 + LOG_LIMIT_TIME, &left_out));
	assert_int_equal(left_out, 0);
	limit.left_out = 7;
	log_write_limited(&limit, LOG_WARNING, "test", "again");
	assert_string_equal(written(), "prog: warning: again (and 7 more like it)\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(text_is_for_people, open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(no_text_passes_for_another_line, open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(json_is_a_line_that_holds_whatever_was_said, open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(what_is_too_detailed_is_not_written, open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(a_full_pipe_loses_lines_and_says_how_many, open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(a_long_line_is_one_line, open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(who_causes_many_fills_no_log, open_pipe, close_pipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
