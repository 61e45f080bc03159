/* Words of the kernel's command line. */
#include "lib/cmdline.h"

#include <fcntl.h>
#include <string.h>

#include "lib/fd.h"

static bool is_space(char byte)
{
	return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

int cmdline_read(char text[CMDLINE_SIZE], struct error *error)
{
	ssize_t length = fd_read_file(AT_FDCWD, "/proc/cmdline", text, CMDLINE_SIZE, error);

	return length < 0 ? (int)length : 0;
}

/* Copies one word without its quotes. Its length, which is `size` or more where it didn't fit. */
static size_t copy_word(const char **text, char *word, size_t size)
{
	bool quoted = false;
	size_t length = 0;

	for (; **text && (quoted || !is_space(**text)); ++*text) {
		if (**text == '"') {
			quoted = !quoted;
			continue;
		}
		if (length + 1 < size)
			word[length] = **text;
		length++;
	}
	word[length < size ? length : size - 1] = '\0';
	return length;
}

bool cmdline_next(const char **text, struct cmdline_word *word)
{
	for (;;) {
		char *equals;

		while (is_space(**text))
			++*text;
		if (!**text)
			return false;
		if (copy_word(text, word->text, sizeof(word->text)) >= sizeof(word->text))
			continue;
		equals = strchr(word->text, '=');
		if (equals)
			*equals = '\0';
		word->key = word->text;
		word->value = equals ? equals + 1 : NULL;
		return true;
	}
}

bool cmdline_get(const char *text, const char *key, char *value, size_t size)
{
	struct cmdline_word word;
	bool found = false;

	while (cmdline_next(&text, &word)) {
		if (!word.value || strcmp(word.key, key) != 0 || strlen(word.value) >= size)
			continue;
		strcpy(value, word.value);
		found = true;
	}
	return found;
}

bool cmdline_has(const char *text, const char *key)
{
	struct cmdline_word word;

	while (cmdline_next(&text, &word))
		if (!word.value && strcmp(word.key, key) == 0)
			return true;
	return false;
}
