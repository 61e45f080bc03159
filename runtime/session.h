/* The conversation with a VM's agent: one call after the other, until something ends the wait. */
#ifndef NACRE_RUNTIME_SESSION_H
#define NACRE_RUNTIME_SESSION_H

#include <stdbool.h>

#include "agent.pb-c.h"
#include "lib/ttrpc_client.h"
#include "runtime/machine.h"

struct session {
	struct loop *loop;
	const struct machine *machine; /* its end ends the wait; NULL where the VM is somebody else's */
	const bool *cancelled;	       /* set by somebody in the loop: ends the wait */
	const char *directory; /* of the proxy's sockets */
	struct ttrpc_client *client;
	/* Set by the caller: where the connection has broken (the proxy's worker was followed by another one) the next call makes
	 * another. What was under way is answered as ever. */
	bool mends;
	bool broke; /* it has, and everything has been answered */
	bool answered; /* of the call that is waited for */
	enum ttrpc_code code;
	struct error error;
};

#define SESSION_CALL_TIMEOUT (60 * LOOP_SECOND)

/* Connects to the proxy's agent.sock in the run directory `directory`, which must outlive it, and prepares. With a `machine` of our own, which
 * has only just been started, waits for the socket; without one (NULL), the VM is another process's, and has to be there.
 * 0 or -errno. */
int session_open(struct session *session, struct loop *loop, const char *directory, const struct machine *machine,
		 const bool *cancelled, struct error *error);

/* Calls a method of the agent (or of `service`), and runs the loop until it is answered. The answer's contents don't
 * matter. 0, or -errno: EREMOTEIO for the agent's refusal, whose status is in session->code then; ECANCELED; EIO where
 * our VM has ended; ETIMEDOUT. `timeout` is in nanoseconds. */
int session_call(struct session *session, const char *method, const ProtobufCMessage *request, uint64_t timeout,
		 struct error *error);
int session_call_service(struct session *session, const ProtobufCServiceDescriptor *service, const char *method,
			 const ProtobufCMessage *request, uint64_t timeout, struct error *error);

/* Starts a call of the agent's. `answered` (NULL: nobody cares) is called once, from the loop. 0 or -errno. */
int session_start(struct session *session, const char *method, const ProtobufCMessage *request,
		  ttrpc_answered answered, void *data);

/* Gives the connection up; every open call is answered. */
void session_close(struct session *session);

#endif
