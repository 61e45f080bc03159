/* Which methods are served. What the protocol has and this table hasn't (SetPolicy) is answered NOT_FOUND. */
#include "agent/rpc.h"

#include <errno.h>
#include <stddef.h>

#include "agent_service.pb-c.h"
#include "agent/agent.h"
#include "guest_service.pb-c.h"
#include "health_service.pb-c.h"
#include "lib/cleanup.h"

static const struct ttrpc_method agent_methods[] = {
	{"CreateSandbox", rpc_create_sandbox},
	{"DestroySandbox", rpc_destroy_sandbox},
	{"GetGuestDetails", rpc_get_guest_details},
	{"SetGuestDateTime", rpc_set_guest_date_time},
	{"ReseedRandomDev", rpc_reseed_random_dev},
	{"CopyFile", rpc_copy_file},
	{"UpdateInterface", rpc_update_interface},
	{"UpdateRoutes", rpc_update_routes},
	{"AddSwap", rpc_add_swap},
	{"AddSwapPath", rpc_add_swap_path},
	{"ListInterfaces", rpc_list_interfaces},
	{"ListRoutes", rpc_list_routes},
	{"AddARPNeighbors", rpc_add_arp_neighbors},
	{"GetIPTables", rpc_get_iptables},
	{"SetIPTables", rpc_set_iptables},
	{"OnlineCPUMem", rpc_online_cpu_mem},
	{"MemHotplugByProbe", rpc_mem_hotplug_by_probe},
	{"CreateContainer", rpc_create_container},
	{"StartContainer", rpc_start_container},
	{"RemoveContainer", rpc_remove_container},
	{"UpdateContainer", rpc_change_container},
	{"PauseContainer", rpc_change_container},
	{"ResumeContainer", rpc_change_container},
	{"StatsContainer", rpc_stats_container},
	{"GetVolumeStats", rpc_get_volume_stats},
	{"ResizeVolume", rpc_resize_volume},
	{"UpdateEphemeralMounts", rpc_update_ephemeral_mounts},
	{"RemoveStaleVirtiofsShareMounts", rpc_remove_stale_virtiofs_share_mounts},
	{"GetMetrics", rpc_get_metrics},
	{"GetOOMEvent", rpc_get_oom_event},
	{"GetDiagnosticData", rpc_get_diagnostic_data},
	{"MemAgentMemcgSet", rpc_mem_agent},
	{"MemAgentCompactSet", rpc_mem_agent},
	{"ExecProcess", rpc_exec_process},
	{"SignalProcess", rpc_signal_process},
	{"WaitProcess", rpc_wait_process},
	{"TtyWinResize", rpc_tty_win_resize},
	{"ReadStdout", rpc_read_stdout},
	{"ReadStderr", rpc_read_stderr},
	{"WriteStdin", rpc_write_stdin},
	{"CloseStdin", rpc_close_stdin},
	{0},
};

static const struct ttrpc_method health_methods[] = {
	{"Check", rpc_health_check},
	{"Version", rpc_health_version},
	{0},
};

static const struct ttrpc_method guest_methods[] = {
	{"ExecTool", rpc_exec_tool},
	{"HoldProcess", rpc_hold_process},
	{"ReleaseProcess", rpc_release_process},
	{"AttachStream", rpc_attach_stream},
	{0},
};

static const struct ttrpc_service agent_service = {.descriptor = &grpc__agent_service__descriptor, .methods = agent_methods};
static const struct ttrpc_service health_service = {.descriptor = &grpc__health__descriptor, .methods = health_methods};
static const struct ttrpc_service guest_service = {.descriptor = &nacre__guest__descriptor, .methods = guest_methods, .any_bytes = true};

const struct ttrpc_service *const rpc_services[] = {&agent_service, &health_service, &guest_service, NULL};

static const struct {
	int number;
	enum ttrpc_code code;
} codes[] = {
	{EINVAL, TTRPC_INVALID_ARGUMENT},   {ENOENT, TTRPC_NOT_FOUND},		 {EACCES, TTRPC_PERMISSION_DENIED},
	{ENOEXEC, TTRPC_PERMISSION_DENIED}, {ENOMEM, TTRPC_RESOURCE_EXHAUSTED},	 {EOPNOTSUPP, TTRPC_UNIMPLEMENTED},
	{EEXIST, TTRPC_ALREADY_EXISTS},	    {ETIMEDOUT, TTRPC_DEADLINE_EXCEEDED},
};

void rpc_fail(struct ttrpc_call *call, const struct error *error)
{
	enum ttrpc_code code = TTRPC_INTERNAL;

	for (size_t i = 0; i < array_size(codes); i++)
		if (codes[i].number == error->number)
			code = codes[i].code;
	ttrpc_call_fail(call, code, "%s", error->text);
}

void rpc_finish(struct ttrpc_call *call, const struct error *error)
{
	if (!call)
		return;
	call->cancelled = NULL;
	if (error && error->number)
		rpc_fail(call, error);
	else
		ttrpc_call_reply(call, NULL);
}

struct container *rpc_find_container(struct ttrpc_call *call, const char *id)
{
	struct agent *agent = call->server->context;
	struct error error;
	struct container *container = sandbox_find_container(&agent->sandbox, id, &error);

	if (!container)
		rpc_fail(call, &error);
	return container;
}

struct process *rpc_find_process(struct ttrpc_call *call, const char *container_id, const char *exec_id)
{
	struct agent *agent = call->server->context;
	struct error error;
	struct process *process = sandbox_find_process(&agent->sandbox, container_id, exec_id, &error);

	if (!process)
		rpc_fail(call, &error);
	return process;
}
