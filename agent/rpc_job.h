/* Calls which a job answers: the handler checks its request, a child does the work and makes the answer. A call that is
 * cancelled takes its job along.
 */
#ifndef NACRE_AGENT_RPC_JOB_H
#define NACRE_AGENT_RPC_JOB_H

#include "agent/job.h"
#include "lib/ttrpc_server.h"

/* Runs `work(argument, result)` as in job_start(), and answers the call with what it reports: its error, or the message
 * that it has given to rpc_job_answer(), or an empty one. `argument` must be in memory which children inherit, and is
 * only read before this returns. */
void rpc_run_job(struct ttrpc_call *call, const char *what, uint64_t timeout,
		 int (*work)(const void *argument, struct job_result *result), const void *argument);

/* The same, where the answer of a job that went well is made here: `answer` ends the call. */
void rpc_run_job_then(struct ttrpc_call *call, const char *what, uint64_t timeout,
		      int (*work)(const void *argument, struct job_result *result), const void *argument,
		      void (*answer)(struct ttrpc_call *call));

/* For `work`, as the last thing: hands back the call's answer. 0, or -errno with result->error filled. */
int rpc_job_answer(struct job_result *result, const ProtobufCMessage *message);

/* The message that a job has handed back, unpacked into the arena; NULL where it can't be had. */
ProtobufCMessage *rpc_job_unpack(const ProtobufCMessageDescriptor *type, struct arena *arena, int memory);

#endif
