/* What the helper and the workload's process tell the agent on a launch's socket: one struct a message, descriptors by
 * SCM_RIGHTS. The other way only one byte comes, the word to go on.
 */
#ifndef NACRE_AGENT_CONTAINER_REPORT_H
#define NACRE_AGENT_CONTAINER_REPORT_H

#include <stdint.h>

#include "agent/container/launch.h"

/* Descriptors of a PROCESS report, in this order, as far as they are there. A helper that becomes the workload has only the
 * namespace to report. */
enum report_process_fd { REPORT_PIDFD, REPORT_PID_NAMESPACE, REPORT_PROCESS_FDS };

struct report {
	uint32_t type; /* enum launch_event; what has no name there is REPORT_PROCFS */
	int32_t pid;
	uint32_t failure_class;
	int32_t failure_number;
	char text[ERROR_TEXT_SIZE];
};

/* Internal to a launch: the procfs of a new pid namespace, as a detached mount; comes before LAUNCH_READY. */
#define REPORT_PROCFS 100

#endif
