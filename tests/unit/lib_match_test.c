// uses: lib/match.c
/* What a pattern stands for, and what it doesn't. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "lib/match.h"

static char top[] = "/tmp/nacre-match.XXXXXX";
static char seen[1024];

/* The paths below `top`, each with a blank after it; "last" ends the search. */
static int note(const char *path, void *data)
{
	(void)data;
	strcat(strcat(seen, path + strlen(top) + 1), " ");
	return strstr(path, "last") ? 7 : 0;
}

static int match(const char *pattern)
{
	char whole[PATH_MAX];

	*seen = '\0';
	snprintf(whole, sizeof(whole), "%s/%s", top, pattern);
	return match_each(whole, note, NULL);
}

static int set_up(void **state)
{
	char command[PATH_MAX];

	(void)state;
	if (!mkdtemp(top))
		return -1;
	snprintf(command, sizeof(command), "cd %s && mkdir -p host0/scan host1/none host10/scan 1:0:2/block/sdb ends && "
		 "touch b.json a.json .c.json json a.jsonx ends/first ends/last ends/never", top);
	return system(command);
}

static int tear_down(void **state)
{
	char command[PATH_MAX];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", top);
	return system(command);
}

static void elements_may_have_a_star_each(void **state)
{
	(void)state;
	match("host*/scan");
	assert_string_equal(seen, "host0/scan host10/scan ");
	match("*:0:2/block/*");
	assert_string_equal(seen, "1:0:2/block/sdb ");
	match("*.json");
	assert_string_equal(seen, ".c.json a.json b.json ");
}

static void text_around_a_star_does_not_overlap(void **state)
{
	(void)state;
	match("a.json*json");
	assert_string_equal(seen, "");
	match("a.json*x");
	assert_string_equal(seen, "a.jsonx ");
}

static void without_a_star_the_path_itself_is_looked_for(void **state)
{
	(void)state;
	match("json");
	assert_string_equal(seen, "json ");
	match("nowhere/*");
	assert_string_equal(seen, "");
	match("json/*");
	assert_string_equal(seen, "");
}

static void the_first_result_ends_it(void **state)
{
	(void)state;
	assert_int_equal(match("ends/*"), 7);
	assert_string_equal(seen, "ends/first ends/last ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements_may_have_a_star_each),
		cmocka_unit_test(text_around_a_star_does_not_overlap),
		cmocka_unit_test(without_a_star_the_path_itself_is_looked_for),
		cmocka_unit_test(the_first_result_ends_it),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
