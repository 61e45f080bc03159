// uses: runtime/detach_keys.c lib/error.c
/* Detach keys: their notation, and finding them in what is typed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "runtime/detach_keys.h"

static void notation(void **state)
{
	static const struct {
		const char *text, *bytes;
	} good[] = {
		{NULL, "\x10\x11"},	{"ctrl-p,ctrl-q", "\x10\x11"}, {"ctrl-a", "\x01"}, {"x", "x"}, {"a,b,a,c", "abac"},
		{"ctrl-[,ctrl-_", "\x1b\x1f"}, {"ctrl-\\", "\x1c"},     {"-", "-"},	   {"", ""},
	};
	static const char *const bad[] = {
		"ctrl-", "ctrl-1", "ctrl-pp", "ctrl", "ab", ",", "a,", ",a", "a,,b", "Ctrl-p", "ctrl- ",
		"a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a",
	};
	struct detach_keys keys;

	(void)state;
	for (size_t i = 0; i < array_size(good); i++) {
		assert_int_equal(detach_keys_parse(&keys, good[i].text, NULL), 0);
		assert_int_equal(keys.count, strlen(good[i].bytes));
		assert_memory_equal(keys.keys, good[i].bytes, keys.count);
	}
	for (size_t i = 0; i < array_size(bad); i++)
		assert_int_equal(detach_keys_parse(&keys, bad[i], NULL), -EINVAL);
	assert_int_equal(detach_keys_parse(&keys, "ctrl-@", NULL), 0);
	assert_int_equal(keys.keys[0], 0);
}

/* Types a text in pieces of `step`: what passes, with '!' behind it where the keys were found. */
static const char *type(const char *notation_, const char *text, size_t step)
{
	static char passed[256];
	size_t length = strlen(text), total = 0, count;
	struct detach_keys keys;
	bool found = false;

	assert_int_equal(detach_keys_parse(&keys, notation_, NULL), 0);
	for (size_t i = 0; i < length && !found; i += step) {
		size_t piece = length - i < step ? length - i : step;

		found = detach_keys_filter(&keys, (const uint8_t *)text + i, piece, (uint8_t *)passed + total, &count);
		total += count;
	}
	passed[total] = '\0';
	return strcat(passed, found ? "!" : "");
}

static void typed(void **state)
{
	static const struct {
		const char *keys, *text, *passed;
	} cases[] = {
		{"a,b", "hello", "hello"},   {"a,b", "xab", "x!"},	{"a,b", "xaby", "x!"},	{"a,b", "aab", "a!"},
		{"a,b", "acab", "ac!"},	     {"a,b", "ba", "b"},	{"a", "xyaz", "xy!"},	{"", "abc", "abc"},
		{"a,a,b", "aaab", "a!"},     {"a,b,a,c", "ababac", "ab!"}, {"a,b,a,b,c", "abababc", "ab!"},
		{"a,a,a,b", "aaxaaab", "aax!"}, {"a,b,a", "abba", "abb"},
	};

	(void)state;
	for (size_t i = 0; i < array_size(cases); i++)
		for (size_t step = 1; step <= 8; step++)
			assert_string_equal(type(cases[i].keys, cases[i].text, step), cases[i].passed);
}

/* What is held back is a beginning of the keys, and passes as soon as it isn't. */
static void held_back(void **state)
{
	struct detach_keys keys;
	uint8_t passed[32];
	size_t count;

	(void)state;
	detach_keys_parse(&keys, "a,b,c", NULL);
	assert_false(detach_keys_filter(&keys, (const uint8_t *)"ab", 2, passed, &count));
	assert_int_equal(count, 0);
	assert_false(detach_keys_filter(&keys, (const uint8_t *)"x", 1, passed, &count));
	assert_int_equal(count, 3);
	assert_memory_equal(passed, "abx", 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(notation),
		cmocka_unit_test(typed),
		cmocka_unit_test(held_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
