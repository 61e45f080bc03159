/* What is asked of the agent about one process: a container's first ("" or its own name as `exec`), or an exec. Each call
 * is started, and `answered` (NULL: nobody cares) is called from the loop. All return 0 or -errno. */
#ifndef NACRE_RUNTIME_PROCESS_CALLS_H
#define NACRE_RUNTIME_PROCESS_CALLS_H

#include "runtime/session.h"

struct process_id {
	struct session *session;
	const char *container, *exec;
};

int process_signal(const struct process_id *process, int number, ttrpc_answered answered, void *data);
int process_resize(const struct process_id *process, unsigned rows, unsigned columns);

/* Asks for its exit: process_exit_status() takes it out of the answer. */
int process_wait(const struct process_id *process, ttrpc_answered answered, void *data);
int process_exit_status(const struct ttrpc_result *result);

/* Ties it to this session, where the agent can do that (nacre.Guest): it is hung up when the session ends. */
int process_hold(const struct process_id *process);

/* Unties it again, and waits for that. An agent that doesn't know it doesn't hold either. */
void process_release(const struct process_id *process);

/* nacre's exit status for a command that the agent has refused, as docker has it: the command's fault or ours. */
int process_refusal_status(enum ttrpc_code code);

#endif
