/* The calling end of ttrpc: many calls at once over one connection, each answered by a callback or waited for. */
#ifndef NACRE_LIB_TTRPC_CLIENT_H
#define NACRE_LIB_TTRPC_CLIENT_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "lib/error.h"
#include "lib/loop.h"
#include "lib/ttrpc.h"

struct ttrpc_client;

/* What became of a call. `code` is TTRPC_OK and `response` the decoded message; or `response` is NULL, and `message` the
 * server's words (or ours: UNAVAILABLE where the connection broke, DEADLINE_EXCEEDED). Both belong to the client and are
 * gone after the callback. */
struct ttrpc_result {
	enum ttrpc_code code;
	const char *message;
	const ProtobufCMessage *response;
};

typedef void (*ttrpc_answered)(void *data, const struct ttrpc_result *result);

/* A client of a connected stream socket, which it owns from here on. NULL without memory (the fd is closed). */
struct ttrpc_client *ttrpc_client_new(struct loop *loop, int fd);

/* Every open call is answered UNAVAILABLE first. Must not be called from within `answered`. */
void ttrpc_client_free(struct ttrpc_client *client);

/* True once the connection is broken: every call is then answered UNAVAILABLE. */
bool ttrpc_client_broken(const struct ttrpc_client *client);

/* `broken` is called once, from the loop, when the connection has broken and every open call been answered. It may free the
 * client. */
void ttrpc_client_tell_broken(struct ttrpc_client *client, void (*broken)(void *data), void *data);

/* Starts a call of `method` of `service`, whose names and types are taken from the descriptor. `timeout` is in
 * nanoseconds, 0 for none; it is sent along, and kept here too. `answered` is called exactly once, from the loop and
 * never from within this function. 0, or -errno with nothing started (EMSGSIZE, ENOMEM). */
int ttrpc_client_call(struct ttrpc_client *client, const ProtobufCServiceDescriptor *service, const char *method,
		      const ProtobufCMessage *request, uint64_t timeout, ttrpc_answered answered, void *data);

/* The same, and passes a copy of `fd` with it (SCM_RIGHTS, in the message that has its first byte). -EBUSY: the one before hasn't
 * gone out yet. */
int ttrpc_client_call_passing(struct ttrpc_client *client, const ProtobufCServiceDescriptor *service, const char *method,
			      const ProtobufCMessage *request, int fd, uint64_t timeout, ttrpc_answered answered, void *data);

/* Calls, and runs the loop until the answer is there; other sources are served meanwhile. On success *response, where
 * `response` isn't NULL, is the caller's (protobuf_c_message_free_unpacked). Otherwise -errno, `error` says the
 * server's words, and *code its status. `code` may be NULL. */
int ttrpc_client_invoke(struct ttrpc_client *client, const ProtobufCServiceDescriptor *service, const char *method,
			const ProtobufCMessage *request, uint64_t timeout, ProtobufCMessage **response,
			enum ttrpc_code *code, struct error *error);

#endif
