/* `nacre cp`: files into and out of a running container, by a tar in there and one out here.
 *
 * The container's side is a tool of the guest's (tool.h), which runs in the container, so its paths are what a process in
 * the container would see. Ours is archive.h, in a process of its own.
 */
#ifndef NACRE_RUNTIME_COPY_H
#define NACRE_RUNTIME_COPY_H

#include <stdbool.h>

#include "lib/error.h"

struct copy_options {
	bool archive; /* owners too */
	bool follow;  /* a link that is to be copied is its target */
	bool verbose;
	const char *container;
	const char *inside;  /* the path in the container */
	const char *outside; /* ours; "-" is a tar stream on stdin or stdout */
};

/* Both: what goes wrong is told on stderr; the exit status. */
int copy_out(const struct copy_options *options);
int copy_in(const struct copy_options *options);

#endif
