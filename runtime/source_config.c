/* The image configuration, out of JSON. */
#include "runtime/source_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "runtime/signal_name.h"

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
		config->stop_signal = signal_parse(stop, error);
	if (config->stop_signal < 0)
		return error_wrap(error, "the image's StopSignal");
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
