// uses: agent/toml.c lib/error.c
/* The configuration file's syntax: what is told, what is stepped over, what is refused and where. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/toml.h"

static char told[4096];

static int tell(void *context, const char *path, enum toml_type type, const char *value, struct error *error)
{
	size_t used = strlen(told);

	(void)error;
	assert_ptr_equal(context, told);
	snprintf(told + used, sizeof(told) - used, "%s=%c%s;", path, "SIBO"[type], type == TOML_OTHER ? "" : value);
	return 0;
}

static void values_are_told_with_their_paths(void **state)
{
	static const struct {
		const char *text, *told;
	} cases[] = {
		{"", ""},
		{"\n\n# nothing\n", ""},
		{"a = 1", "a=I1;"},
		{"a=1\r\nb =true\r\n", "a=I1;b=Btrue;"},
		{"  a = \"x y\" # why\nb='c:\\d'\n", "a=Sx y;b=Sc:\\d;"},
		{"a = \"\\\"q\\\\ \\u00e9\\U0001F600\\n\"", "a=S\"q\\ \303\251\360\237\230\200\n;"},
		{"a = \"\"\nb = ''", "a=S;b=S;"},
		{"a = \"\"\"\none\n  two \\\n    three\"\"\"", "a=Sone\n  two three;"},
		{"a = '''it's'''\nb=1", "a=Sit's;b=I1;"},
		{"a = \"\"\"x\"\"\"\"\"", "a=Sx\"\";"},
		{"a = +1_000\nb = -0\nc = 0x1F\nd = 0o17\ne = 0b101", "a=I1000;b=I0;c=I31;d=I15;e=I5;"},
		{"a = 1.5\nb = 1e3\nc = -inf\nd = 1979-05-27T07:32:00Z\ne = 07", "a=O;b=O;c=O;d=O;e=O;"},
		{"a = 99999999999999999999", "a=O;"},
		{"t = { secs = 3, nanos = 0 }", "t.secs=I3;t.nanos=I0;"},
		{"t = {}\nu = {a={b=1}}", "u.a.b=I1;"},
		{"[t]\nsecs = 3\n[u.v] # other\na = 1", "t.secs=I3;u.v.a=I1;"},
		{"t.secs = 3\n\"q\".'r' = 1", "t.secs=I3;q.r=I1;"},
		{"[[many]]\na = 1\n[[many]]\na = 2", "many.[].a=I1;many.[].a=I2;"},
		{"a = [1, [2, \"]\"], # ]\n\n {b = 1},\n]\nc = 1", "c=I1;"},
		{"\"a.b\" = 1", "a\1b=I1;"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error error = {0};

		*told = '\0';
		if (toml_read("f", cases[i].text, tell, told, &error) < 0)
			fail_msg("%s: %s", cases[i].text, error.text);
		assert_string_equal(told, cases[i].told);
	}
}

static void what_is_wrong_is_said_with_its_line(void **state)
{
	static const struct {
		const char *text, *where;
	} cases[] = {
		{"a", "f:1: = is missing"},
		{"\n\n= 1", "f:3: a key is missing"},
		{"a =", "f:1: a value is missing"},
		{"a = \n1", "f:1: a value is missing"},
		{"a = 1 2", "f:1: something is left"},
		{"a = 1\nb = \"x", "f:2: a string doesn't end"},
		{"a = \"x\ny\"", "f:1: a string doesn't end"},
		{"a = \"\"\"x\n\n", "f:3: a string doesn't end"},
		{"a = \"\\q\"", "f:1: an unknown escape"},
		{"a = \"\\u12\"", "f:1: a hexadecimal digit"},
		{"a = \"\\ud800\"", "f:1: \\u with what is no character"},
		{"a = \"\\", "f:1: an unknown escape"},
		{"a = debug", "f:1: 'debug' is no value; are quotes missing?"},
		{"a = an", "f:1: 'an' is no value"},
		{"a = [1, 2", "f:1: an array doesn't end"},
		{"a = [1\n\n2]", "f:3: an array doesn't end"},
		{"a = {b = 1", "f:1: an inline table doesn't end"},
		{"a = {b = 1,}", "f:1: a key is missing"},
		{"[t", "f:1: ] is missing"},
		{"[[t]", "f:1: ] is missing"},
		{"[]", "f:1: a key is missing"},
		{"a\r= 1", "f:1: = is missing"},
		{"a = 1\rb = 2", "f:1: a key is missing"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error error = {0};

		if (toml_read("f", cases[i].text, tell, told, &error) == 0)
			fail_msg("%s: taken", cases[i].text);
		if (strncmp(error.text, cases[i].where, strlen(cases[i].where)) != 0)
			fail_msg("%s: %s", cases[i].text, error.text);
	}
}

static int tell_nothing(void *context, const char *path, enum toml_type type, const char *value, struct error *error)
{
	(void)context;
	(void)error;
	assert_true(strlen(path) < TOML_PATH_SIZE);
	assert_true(type == TOML_OTHER || strlen(value) < TOML_VALUE_SIZE);
	return 0;
}

static void long_and_deep_ones_are_bounded(void **state)
{
	static char text[70000];
	struct error error;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	assert_true(toml_read("f", text, tell_nothing, NULL, &error) < 0);
	memcpy(text, "a=\"", 3);
	text[sizeof(text) - 2] = '"';
	/* Too long to be told, but no error: it may be for somebody else. */
	*told = '\0';
	assert_int_equal(toml_read("f", text, tell, told, &error), 0);
	assert_string_equal(told, "a=O;");
	memcpy(text, "a=1", 3);
	assert_true(toml_read("f", text, tell_nothing, NULL, &error) < 0);
	memset(text, '[', sizeof(text) - 1);
	memcpy(text, "a=", 2);
	assert_true(toml_read("f", text, tell_nothing, NULL, &error) < 0);
	for (size_t i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "a.", 2);
	assert_true(toml_read("f", text, tell_nothing, NULL, &error) < 0);
}

/* Repeatable, and each of them ends without the sanitizers having a word. */
static void noise_does_no_harm(void **state)
{
	static const char bytes[] = "a.b=\"\"'''[]{},#\n\r \t\\uU0x1_-+:\303T\1";
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 200000; round++) {
		char text[33];
		struct error error;
		size_t length = (seed >> 8) % 32;

		for (size_t i = 0; i < length; i++) {
			seed = seed * 1664525 + 1013904223;
			text[i] = bytes[(seed >> 16) % (sizeof(bytes) - 1)];
		}
		seed = seed * 1664525 + 1013904223;
		text[length] = '\0';
		toml_read("f", text, tell_nothing, NULL, &error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_told_with_their_paths),
		cmocka_unit_test(what_is_wrong_is_said_with_its_line),
		cmocka_unit_test(long_and_deep_ones_are_bounded),
		cmocka_unit_test(noise_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
