/* process.json in a run directory: what the container's first process was started with, so that an exec can start from
 * the same. It has the form of "process" in an OCI config.json: user, env, cwd, noNewPrivileges, capabilities.
 */
#ifndef NACRE_RUNTIME_PROCESS_FILE_H
#define NACRE_RUNTIME_PROCESS_FILE_H

#include "lib/arena.h"
#include "oci.pb-c.h"
#include "runtime/run_directory.h"

#define PROCESS_FILE "process.json"

/* 0 or -errno. What isn't UTF-8 has no JSON, and is left out. */
int process_file_write(const struct run_directory *directory, const Grpc__Process *process, struct error *error);

/* Reads it into the arena: a process without arguments. NULL, and `error` says why. */
Grpc__Process *process_file_read(const struct run_directory *directory, struct arena *arena, struct error *error);

#endif
