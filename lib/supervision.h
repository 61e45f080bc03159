/* How the agent and its supervisor talk (docs/design.md, "Guest: supervisor and agent").
 *
 * A SEQPACKET socketpair, whose end the agent finds as fd SUPERVISION_FD. One struct a message, of this program's own
 * version only, both ends being the same binary; descriptors ride along by SCM_RIGHTS, at most FD_MESSAGE_MAX. A
 * message that is cut is fatal to the agent, and makes the supervisor start it again.
 *
 * agent -> supervisor:
 *   STORE name + fds    keep these descriptors under the name (replaces what was there)
 *   DROP name           close them
 *   ACK pid             the exit of pid is dealt with: reap it
 *   READY               every port is bound and listening
 *   STOP                the stop that was asked for has begun: every container has been told
 *   POWER_OFF           end the machine; outside of a guest, end the supervisor
 * supervisor -> agent, first thing after its start:
 *   STORE name + fds    for everything in the store
 *   RESTORED            that was all
 * supervisor -> agent, later (and, after a restart, again for every zombie that wasn't acknowledged):
 *   EXITED pid status   a child of the supervisor's has ended; it stays a zombie until ACK, so its pid isn't taken again
 *   STOP status         end all containers, with SIGTERM and after `status` milliseconds with SIGKILL; say STOP at once,
 *                       and POWER_OFF when it is done. A second one has another time in it.
 */
#ifndef NACRE_LIB_SUPERVISION_H
#define NACRE_LIB_SUPERVISION_H

#include <stdint.h>
#include <sys/types.h>

#include "lib/fd.h"

#define SUPERVISION_FD 3
/* Set to "agent" in the environment of the agent. */
#define SUPERVISION_ROLE "NACRE_ROLE"
/* Set, to "1", where the supervisor is PID 1 of a machine. */
#define SUPERVISION_GUEST "NACRE_GUEST"
#define SUPERVISION_NAME_SIZE 64

enum supervision_type {
	SUPERVISION_STORE = 1,
	SUPERVISION_DROP,
	SUPERVISION_RESTORED,
	SUPERVISION_EXITED,
	SUPERVISION_ACK,
	SUPERVISION_READY,
	SUPERVISION_POWER_OFF,
	SUPERVISION_STOP,
};

struct supervision_message {
	uint32_t type;
	int32_t pid;	/* EXITED, ACK */
	int32_t status; /* EXITED: 0..255, or 128 + signal; STOP: milliseconds */
	char name[SUPERVISION_NAME_SIZE]; /* STORE, DROP; terminated */
};

/* Sends a message. 0 or -errno. */
int supervision_send(int socket, const struct supervision_message *message, const int *fds, size_t count);

/* Receives one: 1, 0 at the end of the stream, or -errno (EPROTO: cut, of another size, an unterminated name; its fds
 * are closed). `fds` has room for FD_MESSAGE_MAX. */
int supervision_receive(int socket, struct supervision_message *message, int *fds, size_t *count);

#endif
