/* The services that the agent serves, one file a family of methods. A handler checks its request and hands it on to
 * what does the work; it knows ttrpc, and what it calls doesn't, but for answering a call that takes its time.
 */
#ifndef NACRE_AGENT_RPC_H
#define NACRE_AGENT_RPC_H

#include "agent.pb-c.h"
#include "agent/process.h"
#include "lib/error.h"
#include "lib/ttrpc_server.h"

struct container;
struct job_result;

extern const struct ttrpc_service *const rpc_services[];

/* Answers with an error: its number decides the status (EINVAL: INVALID_ARGUMENT and so on), everything that has no
 * status of its own is INTERNAL, as the Kata agent has it. */
void rpc_fail(struct ttrpc_call *call, const struct error *error);

/* Ends a call that was kept: with the error, or with an empty message where `error` is NULL or its number 0. A call that
 * has been cancelled meanwhile is NULL, and nothing happens. */
void rpc_finish(struct ttrpc_call *call, const struct error *error);

/* The container or process that a request names; NULL where there is none: then the call has been answered, and with it
 * the request is gone. */
struct container *rpc_find_container(struct ttrpc_call *call, const char *id);
struct process *rpc_find_process(struct ttrpc_call *call, const char *container_id, const char *exec_id);

/* Executes what the request describes, which is of the call's arena; answers the call. `tool`: see plan.h. */
void rpc_exec(struct ttrpc_call *call, struct container *container, const char *exec_id, const Grpc__Process *process,
	      const char *tool, struct stream_numbers numbers);

/* rpc_health.c */
void rpc_health_check(struct ttrpc_call *call);
void rpc_health_version(struct ttrpc_call *call);
/* rpc_sandbox.c */
void rpc_create_sandbox(struct ttrpc_call *call);
void rpc_destroy_sandbox(struct ttrpc_call *call);
/* rpc_guest.c */
void rpc_get_guest_details(struct ttrpc_call *call);
void rpc_set_guest_date_time(struct ttrpc_call *call);
void rpc_reseed_random_dev(struct ttrpc_call *call);
/* rpc_file.c */
void rpc_copy_file(struct ttrpc_call *call);
/* rpc_network.c */
void rpc_update_interface(struct ttrpc_call *call);
void rpc_update_routes(struct ttrpc_call *call);
void rpc_add_arp_neighbors(struct ttrpc_call *call);
/* rpc_network_list.c */
void rpc_list_interfaces(struct ttrpc_call *call);
void rpc_list_routes(struct ttrpc_call *call);
/* rpc_network_list.c: the work of a job, whose answer is all routes; `argument` is unused. */
int rpc_answer_routes(const void *argument, struct job_result *result);
/* rpc_iptables.c */
void rpc_get_iptables(struct ttrpc_call *call);
void rpc_set_iptables(struct ttrpc_call *call);
/* rpc_online.c */
void rpc_online_cpu_mem(struct ttrpc_call *call);
void rpc_mem_hotplug_by_probe(struct ttrpc_call *call);
/* rpc_container.c */
void rpc_create_container(struct ttrpc_call *call);
void rpc_start_container(struct ttrpc_call *call);
void rpc_change_container(struct ttrpc_call *call);
void rpc_remove_container(struct ttrpc_call *call);
/* rpc_swap.c */
void rpc_add_swap(struct ttrpc_call *call);
void rpc_add_swap_path(struct ttrpc_call *call);
/* rpc_stats.c */
void rpc_stats_container(struct ttrpc_call *call);
void rpc_get_metrics(struct ttrpc_call *call);
/* rpc_memory.c */
void rpc_get_oom_event(struct ttrpc_call *call);
void rpc_mem_agent(struct ttrpc_call *call);
/* rpc_diagnostic.c */
void rpc_get_diagnostic_data(struct ttrpc_call *call);
/* rpc_volume.c */
void rpc_get_volume_stats(struct ttrpc_call *call);
void rpc_resize_volume(struct ttrpc_call *call);
void rpc_update_ephemeral_mounts(struct ttrpc_call *call);
void rpc_remove_stale_virtiofs_share_mounts(struct ttrpc_call *call);
/* rpc_process.c */
void rpc_exec_process(struct ttrpc_call *call);
void rpc_signal_process(struct ttrpc_call *call);
void rpc_wait_process(struct ttrpc_call *call);
void rpc_tty_win_resize(struct ttrpc_call *call);
/* rpc_stream.c */
void rpc_read_stdout(struct ttrpc_call *call);
void rpc_read_stderr(struct ttrpc_call *call);
void rpc_write_stdin(struct ttrpc_call *call);
void rpc_close_stdin(struct ttrpc_call *call);
void rpc_attach_stream(struct ttrpc_call *call); /* of the service nacre.Guest */
/* rpc_tool.c, of the service nacre.Guest */
void rpc_exec_tool(struct ttrpc_call *call);
void rpc_hold_process(struct ttrpc_call *call);
void rpc_release_process(struct ttrpc_call *call);

#endif
