/* The kernel's command line: words, "key=value" or bare, as the kernel itself tells them apart (parameters are
 * separated by white space; a double quote switches that off until the next one, and isn't part of the word; see
 * Documentation/admin-guide/kernel-parameters.rst).
 */
#ifndef NACRE_LIB_CMDLINE_H
#define NACRE_LIB_CMDLINE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/error.h"

/* Room for the longest command line of any architecture (4096), and then some. */
#define CMDLINE_SIZE 8192
#define CMDLINE_WORD_SIZE 1024

/* One word, cut at its first '='. */
struct cmdline_word {
	const char *key;
	const char *value; /* NULL where the word has no '=' */
	char text[CMDLINE_WORD_SIZE];
};

/* Reads /proc/cmdline. 0 or -errno. */
int cmdline_read(char text[CMDLINE_SIZE], struct error *error);

/* Takes the next word from *text, which moves behind it. False at the end. A word that is longer than there is room for
 * is passed over. */
bool cmdline_next(const char **text, struct cmdline_word *word);

/* Finds the last "key=value" with exactly this key, and copies its value; one that doesn't fit counts as absent, as
 * does the bare key. */
bool cmdline_get(const char *text, const char *key, char *value, size_t size);

/* True where the bare word is there. */
bool cmdline_has(const char *text, const char *key);

#endif
