/* JSON (RFC 8259), read into a tree: what the guest's CDI files are written in.
 *
 * Of the libraries jansson would cost the agent 19 KiB and cJSON 9 KiB, as linked statically; this costs less than 2.
 */
#ifndef NACRE_AGENT_DEVICE_JSON_H
#define NACRE_AGENT_DEVICE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/arena.h"

enum json_kind {
	JSON_OTHER, /* null, true, false, and numbers that aren't whole or too large */
	JSON_NUMBER,
	JSON_TEXT,
	JSON_LIST,
	JSON_OBJECT,
};

struct json {
	enum json_kind kind;
	const char *name; /* in an object */
	const char *text; /* TEXT, in UTF-8 */
	int64_t number;	  /* NUMBER */
	const struct json *first; /* LIST, OBJECT: what is in it; each has its next one */
	const struct json *next;
};

/* The tree, in the arena; its texts are in `text`, which is overwritten. NULL for what isn't JSON, is deeper than 32, or has
 * a zero in a text. */
const struct json *json_parse(char *text, struct arena *arena);

/* What an object has under a name; NULL where it hasn't, or isn't one, or is NULL. */
const struct json *json_find(const struct json *object, const char *name);

/* The same of a text, or NULL; of a number, or `otherwise`. */
const char *json_text(const struct json *object, const char *name);
int64_t json_number(const struct json *object, const char *name, int64_t otherwise);

#endif
