/* A socket whose bytes go to one of our outputs, read only as fast as that takes them. */
#ifndef NACRE_RUNTIME_CONDUIT_H
#define NACRE_RUNTIME_CONDUIT_H

#include <stdbool.h>

#include "lib/loop.h"
#include "runtime/stdio.h"

struct conduit {
	struct loop *loop;
	struct stdio *stdio;
	unsigned stream; /* of stdio: 0 or 1 */
	int fd;		 /* -1 once it has ended */
	struct loop_source source;
	void (*ended)(struct conduit *conduit); /* nothing more comes */
};

/* Takes the socket. `ended` is set by the caller. 0 or -errno; conduit_close() in any case. */
int conduit_open(struct conduit *conduit, struct loop *loop, int fd, struct stdio *stdio, unsigned stream);

/* The output has taken everything: goes on. */
void conduit_resume(struct conduit *conduit);

void conduit_close(struct conduit *conduit);

#endif
