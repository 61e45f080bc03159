// uses: init/stop.c
/* Who ends the containers, and when: by a clock of the test's own. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "init/stop.h"
#include "lib/loop.h"

#define START (100 * LOOP_SECOND)
#define AT(seconds) (START + (seconds) * LOOP_SECOND)
#define GRACE (10 * LOOP_SECOND)

static struct stop stop;
static uint64_t deadline;

static int begin(void **state)
{
	(void)state;
	stop = (struct stop){0};
	stop_want(&stop, GRACE, START);
	return 0;
}

static void nothing_is_done_before_it_is_wanted(void **state)
{
	(void)state;
	stop = (struct stop){0};
	assert_int_equal(stop_next(&stop, true, true, START, &deadline), STOP_NOTHING);
	assert_int_equal(stop_next(&stop, false, false, START, &deadline), STOP_NOTHING);
	assert_int_equal(deadline, 0);
}

static void the_agent_is_asked_until_it_has_been(void **state)
{
	(void)state;
	assert_int_equal(stop_next(&stop, true, true, START, &deadline), STOP_ASK);
	assert_int_equal(stop_next(&stop, true, true, START, &deadline), STOP_ASK);
	assert_int_equal(stop_grace(&stop, AT(3)), 7 * LOOP_SECOND);
	stop.asked = true;
	assert_int_equal(stop_next(&stop, true, true, START, &deadline), STOP_NOTHING);
	assert_int_equal(deadline, AT(5));
}

static void an_agent_that_does_not_begin_is_given_up_and_everyone_told(void **state)
{
	(void)state;
	stop.asked = true;
	assert_int_equal(stop_next(&stop, true, true, AT(5), &deadline), STOP_GIVE_UP);
	/* It may not be gone yet. */
	assert_int_equal(stop_next(&stop, true, true, AT(5), &deadline), STOP_TERMINATE);
	/* They have the whole grace from here on. */
	assert_int_equal(stop_next(&stop, false, true, AT(6), &deadline), STOP_NOTHING);
	assert_int_equal(deadline, AT(15));
	assert_int_equal(stop_next(&stop, false, true, AT(15), &deadline), STOP_END);
}

static void an_agent_that_has_begun_has_the_grace_and_time_to_tidy_up(void **state)
{
	(void)state;
	stop.asked = stop.begun = true;
	assert_int_equal(stop_next(&stop, true, true, AT(19), &deadline), STOP_NOTHING);
	assert_int_equal(deadline, AT(20));
	assert_int_equal(stop_next(&stop, true, true, AT(20), &deadline), STOP_GIVE_UP);
	assert_int_equal(stop_next(&stop, true, true, AT(20), &deadline), STOP_END);
}

static void without_an_agent_everyone_is_told_and_waited_for(void **state)
{
	(void)state;
	assert_int_equal(stop_next(&stop, false, true, START, &deadline), STOP_TERMINATE);
	assert_int_equal(stop_next(&stop, false, true, AT(1), &deadline), STOP_NOTHING);
	assert_int_equal(stop_next(&stop, false, false, AT(2), &deadline), STOP_END);
}

static void nobody_is_told_twice_where_the_agent_dies_on_the_way(void **state)
{
	(void)state;
	stop.asked = stop.begun = true;
	assert_int_equal(stop_next(&stop, false, true, AT(1), &deadline), STOP_NOTHING);
	assert_int_equal(deadline, AT(10));
	assert_int_equal(stop_next(&stop, false, true, AT(10), &deadline), STOP_END);
}

static void a_second_wish_ends_the_grace(void **state)
{
	(void)state;
	stop.asked = stop.begun = true;
	stop_want(&stop, GRACE, AT(2));
	assert_int_equal(stop_grace(&stop, AT(2)), 0);
	assert_int_equal(stop_next(&stop, true, true, AT(2), &deadline), STOP_ASK);
	assert_int_equal(deadline, AT(12));
	/* A third one changes nothing. */
	stop.asked = true;
	stop_want(&stop, GRACE, AT(3));
	assert_int_equal(stop_next(&stop, true, true, AT(3), &deadline), STOP_NOTHING);
	assert_int_equal(stop_next(&stop, false, true, AT(3), &deadline), STOP_END);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_done_before_it_is_wanted),
		cmocka_unit_test_setup(the_agent_is_asked_until_it_has_been, begin),
		cmocka_unit_test_setup(an_agent_that_does_not_begin_is_given_up_and_everyone_told, begin),
		cmocka_unit_test_setup(an_agent_that_has_begun_has_the_grace_and_time_to_tidy_up, begin),
		cmocka_unit_test_setup(without_an_agent_everyone_is_told_and_waited_for, begin),
		cmocka_unit_test_setup(nobody_is_told_twice_where_the_agent_dies_on_the_way, begin),
		cmocka_unit_test_setup(a_second_wish_ends_the_grace, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
