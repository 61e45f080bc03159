/* What GetMetrics answers with: figures of the agent and of the guest, as Prometheus' text format has them.
 *
 * Reads procfs and asks file systems, which may wait: call it from a job.
 * Implements: the names of behaviour.md 3, GetMetrics; Prometheus "Exposition formats", text-based, 0.0.4.
 */
#ifndef NACRE_AGENT_METRICS_H
#define NACRE_AGENT_METRICS_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* Writes all of it: `agent` is the pid of the agent, `scrapes` how often it has been asked. What the kernel doesn't tell
 * is left out. Errors are those of `file`. */
void metrics_write(FILE *file, pid_t agent, uint64_t scrapes);

/* For metrics_write() and tests: of the file systems that `mountinfo` (a path) lists, those with a disk's or an overlay's
 * room to write to, each once (metrics_fs.c). */
void metrics_write_file_systems(FILE *file, const char *mountinfo);

/* For metrics_fs.c: what comes before the samples of "kata_NAME". */
void metrics_family(FILE *file, const char *name, const char *type, const char *help);

/* A name of /proc/meminfo as Kata's agent has it: "Active(anon)" is active_anon. Cut at `size`. */
void metrics_item_name(const char *name, char *item, size_t size);

#endif
