/* The process of `nacre exec`: the container's own, with what the options say in its place. */
#ifndef NACRE_RUNTIME_EXEC_PROCESS_H
#define NACRE_RUNTIME_EXEC_PROCESS_H

#include "lib/arena.h"
#include "oci.pb-c.h"
#include "runtime/exec_options.h"
#include "runtime/run_directory.h"
#include "runtime/session.h"

/* Builds it in the arena. Names of users are looked up in the container as it is now. NULL, and `error` says why. */
Grpc__Process *exec_process_build(const struct exec_options *options, const struct run_directory *directory,
				  struct session *session, struct arena *arena, struct error *error);

#endif
