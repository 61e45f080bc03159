/* Digests of OCI content: "sha256:HEX" and "sha512:HEX" (image-spec, descriptor.md). */
#ifndef NACRE_RUNTIME_SOURCE_DIGEST_H
#define NACRE_RUNTIME_SOURCE_DIGEST_H

#include <stdbool.h>
#include <stdint.h>

#include <sha2.h>

#include "lib/error.h"

#define DIGEST_HEX_SIZE SHA512_DIGEST_STRING_LENGTH
#define DIGEST_TEXT_SIZE (DIGEST_HEX_SIZE + 8)

struct digest {
	const char *algorithm; /* "sha256" or "sha512"; NULL where nothing is known */
	char hex[DIGEST_HEX_SIZE];
};

/* What is being counted up. */
struct digest_state {
	SHA2_CTX context;
	bool sha512;
};

/* 0, or -EINVAL for another algorithm, another length, or what isn't lower-case hexadecimal: the text becomes part of a
 * path. */
int digest_parse(struct digest *digest, const char *text, struct error *error);

/* SHA-256 where `expected` doesn't say otherwise. */
void digest_start(struct digest_state *state, const struct digest *expected);
void digest_add(struct digest_state *state, const void *data, size_t length);
void digest_finish(struct digest_state *state, struct digest *digest);

/* Whether both are known and the same. */
bool digest_same(const struct digest *a, const struct digest *b);

#endif
