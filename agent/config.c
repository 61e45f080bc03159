/* The agent's configuration. */
#define LOG_SUBSYSTEM "config"
#include "agent/config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/cmdline.h"
#include "lib/loop.h"

#define DEFAULT_ADDRESS "vsock://-1:1024"
#define DEFAULT_HOTPLUG_TIMEOUT 3 /* seconds */

static const struct {
	const char *name;
	enum log_level level;
} levels[] = {
	{"fatal", LOG_ERROR},	  {"panic", LOG_ERROR},	    {"critical", LOG_ERROR}, {"error", LOG_ERROR},
	{"warn", LOG_WARNING},	  {"warning", LOG_WARNING}, {"info", LOG_INFO},	     {"debug", LOG_DEBUG},
	{"trace", LOG_TRACE},
};

static int set_address(struct agent_config *config, const char *value, struct error *error)
{
	if (strlen(value) >= sizeof(config->server_address))
		return error_set(error, ENAMETOOLONG, "server address '%.80s...' is too long", value);
	strcpy(config->server_address, value);
	return 0;
}

static int set_log_level(struct agent_config *config, const char *value, struct error *error)
{
	for (size_t i = 0; i < array_size(levels); i++) {
		if (strcmp(levels[i].name, value) == 0) {
			config->log_level = levels[i].level;
			return 0;
		}
	}
	return error_set(error, EINVAL, "'%.80s' is no log level", value);
}

/* A decimal number up to `most`. */
static int parse_number(const char *key, const char *value, long long least, long long most, long long *number,
			struct error *error)
{
	char *end;

	errno = 0;
	*number = strtoll(value, &end, 10);
	if (errno != 0 || end == value || *end || *number < least || *number > most)
		return error_set(error, EINVAL, "%s=%.80s: no number from %lld to %lld", key, value, least, most);
	return 0;
}

static int set_streams_port(struct agent_config *config, const char *value, struct error *error)
{
	long long number;
	int status = parse_number("agent.passfd_listener_port", value, INT32_MIN, INT32_MAX, &number, error);

	/* What isn't a port means none, as in the Kata agent. */
	if (status == 0)
		config->streams_port = number > 0 ? (uint32_t)number : 0;
	return status;
}

static int set_hotplug_timeout(struct agent_config *config, const char *value, struct error *error)
{
	long long seconds;
	int status = parse_number("agent.hotplug_timeout", value, INT32_MIN, INT32_MAX, &seconds, error);

	if (status == 0 && seconds > 0)
		config->hotplug_timeout = (uint64_t)seconds * LOOP_SECOND;
	return status;
}

static int set_pipe_size(struct agent_config *config, const char *value, struct error *error)
{
	long long size;
	int status = parse_number("agent.container_pipe_size", value, 0, INT32_MAX, &size, error);

	if (status == 0)
		config->container_pipe_size = (uint32_t)size;
	return status;
}

static const struct {
	const char *key;
	int (*set)(struct agent_config *config, const char *value, struct error *error);
} parameters[] = {
	{"agent.server_addr", set_address},
	{"agent.log", set_log_level},
	{"agent.passfd_listener_port", set_streams_port},
	{"agent.hotplug_timeout", set_hotplug_timeout},
	{"agent.container_pipe_size", set_pipe_size},
};

static int read_command_line(struct agent_config *config, struct error *error)
{
	static char text[CMDLINE_SIZE];
	struct cmdline_word word;
	const char *rest = text;
	int status = cmdline_read(text, error);

	while (status == 0 && cmdline_next(&rest, &word))
		for (size_t i = 0; i < array_size(parameters) && status == 0; i++)
			if (word.value && strcmp(parameters[i].key, word.key) == 0)
				status = parameters[i].set(config, word.value, error);
	return status;
}

static int read_environment(struct agent_config *config, struct error *error)
{
	const char *address = getenv("KATA_AGENT_SERVER_ADDR");
	const char *level = getenv("KATA_AGENT_LOG_LEVEL");

	/* A bad level is passed over, as in the Kata agent. */
	if (level)
		set_log_level(config, level, NULL);
	return address ? set_address(config, address, error) : 0;
}

static int read_arguments(struct agent_config *config, int argc, char **argv, struct error *error)
{
	static const struct option options[] = {
		{"listen", required_argument, NULL, 'l'},
		{"guest", no_argument, NULL, 'g'},
		{0},
	};
	int option, status = 0;

	opterr = 0;
	optind = 1;
	while (status == 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'l')
			status = set_address(config, optarg, error);
		else if (option != 'g') /* that one has been looked for */
			status = error_set(error, EINVAL, "unknown option or missing value: %s", argv[optind - 1]);
	}
	if (status == 0 && optind < argc)
		status = error_set(error, EINVAL, "unexpected argument: %s", argv[optind]);
	return status;
}

/* Before all else: what the options say comes after what the kernel's command line says. */
static bool has_option(int argc, char **argv, const char *option)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], option) == 0)
			return true;
	return false;
}

int config_load(struct agent_config *config, int argc, char **argv, struct error *error)
{
	bool init = getenv("NACRE_GUEST") != NULL;
	int status = 0;

	*config = (struct agent_config){
		.init = init,
		.guest = init || has_option(argc, argv, "--guest"),
		.hotplug_timeout = DEFAULT_HOTPLUG_TIMEOUT * LOOP_SECOND,
		.log_level = LOG_INFO,
	};
	if (config->guest) {
		set_address(config, DEFAULT_ADDRESS, NULL);
		status = read_command_line(config, error);
	}
	if (status == 0)
		status = read_environment(config, error);
	/* The kernel passes what it doesn't know to PID 1 as arguments, which aren't the agent's. */
	if (status == 0 && !init)
		status = read_arguments(config, argc, argv, error);
	if (status == 0 && *config->server_address == '\0')
		return error_set(error, EINVAL, "no address to listen on: give --listen unix://PATH, or --guest");
	return status;
}
