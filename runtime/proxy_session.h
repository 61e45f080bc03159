/* A client's side of a session that a VM's proxy keeps of a process in the guest (nacre.Proxy, proto/proxy.proto). */
#ifndef NACRE_RUNTIME_PROXY_SESSION_H
#define NACRE_RUNTIME_PROXY_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/loop.h"
#include "lib/ttrpc_client.h"
#include "proxy.pb-c.h"
#include "runtime/target.h"

enum { PROXY_SESSION_STDIN, PROXY_SESSION_STDOUT, PROXY_SESSION_STDERR, PROXY_SESSION_STREAMS };

struct proxy_session {
	const struct target *target;
	const char *exec; /* NULL: the container's first process */
	struct ttrpc_client *client;
	bool terminal;			       /* it has one output */
	/* Of the streams, at the last look: bytes that they have carried, and those of them that nobody could get. */
	uint64_t bytes[PROXY_SESSION_STREAMS], dropped[PROXY_SESSION_STREAMS];
};

/* Makes the session, or finds it. `terminal` says what the process has where it is made. `target` and `exec` must outlive it.
 * 0 or -errno (EREMOTEIO: the proxy refuses). proxy_session_close() in any case; the session itself stays. */
int proxy_session_open(struct proxy_session *session, struct loop *loop, const struct target *target, const char *exec,
		       bool terminal, struct error *error);

/* Looks what its streams have carried by now. 0 or -errno. */
int proxy_session_look(struct proxy_session *session, struct error *error);

/* Attaches to a stream; `options` are those of the ATTACH line. *offset, where it isn't NULL, is that of the first byte. The
 * socket, which is the caller's, or -errno. */
int proxy_session_attach(const struct proxy_session *session, unsigned stream, const char *options, uint64_t *offset,
			 struct error *error);

/* Calls, whose answers come by the loop; `answered` may be NULL. 0 or -errno. */
int proxy_session_wait(struct proxy_session *session, ttrpc_answered answered, void *data);
int proxy_session_signal(struct proxy_session *session, int number, ttrpc_answered answered, void *data);
int proxy_session_resize(struct proxy_session *session, unsigned rows, unsigned columns);

void proxy_session_close(struct proxy_session *session);

#endif
