/* One VM's proxy, as a process: the keeper, which holds what must survive, and has a worker do the work.
 *
 * The keeper never parses what comes from the guest, and has none of its memory: it makes the sockets, starts the VMM, speaks
 * the VMM's side of vhost-user, and starts the worker again where that dies. What a worker is made of is proxy.h's.
 */
#ifndef NACRE_PROXY_KEEPER_H
#define NACRE_PROXY_KEEPER_H

#include "proxy/options.h"
#include "proxy/ring.h"
#include "proxy/shared.h"
#include "proxy/sockets.h"
#include "proxy/vhost_keeper.h"
#include "proxy/vmm.h"
#include "proxy/worker.h"

struct keeper {
	const struct options *options;
	struct loop loop;
	struct sockets sockets;
	struct vmm vmm;
	struct worker worker;
	struct vhost_keeper vhost; /* of the carrier vhost-user */
	struct shared *shared;
	struct ring_store rings; /* of sessions */
	int pid_file; /* locked as long as this process runs */
	int worker_file; /* locked as long as it or a worker of its runs */
	struct loop_source signals;
	struct loop_timer patience; /* for a worker that has been told to end */
	bool vmm_due; /* all else is there: where keeper_open() fails now, it is the VMM that can't be run */
	bool finishing;
	int status; /* of the process */
};

/* Opens the sockets, and starts the worker, and the VMM where the options have one. 0, or -errno with `error` filled;
 * keeper_close() is due in both cases. */
int keeper_open(struct keeper *keeper, const struct options *options, struct error *error);

/* Serves until the VM has ended. The exit status for the process. */
int keeper_run(struct keeper *keeper);

/* Kills VMM and worker where they still run, and removes what keeper_open() has made in the run directory. */
void keeper_close(struct keeper *keeper);

#endif
