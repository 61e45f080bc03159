// uses: runtime/timeline.c lib/loop.c
/* What is told, of which a guest's words may be a part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "runtime/timeline.h"

static char told[4096];

static void keep(void *data, const char *line)
{
	(void)data;
	snprintf(told, sizeof(told), "%s", line);
}

static void control_characters(void **state)
{
	static const char *const cases[][2] = {
		{"plain words", "plain words"},
		{"\033[2J\007x\r\ny\t\177", "?[2J?x??y??"},
		/* Other languages stay; their characters beside ASCII's are letters, and U+009B is what begins a control sequence. */
		{"\303\244 \342\202\254", "\303\244 \342\202\254"},
		{"\302\2332J \302\240", "\302?2J \302\240"},
	};
	struct timeline timeline;

	(void)state;
	timeline_start(&timeline, false);
	timeline.print = keep;
	for (size_t i = 0; i < array_size(cases); i++) {
		timeline_tell(&timeline, "%s", cases[i][0]);
		assert_string_equal(told, cases[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(control_characters)};

	return cmocka_run_group_tests_name("timeline", tests, NULL, NULL);
}
