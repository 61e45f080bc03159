/* What an image says about its container: the OCI image configuration (image-spec, config.md). */
#ifndef NACRE_RUNTIME_SOURCE_CONFIG_H
#define NACRE_RUNTIME_SOURCE_CONFIG_H

#include <jansson.h>
#include <stddef.h>

#include "lib/error.h"

struct image_config {
	json_t *document; /* keeps the strings */
	char **environment, **entrypoint, **command; /* NULL-terminated; empty where the image has none */
	const char *directory, *user;		     /* NULL where it has none */
	int stop_signal;			     /* 0 where it has none */
	char **layers;				     /* the digests of their contents, lowest first */
	size_t layer_count;
};

/* Reads it. 0, or -EINVAL for what isn't one. image_config_free() in any case. */
int image_config_parse(struct image_config *config, const char *text, struct error *error);
void image_config_free(struct image_config *config);

/* An array of strings as a NULL-terminated list in memory of its own, the strings staying in the document; a missing or
 * null array is empty. NULL where something in it isn't a string, or memory is out. *count may be NULL. */
char **image_config_list(const json_t *array, size_t *count);

#endif
