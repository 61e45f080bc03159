/* The VMM as a child: forked before the proxy gives its rights up, none of which it is to lose; started with the proxy, ends with it, and is watched through a pidfd. */
#ifndef NACRE_PROXY_VMM_H
#define NACRE_PROXY_VMM_H

#include <sys/resource.h>
#include <sys/types.h>

#include "lib/error.h"
#include "lib/loop.h"

struct vmm {
	struct loop *loop;
	struct rlimit descriptors; /* as this process got it: it may need more */
	pid_t pid; /* 0 while none runs */
	struct loop_source source; /* its pidfd */
	int go, report; /* pipes to the child until it runs the program; -1 */
	int status; /* once it has ended: its exit status, or 128 + the signal that killed it */
	void (*ended)(struct vmm *vmm);
};

void vmm_init(struct vmm *vmm, struct loop *loop, void (*ended)(struct vmm *vmm));

/* Makes the child that will run argv[0], searched in PATH, with standard input, output and error, signals and limits as this
 * process got them. It is killed when this process dies. 0 or -errno. */
int vmm_prepare(struct vmm *vmm, char *const argv[], struct error *error);

/* Lets it go. Returns once it is running the program: 0, or execve's -errno. */
int vmm_start(struct vmm *vmm, const char *name, struct error *error);

/* Kills it and waits for its end, where there is one. ended() isn't called. */
void vmm_kill(struct vmm *vmm);

#endif
