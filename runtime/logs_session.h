/* What a process writes, from the rings that a VM's proxy keeps of it. It is never held up: where we are too slow, bytes are
 * missed, and counted. */
#ifndef NACRE_RUNTIME_LOGS_SESSION_H
#define NACRE_RUNTIME_LOGS_SESSION_H

#include <stdbool.h>

#include "runtime/log_writer.h"
#include "runtime/target.h"

struct logs_session_options {
	const struct target *target;
	const char *exec; /* NULL: the container's first process */
	bool terminal;	  /* it has one, where the proxy doesn't know yet */
	bool follow;	  /* until its end; else what is there now */
	struct log_writer *writer; /* opened; or NULL: to our stdout and stderr */
};

/* 0 or -errno. With a writer, SIGHUP and SIGUSR1 open its file again. */
int logs_session(const struct logs_session_options *options, struct error *error);

#endif
