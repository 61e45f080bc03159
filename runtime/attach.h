/* A front end: our stdin, stdout, stderr, terminal and signals, at a monitor. */
#ifndef NACRE_RUNTIME_ATTACH_H
#define NACRE_RUNTIME_ATTACH_H

#include <stdbool.h>

#include "runtime/detach_keys.h"

struct attach_options {
	const struct detach_keys *keys;
	bool starter;	 /* of a container that ends with us, unless we detach */
	bool detached;	 /* the starter of one that doesn't: leaves as soon as it runs, and prints its name */
	bool no_stdin;	 /* ours isn't passed on */
	bool no_signals; /* nor are signals */
};

/* Attaches over the connected `socket`, which is ours from here on, until the container is gone or the user leaves. What
 * goes wrong is told on stderr. Returns the exit status: the container's; 0 after the detach keys; 128 + the signal that
 * ended us; `fault` for what is nacre's. */
int attach(int socket, const struct attach_options *options, int fault);

#endif
