/* The devices of a new container, found in a job which changes the container's spec by them.
 *
 * A job has a copy of the agent's memory, so the request goes there packed, and what has become of it comes back packed:
 * the spec as it is planned from, and the devices with the guest's addresses, which later execs need.
 */
#ifndef NACRE_AGENT_DEVICE_SETUP_H
#define NACRE_AGENT_DEVICE_SETUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent.pb-c.h"
#include "agent/config.h"
#include "agent/job.h"
#include "lib/arena.h"

struct device_setup {
	const uint8_t *request; /* packed: the parts of it that the job needs */
	size_t size;
	uint64_t hotplug_timeout; /* nanoseconds that a device may take to appear */
	uint64_t cdi_timeout;	  /* nanoseconds that a file of CDI's may take */
	bool visible_cdi_devices; /* the environment names devices, too */
	uint64_t timeout;	  /* for the whole job */
};

/* Whether there is anything to do. */
bool device_setup_needed(const Grpc__CreateContainerRequest *request, const struct agent_config *config);

/* Packs what the job needs into `arena` (ARENA_FORK). 0 or -errno. */
int device_setup_plan(struct device_setup *setup, struct arena *arena, const Grpc__CreateContainerRequest *request,
		      const struct agent_config *config, struct error *error);

/* The job: finds, and hands the changed request back. It leaves nothing in the guest. */
int device_setup_run(const void *setup, struct job_result *result);

/* Takes what the job handed back into `arena`: the request as it was, but for its spec and devices. NULL with `error`
 * filled. */
const Grpc__CreateContainerRequest *device_setup_take(const Grpc__CreateContainerRequest *request, struct arena *arena,
						      const struct job_result *result, struct error *error);

#endif
