// uses: init/settings.c lib/cmdline.c lib/fd.c lib/error.c lib/log.c
/* The supervisor's parameters, as a host may write them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "init/settings.h"
#include "lib/log.h"
#include "lib/loop.h"

static struct settings settings;

static void read_line(const char *line)
{
	settings_init(&settings);
	settings_read(&settings, line);
}

static void by_default_there_is_no_shell_and_ten_seconds_of_grace(void **state)
{
	(void)state;
	read_line("console=ttyS0 quiet nacre.shellx nacre.rescues=1 agent.log=debug");
	assert_false(settings.cgroup_v1);
	assert_false(settings.exit_by_reboot);
	assert_false(settings.rescue);
	assert_string_equal(settings.shell, "");
	assert_string_equal(settings.modules, "");
	assert_int_equal(settings.stop_timeout, 10 * LOOP_SECOND);
}

static void each_parameter_is_understood(void **state)
{
	(void)state;
	read_line("nacre.cgroup=v1 nacre.exit=reboot nacre.rescue=1 nacre.modules=virtio_net,9p nacre.stop_timeout=3");
	assert_true(settings.cgroup_v1);
	assert_true(settings.exit_by_reboot);
	assert_true(settings.rescue);
	assert_string_equal(settings.modules, "virtio_net,9p");
	assert_int_equal(settings.stop_timeout, 3 * LOOP_SECOND);
	read_line("systemd.unified_cgroup_hierarchy=0 nacre.rescue nacre.stop_timeout=0");
	assert_true(settings.cgroup_v1);
	assert_true(settings.rescue);
	assert_int_equal(settings.stop_timeout, 0);
}

static void the_last_one_counts(void **state)
{
	(void)state;
	read_line("nacre.cgroup=v1 nacre.rescue nacre.exit=reboot nacre.exit=poweroff nacre.cgroup=v2 nacre.rescue=0");
	assert_false(settings.cgroup_v1);
	assert_false(settings.exit_by_reboot);
	assert_false(settings.rescue);
}

static void a_shell_is_on_a_terminal_in_dev(void **state)
{
	static const struct {
		const char *line, *device;
	} cases[] = {
		{"nacre.shell", "/dev/console"},	{"nacre.shell=hvc1", "/dev/hvc1"},
		{"nacre.shell=/dev/ttyS0", "/dev/ttyS0"}, {"nacre.shell=/dev/", ""},
		{"nacre.shell=/etc/passwd", ""},	{"nacre.shell=../x", ""},
		{"nacre.shell=/dev/pts/0", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		read_line(cases[i].line);
		assert_string_equal(settings.shell, cases[i].device);
	}
}

static void what_makes_no_sense_changes_nothing(void **state)
{
	char line[SETTINGS_MODULES_SIZE + 64], device[SETTINGS_DEVICE_SIZE + 64];

	(void)state;
	read_line("nacre.stop_timeout=soon nacre.stop_timeout=-1 nacre.stop_timeout=3601 nacre.stop_timeout= "
		  "nacre.stop_timeout=99999999999999999999 nacre.stop_timeout=1.5");
	assert_int_equal(settings.stop_timeout, 10 * LOOP_SECOND);
	snprintf(line, sizeof(line), "nacre.modules=%0*d", SETTINGS_MODULES_SIZE, 0);
	read_line(line);
	assert_string_equal(settings.modules, "");
	snprintf(device, sizeof(device), "nacre.shell=%0*d", SETTINGS_DEVICE_SIZE - 5, 0);
	read_line(device);
	assert_string_equal(settings.shell, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_default_there_is_no_shell_and_ten_seconds_of_grace),
		cmocka_unit_test(each_parameter_is_understood),
		cmocka_unit_test(the_last_one_counts),
		cmocka_unit_test(a_shell_is_on_a_terminal_in_dev),
		cmocka_unit_test(what_makes_no_sense_changes_nothing),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
