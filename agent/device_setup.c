/* The request there and back. */
#include "agent/device_setup.h"

#include <errno.h>

#include "agent/device/cdi.h"
#include "agent/device/device.h"
#include "agent/rpc_job.h"
#include "lib/ttrpc.h"

#define SPEC_MEMORY (64u << 20)
#define LONGEST_WAIT (7 * 24 * 3600 * LOOP_SECOND)
#define CDI_DIRECTORY "/var/run/cdi"
#define SPARE_TIME (10 * LOOP_SECOND)

bool device_setup_needed(const Grpc__CreateContainerRequest *request, const struct agent_config *config)
{
	return request->n_devices > 0 || cdi_wanted(request->oci, config->visible_cdi_devices);
}

/* Time for so many waits, which any number of seconds may be asked for. */
static uint64_t time_for(size_t waits, uint64_t timeout)
{
	return waits * (timeout < LONGEST_WAIT ? timeout : LONGEST_WAIT);
}

int device_setup_plan(struct device_setup *setup, struct arena *arena, const Grpc__CreateContainerRequest *request,
		      const struct agent_config *config, struct error *error)
{
	Grpc__CreateContainerRequest parts = GRPC__CREATE_CONTAINER_REQUEST__INIT;
	size_t waits = request->n_devices;
	uint8_t *bytes;

	for (size_t i = 0; i < request->n_devices; i++)
		waits += request->devices[i]->n_options;
	parts.oci = request->oci;
	parts.devices = request->devices;
	parts.n_devices = request->n_devices;
	*setup = (struct device_setup){
		.size = grpc__create_container_request__get_packed_size(&parts),
		.hotplug_timeout = config->hotplug_timeout,
		.cdi_timeout = config->cdi_timeout,
		.visible_cdi_devices = config->visible_cdi_devices,
		.timeout = time_for(waits, config->hotplug_timeout) + time_for(1, config->cdi_timeout) + SPARE_TIME,
	};
	bytes = arena_alloc(arena, setup->size + 1);
	if (!bytes)
		return error_errno(error, ENOMEM, "plan devices");
	grpc__create_container_request__pack(&parts, bytes);
	setup->request = bytes;
	return 0;
}

int device_setup_run(const void *argument, struct job_result *result)
{
	const struct device_setup *setup = argument;
	Grpc__CreateContainerRequest *request;
	struct arena arena;
	int status;

	/* Not freed: the child ends. */
	arena_init(&arena, ARENA_FORK, SPEC_MEMORY);
	request = grpc__create_container_request__unpack(&arena.allocator, setup->size, setup->request);
	if (!request)
		return error_errno(&result->error, ENOMEM, "find devices");
	status = devices_add(request, setup->hotplug_timeout, &arena, &result->error);
	if (status == 0 && cdi_wanted(request->oci, setup->visible_cdi_devices))
		status = cdi_inject(request->oci, setup->visible_cdi_devices, CDI_DIRECTORY, setup->cdi_timeout, &arena,
				    &result->error);
	return status < 0 ? status : rpc_job_answer(result, &request->base);
}

const Grpc__CreateContainerRequest *device_setup_take(const Grpc__CreateContainerRequest *request, struct arena *arena,
						      const struct job_result *result, struct error *error)
{
	Grpc__CreateContainerRequest *changed = arena_alloc(arena, sizeof(*changed));
	const Grpc__CreateContainerRequest *parts = NULL;

	if (changed && result->fd_count == 1)
		parts = (const void *)rpc_job_unpack(request->base.descriptor, arena, result->fds[0]);
	if (!parts) {
		error_set(error, ENOMEM, "the container's spec takes too much memory");
		return NULL;
	}
	*changed = *request;
	changed->oci = parts->oci;
	changed->devices = parts->devices;
	changed->n_devices = parts->n_devices;
	return changed;
}
