/* The monitor: the process that owns a VM and the container in it, from its start to its end.
 *
 * `nacre run` makes it. It has a session of its own and none of its starter's files, so it lives on after whoever started
 * it. It runs VMM and proxy, drives the agent, writes output.log, keeps status.json, and serves attach.sock. Where it
 * dies, VMM and proxy die with it.
 */
#ifndef NACRE_RUNTIME_MONITOR_H
#define NACRE_RUNTIME_MONITOR_H

#include "runtime/run_private.h"

/* Starts the monitor of what the command has found. *socket is then a connection to it, the starter's (frame.h), and the
 * caller's. 0 or -errno. */
int monitor_start(struct run *run, int *socket, struct error *error);

#endif
