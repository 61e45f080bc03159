/* A VM: nacre-proxy, and the VMM which that runs. Where the one ends, the other does; where nacre ends, both do. */
#ifndef NACRE_RUNTIME_MACHINE_H
#define NACRE_RUNTIME_MACHINE_H

#include "lib/loop.h"
#include "runtime/child.h"
#include "runtime/console_log.h"
#include "runtime/vmm.h"

#define MACHINE_LOG "vmm.log" /* what proxy and VMM say */

struct machine {
	struct loop *loop;
	const struct run_directory *directory;
	struct child proxy;
	struct loop_source source;
	struct console_log console;
	bool ended; /* by itself; `status` is the proxy's exit status then */
	int status;
};

/* Starts it. 0 or -errno. */
int machine_start(struct machine *machine, struct loop *loop, const char *proxy, const struct vmm_options *options,
		  struct error *error);

/* Whether the guest has written anything to its console. */
bool machine_console_used(const struct machine *machine);

/* The line on the guest's console that tells most: its panic, or else the last one. "" where there is none. */
void machine_console_line(const struct machine *machine, char *text, size_t size);

/* Fills `error` with how the VM ended, and with the last words of VMM and guest. Returns -EIO. */
int machine_explain_end(const struct machine *machine, struct error *error);

/* Ends it, whatever it does. */
void machine_stop(struct machine *machine);

#endif
