// uses: agent/config.c lib/cmdline.c lib/error.c lib/fd.c lib/loop.c
/* What the agent is told outside of a guest, where the environment and the arguments count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/config.h"

static int load(struct agent_config *config, char **argv, struct error *error)
{
	int count = 0;

	while (argv[count])
		count++;
	return config_load(config, count, argv, error);
}

static int clean(void **state)
{
	(void)state;
	unsetenv("NACRE_GUEST");
	unsetenv("KATA_AGENT_SERVER_ADDR");
	unsetenv("KATA_AGENT_LOG_LEVEL");
	return 0;
}

static void an_address_has_to_be_given(void **state)
{
	char *argv[] = {"nacre-agent", NULL};
	struct agent_config config;
	struct error error;

	(void)state;
	assert_true(load(&config, argv, &error) < 0);
	assert_non_null(strstr(error.text, "--listen"));
}

static void arguments_win_over_the_environment(void **state)
{
	char *argv[] = {"nacre-agent", "--listen", "unix:///b", NULL};
	struct agent_config config;
	struct error error;

	(void)state;
	setenv("KATA_AGENT_SERVER_ADDR", "unix:///a", 1);
	setenv("KATA_AGENT_LOG_LEVEL", "debug", 1);
	assert_int_equal(load(&config, argv, &error), 0);
	assert_string_equal(config.server_address, "unix:///b");
	assert_int_equal(config.log_level, LOG_DEBUG);
	argv[1] = NULL;
	assert_int_equal(load(&config, argv, &error), 0);
	assert_string_equal(config.server_address, "unix:///a");
}

static void a_bad_argument_is_named(void **state)
{
	char *unknown[] = {"nacre-agent", "--nonsense", NULL};
	char *missing[] = {"nacre-agent", "--listen", NULL};
	char *extra[] = {"nacre-agent", "--listen", "unix:///a", "extra", NULL};
	struct agent_config config;
	struct error error;

	(void)state;
	assert_true(load(&config, unknown, &error) < 0);
	assert_non_null(strstr(error.text, "--nonsense"));
	assert_true(load(&config, missing, &error) < 0);
	assert_true(load(&config, extra, &error) < 0);
	assert_non_null(strstr(error.text, "extra"));
}

static void a_bad_log_level_in_the_environment_is_passed_over(void **state)
{
	char *argv[] = {"nacre-agent", "--listen", "unix:///a", NULL};
	struct agent_config config;
	struct error error;

	(void)state;
	setenv("KATA_AGENT_LOG_LEVEL", "loud", 1);
	assert_int_equal(load(&config, argv, &error), 0);
	assert_int_equal(config.log_level, LOG_INFO);
}

static void in_a_guest_with_another_init_the_address_is_a_vsock_port(void **state)
{
	char *argv[] = {"nacre-agent", "--guest", NULL, NULL, NULL};
	struct agent_config config;
	struct error error;

	(void)state;
	assert_int_equal(load(&config, argv, &error), 0);
	assert_true(config.guest);
	assert_false(config.init);
	assert_string_equal(config.server_address, "vsock://-1:1024");
	argv[2] = "--listen";
	argv[3] = "unix:///a";
	assert_int_equal(load(&config, argv, &error), 0);
	assert_string_equal(config.server_address, "unix:///a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_address_has_to_be_given, clean),
		cmocka_unit_test_setup(arguments_win_over_the_environment, clean),
		cmocka_unit_test_setup(a_bad_argument_is_named, clean),
		cmocka_unit_test_setup(a_bad_log_level_in_the_environment_is_passed_over, clean),
		cmocka_unit_test_setup(in_a_guest_with_another_init_the_address_is_a_vsock_port, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
