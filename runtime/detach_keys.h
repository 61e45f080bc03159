/* The keys by which a user leaves a container's terminal, in docker's notation: a list with commas, of single characters
 * and of ctrl-X, where X is a letter or one of @[\]^_
 */
#ifndef NACRE_RUNTIME_DETACH_KEYS_H
#define NACRE_RUNTIME_DETACH_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#define DETACH_KEYS_MOST 16
#define DETACH_KEYS_DEFAULT "ctrl-p,ctrl-q"

struct detach_keys {
	uint8_t keys[DETACH_KEYS_MOST];
	size_t count;	/* 0: there is no way out */
	size_t matched; /* so many of them have been typed, and held back */
};

/* Reads a list; NULL is the default, "" none. 0 or -EINVAL. */
int detach_keys_parse(struct detach_keys *keys, const char *text, struct error *error);

/* Passes what was typed through: to `out`, which has room for length + DETACH_KEYS_MOST bytes; *out_length says how many
 * there are. What may be the beginning of the keys is held back until more comes. True where they have been typed: then
 * the rest is dropped. */
bool detach_keys_filter(struct detach_keys *keys, const uint8_t *typed, size_t length, uint8_t *out,
			size_t *out_length);

#endif
