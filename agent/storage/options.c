/* The words of mount(8) that stand for flags of mount(2). */
#include "agent/storage/options.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "lib/cleanup.h"

static const struct {
	const char *word;
	bool clear;
	unsigned long flags;
} flag_words[] = {
	{"defaults", false, 0},
	{"async", true, MS_SYNCHRONOUS},
	{"atime", true, MS_NOATIME},
	{"bind", false, MS_BIND},
	{"dev", true, MS_NODEV},
	{"diratime", true, MS_NODIRATIME},
	{"dirsync", false, MS_DIRSYNC},
	{"exec", true, MS_NOEXEC},
	{"iversion", false, MS_I_VERSION},
	{"loud", true, MS_SILENT},
	{"mand", false, MS_MANDLOCK},
	{"noatime", false, MS_NOATIME},
	{"nodev", false, MS_NODEV},
	{"nodiratime", false, MS_NODIRATIME},
	{"noexec", false, MS_NOEXEC},
	{"noiversion", true, MS_I_VERSION},
	{"nomand", true, MS_MANDLOCK},
	{"norelatime", true, MS_RELATIME},
	{"nostrictatime", true, MS_STRICTATIME},
	{"nosuid", false, MS_NOSUID},
	{"private", false, MS_PRIVATE},
	{"rbind", false, MS_BIND | MS_REC},
	{"relatime", false, MS_RELATIME},
	{"remount", false, MS_REMOUNT},
	{"ro", false, MS_RDONLY},
	{"rprivate", false, MS_PRIVATE | MS_REC},
	{"rshared", false, MS_SHARED | MS_REC},
	{"rslave", false, MS_SLAVE | MS_REC},
	{"runbindable", false, MS_UNBINDABLE | MS_REC},
	{"rw", true, MS_RDONLY},
	{"shared", false, MS_SHARED},
	{"silent", false, MS_SILENT},
	{"slave", false, MS_SLAVE},
	{"strictatime", false, MS_STRICTATIME},
	{"suid", true, MS_NOSUID},
	{"sync", false, MS_SYNCHRONOUS},
	{"unbindable", false, MS_UNBINDABLE},
};

static bool apply_flag(struct mount_options *options, const char *word)
{
	for (size_t i = 0; i < array_size(flag_words); i++) {
		if (strcmp(flag_words[i].word, word) != 0)
			continue;
		if (flag_words[i].clear)
			options->flags &= ~flag_words[i].flags;
		else
			options->flags |= flag_words[i].flags;
		return true;
	}
	return false;
}

/* Words that a runtime puts there for the agent, which a filesystem would refuse. */
static bool is_for_runtimes(const char *word)
{
	static const char *const prefixes[] = {"io.katacontainers.", "X-kata."};

	for (size_t i = 0; i < array_size(prefixes); i++)
		if (strncmp(word, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

/* Whether `word` is "key=...". */
static bool has_key(const char *word, const char *key)
{
	size_t length = strlen(key);

	return strncmp(word, key, length) == 0 && word[length] == '=';
}

int options_parse_without(struct mount_options *options, const char *const *words, size_t count, const char *key,
			  struct error *error)
{
	size_t used = 0;

	options->flags = 0;
	options->data[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(words[i]);

		if (length == 0 || (key && has_key(words[i], key)) || apply_flag(options, words[i]) ||
		    is_for_runtimes(words[i]))
			continue;
		if (strcmp(words[i], "loop") == 0 || strncmp(words[i], "loop=", 5) == 0)
			return error_set(error, EINVAL, "the mount option 'loop' isn't supported");
		if (used + length + 2 > sizeof(options->data))
			return error_set(error, EINVAL, "the mount options are longer than a page");
		if (used > 0)
			options->data[used++] = ',';
		memcpy(options->data + used, words[i], length + 1);
		used += length;
	}
	return 0;
}

int options_parse(struct mount_options *options, const char *const *words, size_t count, struct error *error)
{
	return options_parse_without(options, words, count, NULL, error);
}

const char *options_find(const char *const *words, size_t count, const char *key)
{
	for (size_t i = 0; i < count; i++)
		if (has_key(words[i], key))
			return words[i] + strlen(key) + 1;
	return NULL;
}

bool options_have(const char *const *words, size_t count, const char *word)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(words[i], word) == 0)
			return true;
	return false;
}

int options_number(const char *const *words, size_t count, const char *key, int base, long *number,
		   struct error *error)
{
	const char *text = options_find(words, count, key);
	char *end;

	*number = -1;
	if (!text)
		return 0;
	errno = 0;
	*number = strtol(text, &end, base);
	if (errno != 0 || end == text || *end || *number < 0 || *number > UINT32_MAX)
		return error_set(error, EINVAL, "option %s=%.40s is no number", key, text);
	return 0;
}
