/* Our stdin, stdout and stderr, or terminal, at a process whose streams a VM's proxy keeps: until it ends, or is left. */
#ifndef NACRE_RUNTIME_ATTACH_SESSION_H
#define NACRE_RUNTIME_ATTACH_SESSION_H

#include "runtime/attach.h"
#include "runtime/target.h"

/* The exit status: the process's; 0 after the detach keys; `fault` where something goes wrong, which is told. `terminal`
 * says whether the process has one, where the proxy doesn't know yet. `exec` may be NULL. */
int attach_session(const struct target *target, const char *exec, bool terminal, const struct attach_options *options,
		   int fault);

#endif
