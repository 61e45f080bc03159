/* A subset of TOML (toml.io, version 1.0), as far as a configuration file of the Kata agent needs it: keys and tables, inline
 * ones too, strings, whole numbers, booleans. Everything else that TOML has is stepped over, so that a file may say more
 * than the agent knows.
 *
 * Written by hand, where docs/contributing.md wants libraries before own code, because of the guest's size: a
 * library for all of TOML, which builds a tree of it in memory, is several times as large as this, which is 4 KB.
 */
#ifndef NACRE_AGENT_TOML_H
#define NACRE_AGENT_TOML_H

#include "lib/error.h"

#define TOML_PATH_SIZE 128
#define TOML_VALUE_SIZE 1024

enum toml_type { TOML_STRING, TOML_INTEGER, TOML_BOOLEAN, TOML_OTHER };

/* Takes one value. `path` is the key with its tables before it, "hotplug_timeout.secs", however the file spells that.
 * `value` is a string's contents, a number in decimal, or "true" or "false"; for TOML_OTHER (a string that is too long,
 * a fraction, a date) it means nothing. 0, or -errno with `error` filled, which ends the reading. */
typedef int toml_entry(void *context, const char *path, enum toml_type type, const char *value, struct error *error);

/* Reads a whole document. What is in arrays isn't told. 0, or -errno, with "FILE:LINE: " in front of what was wrong. */
int toml_read(const char *file, const char *text, toml_entry *entry, void *context, struct error *error);

#endif
