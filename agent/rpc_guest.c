/* Calls about the guest as a whole: what it is, its clock, its entropy. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/random.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/online.h"
#include "agent/rpc.h"
#include "agent/storage/storage.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/version.h"

/* What a build may leave out (Kconfig). A runtime with a seccomp profile asks first. */
static const char *const extra_features[] = {
#ifdef CONFIG_SECCOMP
	"seccomp",
#endif
	NULL,
};

#define MEMORY_BLOCK_SIZE "/sys/devices/system/memory/block_size_bytes"

/* The size of a block of hotplugged memory; 0 where the kernel knows none, which a runtime takes as "no hotplug". */
static int read_memory_block_size(uint64_t *size, struct error *error)
{
	char text[32], *end;
	ssize_t length = fd_read_file(AT_FDCWD, MEMORY_BLOCK_SIZE, text, sizeof(text), error);

	*size = 0;
	if (length == -ENOENT)
		return 0;
	if (length < 0)
		return (int)length;
	errno = 0;
	*size = strtoull(text, &end, 16);
	if (errno != 0 || *end || end == text)
		return error_set(error, EIO, "%s: '%s' is no size", MEMORY_BLOCK_SIZE, text);
	return 0;
}

void rpc_get_guest_details(struct ttrpc_call *call)
{
	const Grpc__GuestDetailsRequest *request = (const void *)call->request;
	const struct agent *agent = call->server->context;
	Grpc__GuestDetailsResponse response = GRPC__GUEST_DETAILS_RESPONSE__INIT;
	Grpc__AgentDetails details = GRPC__AGENT_DETAILS__INIT;
	struct error error;

	if (request->mem_block_size && read_memory_block_size(&response.mem_block_size_bytes, &error) < 0) {
		rpc_fail(call, &error);
		return;
	}
	response.support_mem_hotplug_probe = request->mem_hotplug_probe && access(ONLINE_MEMORY_PROBE, F_OK) == 0;
	details.version = (char *)NACRE_VERSION;
	details.init_daemon = agent->config.init;
	details.storage_handlers = (char **)storage_driver_names;
	while (storage_driver_names[details.n_storage_handlers])
		details.n_storage_handlers++;
	details.supports_seccomp = extra_features[0] != NULL;
	details.extra_features = (char **)extra_features;
	details.n_extra_features = array_size(extra_features) - 1;
	response.agent_details = &details;
	ttrpc_call_reply(call, &response.base);
}

void rpc_set_guest_date_time(struct ttrpc_call *call)
{
	const Grpc__SetGuestDateTimeRequest *request = (const void *)call->request;
	const struct timeval now = {.tv_sec = request->sec, .tv_usec = request->usec};
	struct error error;

	if (request->usec < 0 || request->usec >= 1000000) {
		ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "Usec %lld is no part of a second",
				(long long)request->usec);
		return;
	}
	if (settimeofday(&now, NULL) < 0) {
		error_errno(&error, errno, "set the clock to %lld", (long long)request->sec);
		rpc_fail(call, &error);
		return;
	}
	ttrpc_call_reply(call, NULL);
}

/* Mixes the bytes in, counts them as entropy, and makes the generator use them: random(4). */
static int reseed(const ProtobufCBinaryData *data, struct error *error)
{
	cleanup_close int fd = open("/dev/random", O_RDWR | O_CLOEXEC);
	int bytes = (int)data->len, status;

	if (fd < 0)
		return error_errno(error, errno, "open /dev/random");
	status = fd_write_all(fd, data->data, data->len);
	if (status < 0)
		return error_errno(error, -status, "write to /dev/random");
	if (ioctl(fd, RNDADDTOENTCNT, &bytes) < 0)
		return error_errno(error, errno, "count the entropy of /dev/random");
	/* ENODATA: a young guest's generator waits for more still, and takes what it was given then. */
	if (ioctl(fd, RNDRESEEDCRNG) < 0 && errno != ENODATA)
		return error_errno(error, errno, "reseed /dev/random");
	return 0;
}

void rpc_reseed_random_dev(struct ttrpc_call *call)
{
	const Grpc__ReseedRandomDevRequest *request = (const void *)call->request;
	struct error error;

	if (request->data.len == 0) {
		ttrpc_call_fail(call, TTRPC_INTERNAL, "no data to reseed with");
		return;
	}
	if (reseed(&request->data, &error) < 0)
		rpc_fail(call, &error);
	else
		ttrpc_call_reply(call, NULL);
}
