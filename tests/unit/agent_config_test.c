// uses: agent/config.c agent/toml.c lib/cmdline.c lib/error.c lib/fd.c lib/log.c lib/loop.c
/* What the agent is told, by each of its sources, and which of them counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/config.h"
#include "lib/loop.h"

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
	unsetenv("KATA_AGENT_TRACING");
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

/* Everything that a source can set, in one line. */
static const char *summary(const struct agent_config *config)
{
	static char text[512];

	snprintf(text, sizeof(text), "%s log=%d streams=%u pipe=%u hotplug=%llu.%03llu cdi=%llu%s%s%s%s console=%u logport=%u",
		 config->server_address, config->log_level, config->streams_port, config->container_pipe_size,
		 (unsigned long long)(config->hotplug_timeout / LOOP_SECOND),
		 (unsigned long long)(config->hotplug_timeout % LOOP_SECOND / LOOP_MILLISECOND),
		 (unsigned long long)(config->cdi_timeout / LOOP_SECOND), config->debug_console ? " debug" : "",
		 config->visible_cdi_devices ? " visible" : "", config->tracing ? " tracing" : "",
		 config->mem_agent ? " mem" : "", config->debug_console_port, config->log_port);
	return text;
}

static const char nothing[] = "vsock://-1:1024 log=2 streams=0 pipe=0 hotplug=3.000 cdi=100 console=0 logport=0";

/* The configuration of a guest, before it is told anything. */
static void load_defaults(struct agent_config *config)
{
	char *argv[] = {"nacre-agent", "--guest", NULL};
	struct error error;

	assert_int_equal(load(config, argv, &error), 0);
}

static void the_kernel_command_line_says(void **state)
{
	static const struct {
		const char *words, *summary;
	} cases[] = {
		{"", nothing},
		{"console=hvc0 quiet foo=bar agent", nothing},
		{"agent.log=debug", "vsock://-1:1024 log=3 streams=0 pipe=0 hotplug=3.000 cdi=100 console=0 logport=0"},
		{"agent.log=critical", "vsock://-1:1024 log=0 streams=0 pipe=0 hotplug=3.000 cdi=100 console=0 logport=0"},
		/* Keys match exactly, and a bare one is another than one with a value. */
		{"agent.logx=debug agent.log xagent.log=debug AGENT.LOG=debug", nothing},
		{"agent.debug_console=1 agent.debug_console= agent.debug_consolex", nothing},
		{"agent.debug_console agent.debug_console_vport=1026",
		 "vsock://-1:1024 log=2 streams=0 pipe=0 hotplug=3.000 cdi=100 debug console=1026 logport=0"},
		{"agent.log_vport=1025 agent.passfd_listener_port=1027",
		 "vsock://-1:1024 log=2 streams=1027 pipe=0 hotplug=3.000 cdi=100 console=0 logport=1025"},
		{"agent.log_vport=-1 agent.passfd_listener_port=0 agent.debug_console_vport=-2147483648", nothing},
		{"agent.log_vport=5 agent.log_vport=0",
		 "vsock://-1:1024 log=2 streams=0 pipe=0 hotplug=3.000 cdi=100 console=0 logport=5"},
		{"agent.hotplug_timeout=60 agent.cdi_timeout=5",
		 "vsock://-1:1024 log=2 streams=0 pipe=0 hotplug=60.000 cdi=5 console=0 logport=0"},
		{"agent.hotplug_timeout=0 agent.cdi_timeout=0", nothing},
		{"agent.hotplug_timeout=9223372036854775807",
		 "vsock://-1:1024 log=2 streams=0 pipe=0 hotplug=2147483647.000 cdi=100 console=0 logport=0"},
		{"agent.container_pipe_size=2097152",
		 "vsock://-1:1024 log=2 streams=0 pipe=2097152 hotplug=3.000 cdi=100 console=0 logport=0"},
		{"agent.server_addr=unix://@a=b",
		 "unix://@a=b log=2 streams=0 pipe=0 hotplug=3.000 cdi=100 console=0 logport=0"},
		{"agent.trace", "vsock://-1:1024 log=2 streams=0 pipe=0 hotplug=3.000 cdi=100 tracing console=0 logport=0"},
		{"agent.trace=true agent.visible_cdi_devices=2",
		 "vsock://-1:1024 log=2 streams=0 pipe=0 hotplug=3.000 cdi=100 visible tracing console=0 logport=0"},
		/* Booleans never fail. */
		{"agent.trace agent.trace=yes", nothing},
		{"agent.trace agent.trace=", nothing},
		{"agent.visible_cdi_devices=1=1 agent.visible_cdi_devices=0x1 agent.trace=-1", nothing},
		/* Checked, and of no use here. */
		{"agent.devmode agent.cdh_api_timeout=30 agent.image_pull_timeout=9 agent.launch_process_timeout=6 "
		 "cgroup_no_v1=all systemd.unified_cgroup_hierarchy=1 agent.https_proxy=http://proxy:3128 agent.no_proxy=a,b "
		 "agent.guest_components_rest_api=all agent.guest_components_procs=none agent.secure_storage_integrity=maybe",
		 nothing},
		{"agent.mem_agent_enable=1 agent.mem_agent_memcg_disable=true agent.mem_agent_memcg_swappiness_max=255 "
		 "agent.mem_agent_compact_sec_max=-1 agent.mem_agent_compact_force_times=9223372036854775807",
		 "vsock://-1:1024 log=2 streams=0 pipe=0 hotplug=3.000 cdi=100 mem console=0 logport=0"},
		/* These only count behind the one that wants the memory agent. */
		{"agent.mem_agent_memcg_disable=perhaps agent.mem_agent_compact_order=300", nothing},
	};
	struct agent_config config;
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		load_defaults(&config);
		if (config_read_command_line(&config, cases[i].words, &error) != 0)
			fail_msg("%s: %s", cases[i].words, error.text);
		assert_string_equal(summary(&config), cases[i].summary);
	}
}

/* What isn't one changes nothing, and a configuration file doesn't either. */
static void the_carrier_is_chosen(void **state)
{
	static const struct {
		const char *words;
		enum agent_carrier carrier;
	} cases[] = {
		{"nacre.carrierx=serial agent.carrier=serial", CARRIER_FOUND},
		{"nacre.carrier=serial", CARRIER_SERIAL},
		{"nacre.carrier=serial nacre.carrier=vsock nacre.carrier", CARRIER_VSOCK},
		{"nacre.carrier=pigeon", CARRIER_FOUND},
		{"agent.log=info agent.config_file=/dev/null nacre.carrier=serial", CARRIER_SERIAL},
	};
	struct agent_config config;
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		load_defaults(&config);
		assert_true(config_read_command_line(&config, cases[i].words, &error) >= 0);
		assert_int_equal(config.carrier, cases[i].carrier);
	}
}

static void a_bad_parameter_is_fatal_and_named(void **state)
{
	static const struct {
		const char *words, *text;
	} cases[] = {
		{"agent.log=loud", "agent.log: 'loud' is no log level"},
		{"agent.log=", "agent.log: '' is no log level"},
		{"agent.log=a=b", "agent.log: 'a=b' is no log level"},
		{"quiet agent.hotplug_timeout=soon quiet", "agent.hotplug_timeout: 'soon' is no number from 0 to"},
		{"agent.hotplug_timeout=-1", "agent.hotplug_timeout: '-1' is no number"},
		{"agent.hotplug_timeout=3s", "agent.hotplug_timeout: '3s' is no number"},
		{"agent.cdh_api_timeout=", "agent.cdh_api_timeout: '' is no number"},
		{"agent.launch_process_timeout=1.5", "agent.launch_process_timeout: '1.5' is no number"},
		{"agent.log_vport=2147483648", "agent.log_vport: '2147483648' is no number from -2147483648 to 2147483647"},
		{"agent.passfd_listener_port=1=2", "agent.passfd_listener_port: '1=2' is no number"},
		{"agent.debug_console_vport=99999999999999999999", "agent.debug_console_vport: '999"},
		{"agent.container_pipe_size=-1", "agent.container_pipe_size: '-1' is no number from 0 to 2147483647"},
		{"agent.server_addr=", "agent.server_addr: a value is missing"},
		{"agent.server_addr=tcp://0.0.0.0:1024", "agent.server_addr: tcp:// isn't served"},
		{"agent.https_proxy=proxy", "agent.https_proxy: 'proxy' is no URL"},
		{"agent.no_proxy=", "agent.no_proxy: a value is missing"},
		{"agent.guest_components_rest_api=some", "agent.guest_components_rest_api: 'some' is none of its values"},
		{"agent.guest_components_procs=", "agent.guest_components_procs: '' is none of its values"},
		{"agent.mem_agent_enable=1 agent.mem_agent_memcg_swap=yes",
		 "agent.mem_agent_memcg_swap: 'yes' is neither true nor false"},
		{"agent.mem_agent_enable=true agent.mem_agent_compact_order=256",
		 "agent.mem_agent_compact_order: '256' is no number from 0 to 255"},
		{"agent.config_file=/nowhere/at/all", "the configuration file: open /nowhere/at/all: No such file"},
	};
	struct agent_config config;
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		load_defaults(&config);
		if (config_read_command_line(&config, cases[i].words, &error) >= 0)
			fail_msg("%s: taken", cases[i].words);
		if (strncmp(error.text, cases[i].text, strlen(cases[i].text)) != 0)
			fail_msg("%s: %s", cases[i].words, error.text);
	}
}

/* A file with this text; its name. */
static char *file_with(const char *text, size_t length)
{
	static char name[] = "/tmp/nacre-config-XXXXXX";
	FILE *file;

	strcpy(name + sizeof(name) - 7, "XXXXXX");
	file = fdopen(mkstemp(name), "w");
	assert_int_equal(fwrite(text, 1, length, file), length);
	fclose(file);
	return name;
}

static int load_text(struct agent_config *config, const char *text, size_t length, struct error *error)
{
	char *argv[] = {"nacre-agent", "--guest", "-c", file_with(text, length), NULL};
	int status = load(config, argv, error);

	unlink(argv[3]);
	return status;
}

static void a_configuration_file_says(void **state)
{
	static const struct {
		const char *text, *summary;
	} cases[] = {
		{"", nothing},
		{"log_level = \"debug\"\nserver_addr = 'unix:///a'\nlog_vport = 1025\ntracing = true\n",
		 "unix:///a log=3 streams=0 pipe=0 hotplug=3.000 cdi=100 tracing console=0 logport=1025"},
		{"debug_console = true\ndebug_console_vport = 1026\npassfd_listener_port = 1027\n"
		 "container_pipe_size = 0x10000\nvisible_cdi_devices = true",
		 "vsock://-1:1024 log=2 streams=1027 pipe=65536 hotplug=3.000 cdi=100 debug visible console=1026 logport=0"},
		{"hotplug_timeout = { secs = 5, nanos = 0 }\ncdi_timeout = { nanos = 0, secs = 6 }",
		 "vsock://-1:1024 log=2 streams=0 pipe=0 hotplug=5.000 cdi=6 console=0 logport=0"},
		{"[hotplug_timeout]\nnanos = 250000000\nsecs = 1\n[cdh_api_timeout]\nsecs=1\nnanos=1",
		 "vsock://-1:1024 log=2 streams=0 pipe=0 hotplug=1.250 cdi=100 console=0 logport=0"},
		{"hotplug_timeout = { secs = 0, nanos = 0 }", nothing},
		/* What others know is theirs, and a table's key isn't the one of that name outside of it. */
		{"foo = [1,\n 2]\n[endpoints]\nallowed = [\n\t\"CreateSandboxRequest\", # one\n]\nlog_level = 7\n"
		 "[[many]]\nserver_addr = 1\n[hotplug_timeouts]\nsecs = 'x'", nothing},
		{"dev_mode = true\nunified_cgroup_hierarchy = true\nhttps_proxy = \"\"\nno_proxy = 'a'\npolicy_file = '/p'\n"
		 "guest_components_rest_api = \"resource\"\nguest_components_procs = \"none\"\n"
		 "secure_storage_integrity = false\nmem_agent_memcg_swap = true\nmem_agent_compact_order = 9", nothing},
		{"mem_agent_enable = true", "vsock://-1:1024 log=2 streams=0 pipe=0 hotplug=3.000 cdi=100 mem console=0 logport=0"},
		/* Only on a kernel's command line it has that name. */
		{"cgroup_no_v1 = 1\nlog = 2\nagent.log = 3", nothing},
	};
	struct agent_config config;
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (load_text(&config, cases[i].text, strlen(cases[i].text), &error) != 0)
			fail_msg("%s: %s", cases[i].text, error.text);
		assert_string_equal(summary(&config), cases[i].summary);
	}
}

static void a_bad_configuration_file_is_fatal(void **state)
{
	static const struct {
		const char *text, *where;
	} cases[] = {
		{"\n\nlog_level = \"loud\"", ":3: log_level: 'loud' is no log level"},
		{"log_level = debug", ":1: 'debug' is no value"},
		{"log_level = 3", ":1: log_level: its value should be a string"},
		{"a = 1\ndebug_console = 1", ":2: debug_console: its value should be true or false"},
		{"log_vport = \"1025\"", ":1: log_vport: its value should be a whole number"},
		{"log_vport = 1.5", ":1: log_vport: its value should be a whole number"},
		{"log_vport = [1]\nlog_vport = 4294967296", ":2: log_vport: '4294967296' is no number from"},
		{"container_pipe_size = -1", ":1: container_pipe_size: '-1' is no number from 0"},
		{"server_addr = \"tcp://127.0.0.1:1\"", ":1: server_addr: tcp:// isn't served"},
		{"hotplug_timeout = 3", ":1: hotplug_timeout: it should be a table"},
		{"hotplug_timeout = { secs = \"3\" }", ":1: hotplug_timeout.secs: its value should be a whole number"},
		{"[hotplug_timeout]\nsecs = -3", ":2: hotplug_timeout.secs: '-3' is no number"},
		{"[hotplug_timeout]\nnanos = 1000000000", ":2: hotplug_timeout.nanos: 1000000000 are more"},
		{"log_vport = 1\nlog_vport = 2", ":2: log_vport: it is there twice"},
		{"guest_components_procs = \"all\"", ":1: guest_components_procs: 'all' is none of its values"},
		{"mem_agent_compact_order = 300", ":1: mem_agent_compact_order: '300' is no number from 0 to 255"},
		{"a = 1\n[b", ":2: ] is missing"},
	};
	struct agent_config config;
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (load_text(&config, cases[i].text, strlen(cases[i].text), &error) == 0)
			fail_msg("%s: taken", cases[i].text);
		if (strncmp(error.text, "/tmp/nacre-config-", 18) != 0 || !strstr(error.text, cases[i].where))
			fail_msg("%s: %s", cases[i].text, error.text);
	}
	assert_true(load_text(&config, "a = 1\n\0b = 2\n", 13, &error) < 0);
	assert_non_null(strstr(error.text, "NUL"));
}

static void of_the_sources_the_later_one_counts(void **state)
{
	static const char text[] = "server_addr = 'unix:///f'\nlog_level = 'error'\n";
	char *argv[] = {"nacre-agent", "--listen", "unix:///l", "-c", NULL, NULL};
	char words[128];
	struct agent_config config;
	struct error error;

	(void)state;
	setenv("KATA_AGENT_LOG_LEVEL", "trace", 1);
	setenv("KATA_AGENT_TRACING", "1", 1);
	/* A file is read in the place of the kernel's command line, the environment after it, arguments last. */
	argv[4] = file_with(text, strlen(text));
	assert_int_equal(load(&config, argv, &error), 0);
	assert_string_equal(config.server_address, "unix:///l");
	assert_int_equal(config.log_level, LOG_TRACE);
	assert_true(config.tracing);
	/* One that the command line names is all that counts, whatever stands before and behind it. */
	load_defaults(&config);
	config.tracing = false;
	config.log_level = LOG_INFO;
	snprintf(words, sizeof(words), "agent.log_vport=5 agent.config_file=%s agent.log=nonsense", argv[4]);
	assert_int_equal(config_read_command_line(&config, words, &error), 1);
	assert_string_equal(summary(&config),
			    "unix:///f log=0 streams=0 pipe=0 hotplug=3.000 cdi=100 console=0 logport=0");
	unlink(argv[4]);
	assert_true(load(&config, argv, &error) < 0);
	assert_non_null(strstr(error.text, "No such file"));
}

static void a_program_called_kata_agent_is_in_a_guest(void **state)
{
	char *argv[] = {"kata-agent", NULL};
	struct agent_config config;
	struct error error;

	(void)state;
	assert_int_equal(load(&config, argv, &error), 0);
	assert_true(config.guest);
	assert_string_equal(config.server_address, "vsock://-1:1024");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_address_has_to_be_given, clean),
		cmocka_unit_test_setup(arguments_win_over_the_environment, clean),
		cmocka_unit_test_setup(a_bad_argument_is_named, clean),
		cmocka_unit_test_setup(a_bad_log_level_in_the_environment_is_passed_over, clean),
		cmocka_unit_test_setup(in_a_guest_with_another_init_the_address_is_a_vsock_port, clean),
		cmocka_unit_test_setup(the_kernel_command_line_says, clean),
		cmocka_unit_test_setup(the_carrier_is_chosen, clean),
		cmocka_unit_test_setup(a_bad_parameter_is_fatal_and_named, clean),
		cmocka_unit_test_setup(a_configuration_file_says, clean),
		cmocka_unit_test_setup(a_bad_configuration_file_is_fatal, clean),
		cmocka_unit_test_setup(of_the_sources_the_later_one_counts, clean),
		cmocka_unit_test_setup(a_program_called_kata_agent_is_in_a_guest, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
