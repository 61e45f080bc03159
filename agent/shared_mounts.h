/* shared_mounts of CreateContainer (behaviour.md section 4): what one container has mounted is seen in another one, too. */
#ifndef NACRE_AGENT_SHARED_MOUNTS_H
#define NACRE_AGENT_SHARED_MOUNTS_H

#include "agent/container.h"
#include "agent/job.h"
#include "lib/error.h"

/* Starts the container's job that brings the mounts which its request names into the container, whose first process is
 * there and hasn't executed anything yet. Each is waited for, ten seconds at most; one that doesn't come then, or whose
 * container there isn't, is left out. 1 where the job runs, and will call `done`; 0 where there is nothing to do; -errno. */
int shared_mounts_start(struct container *container, void (*done)(struct job *job, struct job_result *result),
			struct error *error);

#endif
