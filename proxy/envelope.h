/* What the proxy reads of ttrpc's bodies (proto/ttrpc.proto) without decoding them: who is called, for which process, and how
 * much a read has brought. Nothing is allocated or changed; what is no protobuf is told, and is passed on as it is.
 */
#ifndef NACRE_PROXY_ENVELOPE_H
#define NACRE_PROXY_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of somebody else's. */
struct slice {
	const uint8_t *bytes;
	size_t length;
};

bool slice_is(struct slice slice, const char *text);

struct envelope_request {
	struct slice service, method, payload;
};

/* False where the body isn't a ttrpc.Request. */
bool envelope_request(struct slice body, struct envelope_request *request);

/* The fields 1 and 2 of a payload, which in all calls that name a process are container_id and exec_id; empty where they
 * aren't there. False where it is no protobuf. */
bool envelope_process(struct slice payload, struct slice *container, struct slice *exec);

struct envelope_answer {
	uint32_t code;	 /* enum ttrpc_code */
	uint64_t length; /* of the payload's field 1, the data of a ReadStreamResponse */
};

/* `head` is the beginning of a ttrpc.Response, at least ENVELOPE_HEAD bytes of it where it has as many. False where that isn't
 * one, or says something long before its payload. */
#define ENVELOPE_HEAD 64u
bool envelope_answer(struct slice head, struct envelope_answer *answer);

/* Writes a pair of metadata, as it is appended to a ttrpc.Request: at most ENVELOPE_PAIR_MAX bytes. How many. */
#define ENVELOPE_PAIR_MAX 64u
size_t envelope_pair(uint8_t to[ENVELOPE_PAIR_MAX], const char *key, uint64_t value);

#endif
