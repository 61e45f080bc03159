/* Mount options as a request brings them: flag words, and the rest, which is the filesystem's own. */
#ifndef NACRE_AGENT_STORAGE_OPTIONS_H
#define NACRE_AGENT_STORAGE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/error.h"

/* mount(2) takes no more than a page. */
#define OPTIONS_DATA_SIZE 4096

struct mount_options {
	unsigned long flags;
	char data[OPTIONS_DATA_SIZE]; /* comma-separated */
};

/* 0, or -EINVAL: "loop", or more than a page. Words for runtimes (io.katacontainers.*, X-kata.*) are left out. */
int options_parse(struct mount_options *options, const char *const *words, size_t count, struct error *error);

/* The same without "key=..." words, which are for a driver. */
int options_parse_without(struct mount_options *options, const char *const *words, size_t count, const char *key,
			  struct error *error);

/* Whether the word itself is there. */
bool options_have(const char *const *words, size_t count, const char *word);

/* The number of "key=N" among the words, up to UINT32_MAX; -1 where there is none. 0, or -EINVAL where it is no number. */
int options_number(const char *const *words, size_t count, const char *key, int base, long *number,
		   struct error *error);

/* The value of "key=value" among the words, or NULL. */
const char *options_find(const char *const *words, size_t count, const char *key);

#endif
