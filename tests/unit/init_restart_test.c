// uses: init/restart.c
/* Delays between agents, by a clock of the test's own. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "init/restart.h"
#include "lib/loop.h"

#define MILLISECONDS(delay) ((unsigned)((delay) / LOOP_MILLISECOND))

static void agents_that_never_get_ready_are_started_later_and_later(void **state)
{
	static const unsigned expected[] = {0, 50, 100, 200, 400, 800, 1000, 1000};
	struct restart restart = {0};
	uint64_t now = LOOP_SECOND;

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		assert_int_equal(MILLISECONDS(restart_ended(&restart, now++)), expected[i]);
}

static void getting_ready_alone_sets_nothing_back(void **state)
{
	struct restart restart = {0};
	uint64_t now = LOOP_SECOND, delay = 0;

	(void)state;
	for (int i = 0; i < 10; i++) {
		restart_ready(&restart, now);
		now += 9 * LOOP_SECOND;
		delay = restart_ended(&restart, now);
	}
	assert_int_equal(MILLISECONDS(delay), 1000);
}

static void a_good_while_of_service_does(void **state)
{
	struct restart restart = {0};
	uint64_t now = LOOP_SECOND;

	(void)state;
	for (int i = 0; i < 10; i++)
		restart_ended(&restart, now);
	restart_ready(&restart, now);
	now += 10 * LOOP_SECOND;
	assert_int_equal(MILLISECONDS(restart_ended(&restart, now)), 0);
	/* Not that of an agent before it. */
	assert_int_equal(MILLISECONDS(restart_ended(&restart, now + 20 * LOOP_SECOND)), 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agents_that_never_get_ready_are_started_later_and_later),
		cmocka_unit_test(getting_ready_alone_sets_nothing_back),
		cmocka_unit_test(a_good_while_of_service_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
