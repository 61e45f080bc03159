/* Tools in a container: programs that nacre needs there, and that the container needn't have.
 *
 * nacre's own agent executes the guest image's (proto/guest.proto, ExecTool); another one the container's own, by a plain
 * exec. Either way it runs inside of the container and with its rights, so no path of the container is ever resolved
 * outside of it.
 */
#ifndef NACRE_RUNTIME_TOOL_H
#define NACRE_RUNTIME_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/session.h"

struct tools {
	struct session *session;
	const char *container;
	bool plain; /* the agent doesn't know ExecTool */
	void (*note)(void *data, const char *line); /* what a --verbose user wants to know */
	void *data;
	unsigned count;
	char id[64]; /* of the exec that was started last */
};

void tools_open(struct tools *tools, struct session *session, const char *container);

/* Executes `name` with `arguments` (NULL-terminated), over stream connections with these `ports` or, where all of them
 * are 0, by calls. tools->id is then its exec id. 0 or -errno: ENOENT where there is no such tool, with session->code and
 * `error` as after session_call(). */
int tools_start(struct tools *tools, const char *name, const char *const *arguments, const uint32_t ports[3],
		struct error *error);

/* Waits for its end: its exit status, or -errno. */
int tools_wait(struct tools *tools, struct error *error);

/* Runs one whose output is short: all of it, at most `size` - 1 bytes, goes to `text`, and is terminated. Its exit
 * status; or -errno, -EFBIG where it says more. */
int tools_read(struct tools *tools, const char *name, const char *const *arguments, char *text, size_t size,
	       struct error *error);

#endif
