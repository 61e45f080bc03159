/* SHA-2 by libmd: the BSDs' own code, a few kilobytes, with nothing around it. (libarchive keeps its digests to itself,
 * the kernel's AF_ALG isn't in every kernel, and OpenSSL would be larger than all of nacre.)
 */
#include "runtime/source_digest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"

static const struct {
	const char *name;
	size_t digits;
} algorithms[] = {
	{"sha256", 2 * SHA256_DIGEST_LENGTH},
	{"sha512", 2 * SHA512_DIGEST_LENGTH},
};

int digest_parse(struct digest *digest, const char *text, struct error *error)
{
	*digest = (struct digest){0};
	for (size_t i = 0; i < array_size(algorithms); i++) {
		size_t length = strlen(algorithms[i].name);

		if (strncmp(text, algorithms[i].name, length) != 0 || text[length] != ':')
			continue;
		text += length + 1;
		if (strlen(text) != algorithms[i].digits || text[strspn(text, "0123456789abcdef")])
			break;
		digest->algorithm = algorithms[i].name;
		strcpy(digest->hex, text);
		return 0;
	}
	return error_set(error, EINVAL, "'%.80s' is no sha256 or sha512 digest", text);
}

void digest_start(struct digest_state *state, const struct digest *expected)
{
	state->sha512 = expected->algorithm && strcmp(expected->algorithm, "sha512") == 0;
	if (state->sha512)
		SHA512Init(&state->context);
	else
		SHA256Init(&state->context);
}

void digest_add(struct digest_state *state, const void *data, size_t length)
{
	if (state->sha512)
		SHA512Update(&state->context, data, length);
	else
		SHA256Update(&state->context, data, length);
}

void digest_finish(struct digest_state *state, struct digest *digest)
{
	digest->algorithm = algorithms[state->sha512].name;
	if (state->sha512)
		SHA512End(&state->context, digest->hex);
	else
		SHA256End(&state->context, digest->hex);
}

bool digest_same(const struct digest *a, const struct digest *b)
{
	return a->algorithm && b->algorithm && strcmp(a->algorithm, b->algorithm) == 0 && strcmp(a->hex, b->hex) == 0;
}
