// uses: lib/error.c
/* Errors: the text, the number, and context on the way up. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include "lib/error.h"

static void a_system_call_says_why(void **state)
{
	struct error error;

	(void)state;
	assert_int_equal(error_errno(&error, ENOENT, "open %s", "/x"), -ENOENT);
	assert_int_equal(error.number, ENOENT);
	assert_string_equal(error.text, "open /x: No such file or directory");
}

static void a_refusal_says_only_its_own_words(void **state)
{
	struct error error;

	(void)state;
	assert_int_equal(error_set(&error, EINVAL, "%d is too many", 7), -EINVAL);
	assert_string_equal(error.text, "7 is too many");
}

static void context_comes_in_front(void **state)
{
	struct error error;

	(void)state;
	error_set(&error, EACCES, "denied");
	assert_int_equal(error_wrap(&error, "mount %s", "/proc"), -EACCES);
	assert_int_equal(error_wrap(&error, "container %s", "a"), -EACCES);
	assert_string_equal(error.text, "container a: mount /proc: denied");
}

static void a_long_text_is_cut_and_terminated(void **state)
{
	char longest[3 * ERROR_TEXT_SIZE];
	struct error error;

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	error_errno(&error, EIO, "%s", longest);
	assert_true(memchr(error.text, '\0', sizeof(error.text)) != NULL);
	error_wrap(&error, "%s", longest);
	assert_true(memchr(error.text, '\0', sizeof(error.text)) != NULL);
	error_set(&error, EIO, "short");
	error_wrap(&error, "%.500s", longest);
	assert_true(memchr(error.text, '\0', sizeof(error.text)) != NULL);
	assert_int_equal(error.text[0], 'x');
}

static void nobody_has_to_listen(void **state)
{
	(void)state;
	assert_int_equal(error_errno(NULL, ENOENT, "open"), -ENOENT);
	assert_int_equal(error_set(NULL, EINVAL, "no"), -EINVAL);
	assert_int_equal(error_wrap(NULL, "context"), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_system_call_says_why),
		cmocka_unit_test(a_refusal_says_only_its_own_words),
		cmocka_unit_test(context_comes_in_front),
		cmocka_unit_test(a_long_text_is_cut_and_terminated),
		cmocka_unit_test(nobody_has_to_listen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
