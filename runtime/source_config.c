/* The image configuration, out of JSON. */
#include "runtime/source_config.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/cleanup.h"

#define SIGNAL_MOST 64

static const struct {
	const char *name;
	int number;
} signals[] = {
	{"ABRT", SIGABRT},   {"ALRM", SIGALRM}, {"BUS", SIGBUS},   {"CHLD", SIGCHLD},	  {"CONT", SIGCONT},
	{"FPE", SIGFPE},     {"HUP", SIGHUP},	{"ILL", SIGILL},   {"INT", SIGINT},	  {"IO", SIGIO},
	{"KILL", SIGKILL},   {"PIPE", SIGPIPE}, {"PROF", SIGPROF}, {"PWR", SIGPWR},	  {"QUIT", SIGQUIT},
	{"SEGV", SIGSEGV},   {"STOP", SIGSTOP}, {"SYS", SIGSYS},   {"TERM", SIGTERM},	  {"TRAP", SIGTRAP},
	{"TSTP", SIGTSTP},   {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU}, {"URG", SIGURG},	  {"USR1", SIGUSR1},
	{"USR2", SIGUSR2},   {"VTALRM", SIGVTALRM},		   {"WINCH", SIGWINCH}, {"XCPU", SIGXCPU},
	{"XFSZ", SIGXFSZ},
};

/* The kernel's first and last real-time signals, as docker counts them. */
#define RTMIN 34
#define RTMAX 64

static int realtime_signal(const char *text)
{
	bool from_end = strncasecmp(text, "RTMAX", 5) == 0;
	int number = from_end ? RTMAX : RTMIN;
	char *end;
	long offset = 0;

	if (!from_end && strncasecmp(text, "RTMIN", 5) != 0)
		return -EINVAL;
	text += 5;
	if (*text) {
		if (*text != (from_end ? '-' : '+') || !isdigit((unsigned char)text[1]))
			return -EINVAL;
		offset = strtol(text, &end, 10);
		if (*end || offset < RTMIN - RTMAX || offset > RTMAX - RTMIN)
			return -EINVAL;
	}
	return number + (int)offset;
}

int image_config_signal(const char *text)
{
	char *end;
	long number = strtol(text, &end, 10);

	if (isdigit((unsigned char)*text))
		return *end || number < 1 || number > SIGNAL_MOST ? -EINVAL : (int)number;
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (size_t i = 0; i < array_size(signals); i++)
		if (strcasecmp(text, signals[i].name) == 0)
			return signals[i].number;
	return realtime_signal(text);
}

char **image_config_list(const json_t *array, size_t *count)
{
	size_t length = json_array_size(array);
	cleanup_free char **list = calloc(length + 1, sizeof(char *));

	if (!list || (array && !json_is_array(array) && !json_is_null(array)))
		return NULL;
	for (size_t i = 0; i < length; i++) {
		list[i] = (char *)json_string_value(json_array_get(array, i));
		if (!list[i])
			return NULL;
	}
	if (count)
		*count = length;
	return take_pointer(&list);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text && *text ? text : NULL;
}

static int take_lists(struct image_config *config, const json_t *inner, struct error *error)
{
	const json_t *layers = json_object_get(json_object_get(config->document, "rootfs"), "diff_ids");

	config->environment = image_config_list(json_object_get(inner, "Env"), NULL);
	config->entrypoint = image_config_list(json_object_get(inner, "Entrypoint"), NULL);
	config->command = image_config_list(json_object_get(inner, "Cmd"), NULL);
	config->layers = image_config_list(layers, &config->layer_count);
	if (!config->environment || !config->entrypoint || !config->command || !config->layers)
		return error_set(error, EINVAL, "the image's configuration has no list of strings where one must be");
	for (char **entry = config->environment; *entry; entry++)
		if (**entry == '=' || !strchr(*entry, '='))
			return error_set(error, EINVAL, "the image's configuration has '%.80s' for a variable", *entry);
	return 0;
}

int image_config_parse(struct image_config *config, const char *text, struct error *error)
{
	json_error_t fault;
	const json_t *inner;
	const char *stop;

	*config = (struct image_config){.document = json_loads(text, 0, &fault)};
	if (!json_is_object(config->document))
		return error_set(error, EINVAL, "the image's configuration is no JSON object: %s", fault.text);
	inner = json_object_get(config->document, "config");
	config->directory = text_of(inner, "WorkingDir");
	config->user = text_of(inner, "User");
	if (config->directory && *config->directory != '/')
		return error_set(error, EINVAL, "the image's WorkingDir '%.80s' isn't absolute", config->directory);
	stop = text_of(inner, "StopSignal");
	if (stop)
		config->stop_signal = image_config_signal(stop);
	if (config->stop_signal < 0)
		return error_set(error, EINVAL, "the image's StopSignal '%.80s' is no signal", stop);
	return take_lists(config, inner, error);
}

void image_config_free(struct image_config *config)
{
	free(config->environment);
	free(config->entrypoint);
	free(config->command);
	free(config->layers);
	json_decref(config->document);
	*config = (struct image_config){0};
}
