/* Our own stdin, stdout and stderr, for a front end: read on demand, written without ever waiting. */
#ifndef NACRE_RUNTIME_STDIO_H
#define NACRE_RUNTIME_STDIO_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/loop.h"
#include "runtime/inlet.h"
#include "runtime/outlet.h"

/* Opens those of 0, 1 and 2 that are closed, so that no file of ours becomes one of them. To be called first. */
void stdio_fill_descriptors(void);

struct stdio {
	struct inlet input;
	struct outlet outputs[2]; /* stdout, stderr */
	void (*arrived)(struct stdio *stdio, const void *bytes, size_t length); /* of stdin; 0: its end */
	void (*drained)(struct stdio *stdio, unsigned stream); /* stdout (0) or stderr (1) has taken everything */
	void (*broke)(struct stdio *stdio);		       /* one of them can't be written any more */
};

/* Nothing is read before stdio_want(). The three functions are set by the caller. */
void stdio_open(struct stdio *stdio, struct loop *loop);

void stdio_want(struct stdio *stdio, bool wanted);

/* Writes to stdout (0) or stderr (1). More is only to be written once it isn't pending. */
void stdio_write(struct stdio *stdio, unsigned stream, const void *bytes, size_t length);
bool stdio_pending(const struct stdio *stdio, unsigned stream);

/* The errno with which one of the outputs is broken; 0 as long as they aren't. */
int stdio_broken(const struct stdio *stdio);

void stdio_close(struct stdio *stdio);

#endif
