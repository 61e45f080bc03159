// uses: init/power_button.c lib/fd.c lib/error.c
/* Events of a button, through a pipe in the place of its device. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <fcntl.h>
#include <linux/input.h>
#include <unistd.h>

#include <cmocka.h>

#include "init/power_button.h"

static int ends[2];

static int open_pipe(void **state)
{
	(void)state;
	return pipe2(ends, O_CLOEXEC | O_NONBLOCK);
}

static int close_pipe(void **state)
{
	(void)state;
	if (ends[0] >= 0)
		close(ends[0]);
	if (ends[1] >= 0)
		close(ends[1]);
	return 0;
}

static void say(unsigned short type, unsigned short code, int value)
{
	struct input_event event = {.type = type, .code = code, .value = value};

	assert_int_equal(write(ends[1], &event, sizeof(event)), sizeof(event));
}

static void a_press_is_seen_once(void **state)
{
	(void)state;
	say(EV_KEY, KEY_POWER, 1);
	say(EV_SYN, SYN_REPORT, 0);
	say(EV_KEY, KEY_POWER, 0);
	say(EV_SYN, SYN_REPORT, 0);
	assert_true(power_button_pressed(&ends[0]));
	assert_false(power_button_pressed(&ends[0]));
	assert_true(ends[0] >= 0);
}

static void other_keys_and_releases_mean_nothing(void **state)
{
	(void)state;
	say(EV_KEY, KEY_SLEEP, 1);
	say(EV_REL, KEY_POWER, 1);
	say(EV_KEY, KEY_POWER, 0);
	assert_false(power_button_pressed(&ends[0]));
}

static void a_device_that_goes_is_closed(void **state)
{
	(void)state;
	close(ends[1]);
	ends[1] = -1;
	assert_false(power_button_pressed(&ends[0]));
	assert_int_equal(ends[0], -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_press_is_seen_once, open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(other_keys_and_releases_mean_nothing, open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(a_device_that_goes_is_closed, open_pipe, close_pipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
