/* The serving end of ttrpc: connections, frames, dispatch, deadlines.
 *
 * A handler gets a call and either replies at once or keeps the call and replies later; a call is over with exactly one
 * ttrpc_call_reply() or ttrpc_call_fail(). Where the connection drops or the caller's deadline passes first, the server
 * has answered already: it calls the `cancelled` function of the call, if one is set, after which the call is gone.
 */
#ifndef NACRE_LIB_TTRPC_SERVER_H
#define NACRE_LIB_TTRPC_SERVER_H

#include <protobuf-c/protobuf-c.h>

#include "lib/arena.h"
#include "lib/loop.h"
#include "lib/ttrpc.h"

struct ttrpc_server;
struct ttrpc_connection;

struct ttrpc_call {
	struct ttrpc_server *server;
	struct ttrpc_connection *connection;
	const char *method;		 /* "CreateContainer" */
	const ProtobufCMessage *request; /* in the arena; its type is the method's input */
	struct arena arena;		 /* lives as long as the call; no child inherits it */
	const struct Ttrpc__Request *envelope; /* in the arena: ttrpc_call_metadata() */

	/* The handler's own, for a call that is answered later. */
	void (*cancelled)(struct ttrpc_call *call);
	void *handler_data;
	/* Called once an answer has been handed to the connection, or is lost with it; see ttrpc_call_reply(). */
	void (*settled)(struct ttrpc_call *call, bool lost);

	/* The server's own. */
	uint32_t stream;
	uint64_t answer_end;
	struct loop_timer deadline;
	const ProtobufCMessageDescriptor *output;
	struct ttrpc_call *next;
};

struct ttrpc_method {
	const char *name;
	void (*handle)(struct ttrpc_call *call);
};

/* A service: its descriptor says which methods exist and their types, the table says which are served. A method of the
 * descriptor that isn't in the table is answered NOT_FOUND, one that isn't in the descriptor UNIMPLEMENTED. */
struct ttrpc_service {
	const ProtobufCServiceDescriptor *descriptor;
	const struct ttrpc_method *methods; /* ends with a NULL name */
	bool any_bytes; /* its strings may be names of files, and so anything; others have to be UTF-8, as proto3 says */
};

/* What came with a frame beside its bytes. */
struct ttrpc_passed {
	bool there, wrong; /* a descriptor; or more of them, or not with the first byte */
	int fd;
};

struct ttrpc_receiver {
	/* As recv(2) without blocking; not a byte is asked for beyond a frame, and `first` are those that begin one. */
	ssize_t (*receive)(struct ttrpc_passed *passed, int socket, void *room, size_t length, bool first);

	/* The frame has been handled, or the connection is gone. */
	void (*forget)(struct ttrpc_passed *passed);
};

struct ttrpc_server {
	struct loop *loop;
	const struct ttrpc_service *const *services; /* ends with NULL */
	void *context;				     /* the handlers': call->server->context */
	struct ttrpc_connection *connections;
	const struct ttrpc_receiver *receiver; /* NULL: recv(2); ttrpc_passing.h has another one. Set before the first connection */
	void (*emptied)(struct ttrpc_server *server); /* the last connection has been closed; may be NULL */
	/* A connection is gone, and its calls have been cancelled; may be NULL. */
	void (*disconnected)(struct ttrpc_server *server, const struct ttrpc_connection *connection);
};

void ttrpc_server_init(struct ttrpc_server *server, struct loop *loop, const struct ttrpc_service *const *services,
		       void *context);

/* Serves a connected stream socket, which the server owns from here on, also where it fails. 0 or -errno. */
int ttrpc_server_serve(struct ttrpc_server *server, int fd);

/* What came with the call's frame. Only from within `handle`. */
struct ttrpc_passed *ttrpc_call_passed(struct ttrpc_call *call);

/* What the caller's metadata say of `key`; NULL where they don't. Lives as long as the call. */
const char *ttrpc_call_metadata(const struct ttrpc_call *call, const char *key);

/* Cancels what is open and closes every connection. */
void ttrpc_server_destroy(struct ttrpc_server *server);

/* Answers and ends the call. `response` must be of the method's output type; NULL is an empty message. A response that
 * is over TTRPC_BODY_MAX becomes INVALID_ARGUMENT.
 *
 * With `settled` set the call lives on until the socket has taken all of the answer, or the connection has gone before
 * that; what was lost in one connection is told from the last answer to the first. False while that isn't known yet. */
bool ttrpc_call_reply(struct ttrpc_call *call, const ProtobufCMessage *response);
void ttrpc_call_fail(struct ttrpc_call *call, enum ttrpc_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
