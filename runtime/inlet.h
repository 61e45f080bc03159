/* Our stdin, read when somebody takes the bytes. */
#ifndef NACRE_RUNTIME_INLET_H
#define NACRE_RUNTIME_INLET_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/loop.h"

#define INLET_CHUNK 65536u

struct inlet {
	struct loop *loop;
	int fd;
	bool wanted;
	struct loop_source source; /* what can be polled */
	struct loop_timer timer;   /* a file, which is always readable */
	void (*arrived)(struct inlet *inlet, const void *data, size_t length); /* at most INLET_CHUNK; 0: the end */
};

/* Nothing is read before it is wanted. `fd` stays the caller's. */
void inlet_open(struct inlet *inlet, struct loop *loop, int fd,
		void (*arrived)(struct inlet *inlet, const void *data, size_t length));

/* Reads on, or rests. After the end nothing more arrives. */
void inlet_want(struct inlet *inlet, bool wanted);
void inlet_close(struct inlet *inlet);

#endif
