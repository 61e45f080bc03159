/* The agent's configuration. One table says what there is; a kernel parameter and a key of the file mean the same. What
 * only a part of the Kata agent uses that isn't here (guest components, image pulls, the memory agent) is checked as it
 * checks it, and forgotten. */
#define LOG_SUBSYSTEM "config"
#include "agent/config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "agent/toml.h"
#include "lib/cleanup.h"
#include "lib/cmdline.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/supervision.h"

#define DEFAULT_ADDRESS "vsock://-1:1024"
#define DEFAULT_HOTPLUG_TIMEOUT (3 * LOOP_SECOND)
#define DEFAULT_CDI_TIMEOUT (100 * LOOP_SECOND)
#define SECONDS_MAX INT32_MAX
#define FILE_SIZE_MAX 65536

#define PREFIX "agent."

/* Values ------------------------------------------------------------------------------------------------------- */

enum kind {
	FLAG,	/* set by its bare name; true or false in a file */
	SWITCH, /* also by a value, which never fails */
	STRICT, /* true or false */
	LEVEL,
	ADDRESS,
	TEXT,
	URL,
	REST_API,
	PROCS,
	SECONDS, /* over 0, or else it counts for nothing; nanoseconds in the configuration */
	PORT,	 /* the same */
	SIZE,
	BYTE,
	COUNT,
	NUMBER,
};

static const struct {
	const char *name;
	enum log_level level;
} levels[] = {
	{"fatal", LOG_ERROR},	  {"panic", LOG_ERROR},	    {"critical", LOG_ERROR}, {"error", LOG_ERROR},
	{"warn", LOG_WARNING},	  {"warning", LOG_WARNING}, {"info", LOG_INFO},	     {"debug", LOG_DEBUG},
	{"trace", LOG_TRACE},
};

static const char *const rest_apis[] = {"all", "attestation", "resource", NULL};
static const char *const procs[] = {"none", "attestation-agent", "confidential-data-hub", "api-server-rest", NULL};

static int set_address(void *field, const char *value, struct error *error)
{
	const size_t size = sizeof(((struct agent_config *)NULL)->server_address);

	if (strncmp(value, "tcp://", 6) == 0)
		return error_set(error, EINVAL, "tcp:// isn't served, as the guest's containers could reach it");
	if (strlen(value) >= size)
		return error_set(error, ENAMETOOLONG, "'%.80s...' is too long", value);
	strcpy(field, value);
	return 0;
}

static int set_level(enum log_level *level, const char *value, struct error *error)
{
	for (size_t i = 0; i < array_size(levels); i++) {
		if (strcmp(levels[i].name, value) == 0) {
			*level = levels[i].level;
			return 0;
		}
	}
	return error_set(error, EINVAL, "'%.80s' is no log level", value);
}

static int check_choice(const char *const choices[], const char *value, struct error *error)
{
	for (; *choices; choices++)
		if (strcmp(*choices, value) == 0)
			return 0;
	return error_set(error, EINVAL, "'%.80s' is none of its values", value);
}

/* As the Kata agent reads it: a number other than 0 is a yes, and what is neither is a no. */
static bool is_yes(const char *value)
{
	char *end;
	unsigned long long number;

	if (*value < '0' || *value > '9')
		return strcmp(value, "true") == 0;
	number = strtoull(value, &end, 10);
	return *end == '\0' && number != 0;
}

static int parse_number(enum kind kind, const char *value, long long *number, struct error *error)
{
	static const struct {
		long long least, most;
	} ranges[] = {
		[SECONDS] = {0, INT64_MAX}, [PORT] = {INT32_MIN, INT32_MAX}, [SIZE] = {0, INT32_MAX},
		[BYTE] = {0, UINT8_MAX},    [COUNT] = {0, INT64_MAX},	     [NUMBER] = {INT64_MIN, INT64_MAX},
	};
	const long long least = ranges[kind].least, most = ranges[kind].most;
	char *end;

	errno = 0;
	*number = strtoll(value, &end, 10);
	if (errno != 0 || end == value || *end || *number < least || *number > most)
		return error_set(error, EINVAL, "'%.80s' is no number from %lld to %lld", value, least, most);
	return 0;
}

static int set_number(enum kind kind, void *field, const char *value, struct error *error)
{
	long long number;
	int status = parse_number(kind, value, &number, error);

	if (status < 0 || !field)
		return status;
	if (kind == SIZE || (kind == PORT && number > 0))
		*(uint32_t *)field = (uint32_t)number;
	if (kind == SECONDS && number > 0)
		*(uint64_t *)field = (uint64_t)(number < SECONDS_MAX ? number : SECONDS_MAX) * LOOP_SECOND;
	return 0;
}

/* Takes a value; `field` is NULL where it is only to be checked. */
static int set_value(enum kind kind, void *field, const char *value, struct error *error)
{
	switch (kind) {
	case FLAG:
	case SWITCH:
		if (field)
			*(bool *)field = is_yes(value);
		return 0;
	case STRICT:
		if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
			return error_set(error, EINVAL, "'%.80s' is neither true nor false", value);
		return 0;
	case LEVEL:
		return set_level(field, value, error);
	case ADDRESS:
		return set_address(field, value, error);
	case TEXT:
		return 0;
	case URL:
		if (!strstr(value, ":") || *value == ':')
			return error_set(error, EINVAL, "'%.80s' is no URL", value);
		return 0;
	case REST_API:
		return check_choice(rest_apis, value, error);
	case PROCS:
		return check_choice(procs, value, error);
	default:
		return set_number(kind, field, value, error);
	}
}

/* Settings ----------------------------------------------------------------------------------------------------- */

#define UNUSED 0 /* in the place of a field: checked only */
#define FIELD(name) offsetof(struct agent_config, name)

/* `key` is the file's, where that isn't the parameter without its prefix. */
static const struct setting {
	const char *parameter, *key;
	uint16_t kind, field;
} settings[] = {
	{"agent.debug_console", NULL, FLAG, FIELD(debug_console)},
	{"agent.devmode", "dev_mode", FLAG, UNUSED},
	{"agent.trace", "tracing", SWITCH, FIELD(tracing)},
	{"agent.log", "log_level", LEVEL, FIELD(log_level)},
	{"agent.server_addr", NULL, ADDRESS, FIELD(server_address)},
	{"agent.passfd_listener_port", NULL, PORT, FIELD(streams_port)},
	{"agent.hotplug_timeout", NULL, SECONDS, FIELD(hotplug_timeout)},
	{"agent.cdh_api_timeout", NULL, SECONDS, UNUSED},
	{"agent.image_pull_timeout", NULL, SECONDS, UNUSED},
	{"agent.cdi_timeout", NULL, SECONDS, FIELD(cdi_timeout)},
	{"agent.launch_process_timeout", NULL, SECONDS, UNUSED},
	{"agent.visible_cdi_devices", NULL, SWITCH, FIELD(visible_cdi_devices)},
	{"agent.debug_console_vport", NULL, PORT, FIELD(debug_console_port)},
	{"agent.log_vport", NULL, PORT, FIELD(log_port)},
	{"agent.container_pipe_size", NULL, SIZE, FIELD(container_pipe_size)},
	/* These two are the supervisor's, which mounts the cgroups before there is an agent. */
	{"cgroup_no_v1", "", TEXT, UNUSED},
	{"systemd.unified_cgroup_hierarchy", "unified_cgroup_hierarchy", SWITCH, UNUSED},
	{"agent.https_proxy", NULL, URL, UNUSED},
	{"agent.no_proxy", NULL, TEXT, UNUSED},
	{"agent.guest_components_rest_api", NULL, REST_API, UNUSED},
	{"agent.guest_components_procs", NULL, PROCS, UNUSED},
	{"agent.secure_storage_integrity", NULL, SWITCH, UNUSED},
	{"agent.mem_agent_enable", NULL, SWITCH, FIELD(mem_agent)},
	{"agent.mem_agent_memcg_disable", NULL, STRICT, UNUSED},
	{"agent.mem_agent_memcg_swap", NULL, STRICT, UNUSED},
	{"agent.mem_agent_memcg_swappiness_max", NULL, BYTE, UNUSED},
	{"agent.mem_agent_memcg_period_secs", NULL, COUNT, UNUSED},
	{"agent.mem_agent_memcg_period_psi_percent_limit", NULL, BYTE, UNUSED},
	{"agent.mem_agent_memcg_eviction_psi_percent_limit", NULL, BYTE, UNUSED},
	{"agent.mem_agent_memcg_eviction_run_aging_count_min", NULL, COUNT, UNUSED},
	{"agent.mem_agent_compact_disable", NULL, STRICT, UNUSED},
	{"agent.mem_agent_compact_period_secs", NULL, COUNT, UNUSED},
	{"agent.mem_agent_compact_period_psi_percent_limit", NULL, BYTE, UNUSED},
	{"agent.mem_agent_compact_psi_percent_limit", NULL, BYTE, UNUSED},
	{"agent.mem_agent_compact_sec_max", NULL, NUMBER, UNUSED},
	{"agent.mem_agent_compact_order", NULL, BYTE, UNUSED},
	{"agent.mem_agent_compact_threshold", NULL, COUNT, UNUSED},
	{"agent.mem_agent_compact_force_times", NULL, COUNT, UNUSED},
};

static void *field_of(struct agent_config *config, const struct setting *setting)
{
	return setting->field == UNUSED ? NULL : (char *)config + setting->field;
}

static const char *key_of(const struct setting *setting)
{
	return setting->key ? setting->key : setting->parameter + sizeof(PREFIX) - 1;
}

/* The kernel's command line ------------------------------------------------------------------------------------ */

static int take_word(struct agent_config *config, const struct setting *setting, const char *value, struct error *error)
{
	void *field = field_of(config, setting);

	if (!value) {
		if ((setting->kind == FLAG || setting->field == FIELD(tracing)) && field)
			*(bool *)field = true;
		return 0;
	}
	if (setting->kind == FLAG)
		return 0;
	/* The memory agent's own parameters only count behind the one that wants it. */
	if (!config->mem_agent && strncmp(setting->parameter, "agent.mem_agent_", 16) == 0 && setting->field == UNUSED)
		return 0;
	if (*value == '\0' && setting->kind >= ADDRESS && setting->kind <= URL)
		return error_set(error, EINVAL, "a value is missing");
	return set_value(setting->kind, field, value, error);
}

/* As all of nacre.*, whatever the Kata agent's parameters say, and never fatal. */
static void take_carrier(struct agent_config *config, const char *text)
{
	char value[80];

	if (!cmdline_get(text, "nacre.carrier", value, sizeof(value)))
		return;
	if (strcmp(value, "serial") == 0)
		config->carrier = CARRIER_SERIAL;
	else if (strcmp(value, "vsock") == 0)
		config->carrier = CARRIER_VSOCK;
	else
		log_warning("the parameter nacre.carrier=%s makes no sense", value);
}

int config_read_command_line(struct agent_config *config, const char *text, struct error *error)
{
	struct agent_config defaults;
	struct cmdline_word word;
	int status = 0;

	take_carrier(config, text);
	defaults = *config;
	while (status == 0 && cmdline_next(&text, &word)) {
		/* The file and nothing else, as with the Kata agent. */
		if (word.value && strcmp(word.key, "agent.config_file") == 0) {
			*config = defaults;
			status = config_read_file(config, word.value, error);
			return status < 0 ? status : 1;
		}
		for (size_t i = 0; i < array_size(settings) && status == 0; i++)
			if (strcmp(settings[i].parameter, word.key) == 0)
				status = take_word(config, &settings[i], word.value, error);
	}
	return status < 0 ? error_wrap(error, "%s", word.key) : 0;
}

/* The file ----------------------------------------------------------------------------------------------------- */

struct reading {
	struct agent_config *config;
	uint64_t seen; /* a bit for each of the settings */
};

_Static_assert(array_size(settings) <= 64, "a bit for each");

/* hotplug_timeout.secs and hotplug_timeout.nanos, in any order. */
static int take_time(uint64_t *field, const char *unit, const char *value, struct error *error)
{
	bool seconds = strcmp(unit, "secs") == 0;
	uint64_t dummy = 0, *nanoseconds = field ? field : &dummy;
	long long number;
	int status;

	if (!seconds && strcmp(unit, "nanos") != 0)
		return 0;
	status = parse_number(SECONDS, value, &number, error);
	if (status < 0)
		return status;
	if (!seconds && number >= (long long)LOOP_SECOND)
		return error_set(error, EINVAL, "%lld are more than a second has", number);
	if (number > SECONDS_MAX)
		number = SECONDS_MAX;
	if (seconds)
		*nanoseconds = (uint64_t)number * LOOP_SECOND + *nanoseconds % LOOP_SECOND;
	else
		*nanoseconds += (uint64_t)number - *nanoseconds % LOOP_SECOND;
	return 0;
}

static int take_typed(struct agent_config *config, const struct setting *setting, enum toml_type type, const char *value,
		      struct error *error)
{
	static const char *const names[] = {"a string", "a whole number", "true or false"};
	enum toml_type wanted = setting->kind <= STRICT	   ? TOML_BOOLEAN
				: setting->kind <= PROCS   ? TOML_STRING
				: setting->kind != SECONDS ? TOML_INTEGER
							   : TOML_OTHER;

	if (wanted == TOML_OTHER)
		return error_set(error, EINVAL, "it should be a table, { secs = 3, nanos = 0 }");
	if (type != wanted)
		return error_set(error, EINVAL, "its value should be %s", names[wanted]);
	return set_value(setting->kind == URL ? TEXT : setting->kind, field_of(config, setting), value, error);
}

static int take_entry(void *context, const char *path, enum toml_type type, const char *value, struct error *error)
{
	struct reading *reading = context;

	for (size_t i = 0; i < array_size(settings); i++) {
		const struct setting *setting = &settings[i];
		size_t length = strlen(key_of(setting));
		uint64_t bit = UINT64_C(1) << i;
		int status;

		if (length == 0 || strncmp(path, key_of(setting), length) != 0)
			continue;
		if (path[length] == '.' && setting->kind == SECONDS) {
			if (type != TOML_INTEGER)
				status = error_set(error, EINVAL, "its value should be a whole number");
			else
				status = take_time(field_of(reading->config, setting), path + length + 1, value, error);
		} else if (path[length] == '\0' && reading->seen & bit) {
			status = error_set(error, EINVAL, "it is there twice");
		} else if (path[length] == '\0') {
			reading->seen |= bit;
			status = take_typed(reading->config, setting, type, value, error);
		} else {
			continue;
		}
		return status < 0 ? error_wrap(error, "%s", path) : 0;
	}
	return 0;
}

int config_read_file(struct agent_config *config, const char *path, struct error *error)
{
	static char text[FILE_SIZE_MAX];
	struct reading reading = {.config = config};
	ssize_t length = fd_read_file(AT_FDCWD, path, text, sizeof(text), error);
	int status;

	if (length < 0)
		return error_wrap(error, "the configuration file");
	if (strlen(text) != (size_t)length)
		return error_set(error, EINVAL, "%s: it has a NUL byte in it", path);
	status = toml_read(path, text, take_entry, &reading, error);
	if (config->hotplug_timeout == 0)
		config->hotplug_timeout = DEFAULT_HOTPLUG_TIMEOUT;
	return status;
}

/* Everything --------------------------------------------------------------------------------------------------- */

static int read_environment(struct agent_config *config, struct error *error)
{
	const char *address = getenv("KATA_AGENT_SERVER_ADDR");
	const char *level = getenv("KATA_AGENT_LOG_LEVEL");
	const char *tracing = getenv("KATA_AGENT_TRACING");

	/* A bad level is passed over, as in the Kata agent. */
	if (level)
		set_level(&config->log_level, level, NULL);
	if (tracing)
		config->tracing = is_yes(tracing);
	if (address && set_address(config->server_address, address, error) < 0)
		return error_wrap(error, "KATA_AGENT_SERVER_ADDR");
	return 0;
}

struct arguments {
	const char *address, *file;
	bool guest;
};

static int read_arguments(struct arguments *arguments, int argc, char **argv, struct error *error)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"listen", required_argument, NULL, 'l'},
		{"guest", no_argument, NULL, 'g'},
		{0},
	};
	int option;

	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (option == 'c')
			arguments->file = optarg;
		else if (option == 'l')
			arguments->address = optarg;
		else if (option == 'g')
			arguments->guest = true;
		else
			return error_set(error, EINVAL, "unknown option or missing value: %s", argv[optind - 1]);
	}
	if (optind < argc)
		return error_set(error, EINVAL, "unexpected argument: %s", argv[optind]);
	return 0;
}

static int read_sources(struct agent_config *config, const struct arguments *arguments, struct error *error)
{
	static char text[CMDLINE_SIZE];
	int status = 0;

	if (arguments->file) {
		status = config_read_file(config, arguments->file, error);
	} else if (config->guest) {
		status = cmdline_read(text, error);
		if (status == 0)
			status = config_read_command_line(config, text, error);
	}
	if (status != 0)
		return status < 0 ? status : 0;
	return read_environment(config, error);
}

int config_load(struct agent_config *config, int argc, char **argv, struct error *error)
{
	bool init = getenv(SUPERVISION_GUEST) != NULL;
	/* A unit for the Kata agent starts it without arguments. */
	struct arguments arguments = {.guest = init || (argc > 0 && strcmp(argv[0], "kata-agent") == 0)};
	/* The kernel passes what it doesn't know to PID 1 as arguments, which aren't the agent's. */
	int status = init ? 0 : read_arguments(&arguments, argc, argv, error);

	*config = (struct agent_config){
		.init = init,
		.guest = arguments.guest,
		.hotplug_timeout = DEFAULT_HOTPLUG_TIMEOUT,
		.cdi_timeout = DEFAULT_CDI_TIMEOUT,
		.log_level = LOG_INFO,
	};
	if (config->guest)
		strcpy(config->server_address, DEFAULT_ADDRESS);
	if (status == 0)
		status = read_sources(config, &arguments, error);
	if (status == 0 && arguments.address)
		status = set_address(config->server_address, arguments.address, error);
	if (status == 0 && *config->server_address == '\0')
		return error_set(error, EINVAL, "no address to listen on: give --listen unix://PATH, or --guest");
	return status;
}
