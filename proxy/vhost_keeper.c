/* The vhost-user connection, for a device that another process runs. */
#include "proxy/vhost_keeper.h"

#include <errno.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/device_link.h"

#define LOG_SUBSYSTEM "vhost-user"
#include "lib/log.h"

static struct vhost_keeper *of_device(struct vhost_user_device *device)
{
	return container_of(device, struct vhost_keeper, device);
}

static void tell(struct vhost_keeper *keeper, bool resumed)
{
	bool with_memory = keeper->memory_told != keeper->state.memory.changes || resumed;
	int status;

	if (keeper->link < 0)
		return;
	status = device_link_run(keeper->link, &keeper->state, resumed, with_memory);
	if (status < 0) {
		log_warning("the worker can't be told of the device: %s", strerror(-status));
		keeper->lost(keeper);
	} else {
		keeper->memory_told = keeper->state.memory.changes;
	}
}

static void stop(struct vhost_user_device *device)
{
	struct vhost_keeper *keeper = of_device(device);
	struct device_answer answer;
	int status;

	if (!keeper->running)
		return;
	keeper->running = false;
	status = keeper->link < 0 ? -ENOTCONN : device_link_stop(keeper->link, &answer);
	for (size_t i = 0; i < VHOST_VSOCK_QUEUES; i++)
		keeper->state.rings[i].base = status < 0 ? keeper->record->positions[i] : answer.bases[i];
	if (status == 0 || keeper->link < 0)
		return;
	/* One that has died is told of by its own end. */
	if (status != -ECONNRESET && status != -EPIPE)
		log_warning("the worker doesn't stop the device: %s", strerror(-status));
	keeper->lost(keeper);
}

static bool ready(const struct vhost_vsock_state *state, size_t ring)
{
	return state->rings[ring].kick >= 0 && state->rings[ring].addressed && state->rings[ring].enabled;
}

static void update(struct vhost_user_device *device)
{
	struct vhost_keeper *keeper = of_device(device);
	const struct vhost_vsock_state *state = &keeper->state;

	if (!ready(state, VHOST_VSOCK_RX) || !ready(state, VHOST_VSOCK_TX) || state->memory.count == 0) {
		stop(device);
		return;
	}
	/* From here on they are the worker's. */
	for (size_t i = 0; i < VHOST_VSOCK_QUEUES && !keeper->running; i++)
		keeper->record->positions[i] = state->rings[i].base;
	keeper->running = true;
	tell(keeper, false);
}

static void unwatch(struct vhost_user_device *device)
{
	(void)device; /* the worker has copies */
}

static void vmm_left(struct vhost_user *vhost)
{
	struct vhost_keeper *keeper = container_of(vhost, struct vhost_keeper, vhost);

	keeper->vmm_left(keeper);
}

static void accepted(struct listener *listener, int fd)
{
	struct vhost_keeper *keeper = container_of(listener, struct vhost_keeper, listener);

	if (vhost_user_connected(&keeper->vhost)) {
		log_limited(LOG_WARNING, "a second VMM was turned away");
		fd_close(&fd);
		return;
	}
	if (vhost_user_serve(&keeper->vhost, fd) < 0)
		log_error("the VMM's connection can't be served");
}

int vhost_keeper_open(struct vhost_keeper *keeper, struct loop *loop, const char *path, int listener, uint64_t guest_cid,
		      struct vhost_vsock_record *record, struct error *error)
{
	*keeper = (struct vhost_keeper){
		.device = {.update = update, .stop = stop, .unwatch = unwatch},
		.state.memory.kept = true,
		.record = record,
		.link = -1,
		.vmm_left = keeper->vmm_left,
		.lost = keeper->lost,
	};
	vhost_user_init(&keeper->vhost, loop, &keeper->device, &keeper->state, guest_cid, vmm_left);
	return listener_open_or(&keeper->listener, loop, listener, path, accepted, error);
}

void vhost_keeper_join(struct vhost_keeper *keeper, int link)
{
	keeper->link = link;
	for (size_t i = 0; i < VHOST_VSOCK_QUEUES && keeper->running; i++)
		keeper->state.rings[i].base = keeper->record->positions[i];
	if (keeper->running)
		tell(keeper, true);
}

void vhost_keeper_part(struct vhost_keeper *keeper)
{
	fd_close(&keeper->link);
	keeper->memory_told = keeper->state.memory.changes - 1;
}

void vhost_keeper_close(struct vhost_keeper *keeper)
{
	if (!keeper->device.stop)
		return;
	vhost_user_close(&keeper->vhost);
	listener_close(&keeper->listener);
}
