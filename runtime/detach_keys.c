/* A parser, and a search over pieces. */
#include "runtime/detach_keys.h"

#include <errno.h>
#include <string.h>

#include "lib/cleanup.h"

#define CONTROL "ctrl-"
#define CONTROL_SIZE (sizeof(CONTROL) - 1)

/* The byte that a key gives, or -1. */
static int key_byte(const char *key, size_t length)
{
	if (length == 1)
		return (unsigned char)*key;
	if (length != CONTROL_SIZE + 1 || strncmp(key, CONTROL, CONTROL_SIZE) != 0)
		return -1;
	key += CONTROL_SIZE;
	if ((*key >= 'a' && *key <= 'z') || (*key >= '@' && *key <= '_'))
		return *key & 0x1f;
	return -1;
}

int detach_keys_parse(struct detach_keys *keys, const char *text, struct error *error)
{
	const char *rest = text ? text : DETACH_KEYS_DEFAULT;

	*keys = (struct detach_keys){0};
	while (*rest) {
		size_t length = strcspn(rest, ",");
		int byte = key_byte(rest, length);

		if (byte < 0)
			return error_set(error, EINVAL, "--detach-keys: '%.*s' is neither a character nor ctrl-X",
					 (int)(length < 40 ? length : 40), rest);
		if (keys->count == DETACH_KEYS_MOST)
			return error_set(error, EINVAL, "--detach-keys: more than %d keys", DETACH_KEYS_MOST);
		keys->keys[keys->count++] = (uint8_t)byte;
		rest += length;
		if (*rest == ',' && *++rest == '\0')
			return error_set(error, EINVAL, "--detach-keys: nothing behind the last comma");
	}
	return 0;
}

/* The keys that are held back, and one that doesn't follow them: lets go of as few as it takes until the others, with
 * this one, may be the beginning again. How many. */
static size_t release(struct detach_keys *keys, uint8_t byte, uint8_t *out)
{
	size_t held = keys->matched, gone = held > 0 ? 1 : 0;

	while (gone < held &&
	       (memcmp(keys->keys, keys->keys + gone, held - gone) != 0 || keys->keys[held - gone] != byte))
		gone++;
	memcpy(out, keys->keys, gone);
	keys->matched = held - gone;
	return gone;
}

bool detach_keys_filter(struct detach_keys *keys, const uint8_t *typed, size_t length, uint8_t *out,
			size_t *out_length)
{
	*out_length = 0;
	for (size_t i = 0; i < length; i++) {
		if (keys->count == 0 || typed[i] != keys->keys[keys->matched])
			*out_length += release(keys, typed[i], out + *out_length);
		if (keys->count > 0 && typed[i] == keys->keys[keys->matched])
			keys->matched++;
		else
			out[(*out_length)++] = typed[i];
		if (keys->count > 0 && keys->matched == keys->count)
			return true;
	}
	return false;
}
