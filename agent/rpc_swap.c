/* AddSwap, AddSwapPath. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/device/pci_path.h"
#include "agent/rpc.h"
#include "agent/rpc_job.h"
#include "agent/swap.h"

#define SPARE_TIME (10 * LOOP_SECOND)
#define SLOTS 32

static int run(const void *argument, struct job_result *result)
{
	return swap_add(argument, &result->error);
}

static void add(struct ttrpc_call *call, const char *place, bool pci)
{
	struct agent *agent = call->server->context;
	/* The path is copied, as the request's memory isn't the job's. */
	char copy[PATH_MAX];
	const struct swap_request request = {copy, pci, agent->config.hotplug_timeout};

	if (snprintf(copy, sizeof(copy), "%s", place) >= (int)sizeof(copy))
		ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "the path is too long");
	else
		rpc_run_job(call, "add swap", agent->config.hotplug_timeout + SPARE_TIME, run, &request);
}

void rpc_add_swap(struct ttrpc_call *call)
{
	const Grpc__AddSwapRequest *request = (const void *)call->request;
	char path[3 * PCI_PATH_DEPTH + 1] = "";

	if (request->n_pcipath == 0 || request->n_pcipath > PCI_PATH_DEPTH) {
		ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "PCIPath has %zu elements", request->n_pcipath);
		return;
	}
	for (size_t i = 0; i < request->n_pcipath; i++) {
		if (request->pcipath[i] >= SLOTS) {
			ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "PCIPath has the slot %u", request->pcipath[i]);
			return;
		}
		sprintf(path + strlen(path), "%s%02x", i ? "/" : "", request->pcipath[i]);
	}
	add(call, path, true);
}

void rpc_add_swap_path(struct ttrpc_call *call)
{
	const Grpc__AddSwapPathRequest *request = (const void *)call->request;

	add(call, request->path, false);
}
