/* The request there and back. */
#include "agent/device_setup.h"

#include <errno.h>

#include "agent/device/device.h"
#include "agent/rpc_job.h"
#include "lib/ttrpc.h"

#define SPEC_MEMORY (16u << 20)
#define SPARE_TIME (10 * LOOP_SECOND)

bool device_setup_needed(const Grpc__CreateContainerRequest *request)
{
	return request->n_devices > 0;
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
		.timeout = waits * config->hotplug_timeout + SPARE_TIME,
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
