/* How the programs around a VM reach its guest: through the sockets which nacre-proxy keeps in the VM's run directory.
 * Needs proxy/unix_socket.c and lib/error.c.
 */
#ifndef NACRE_PROXY_CLIENT_H
#define NACRE_PROXY_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"

/* Connects to `directory`/agent.sock: a connection to the agent (guest port 1024). It may be written to at once, also
 * while the guest still boots. Returns a blocking, close-on-exec socket, which is the caller's, or -errno. */
int proxy_connect_agent(const char *directory, struct error *error);

/* Connects to `directory`/proxy.sock: to the proxy's own service, nacre.Proxy. The same kind of socket, or -errno. */
int proxy_connect_service(const char *directory, struct error *error);

/* Connects to any port of the guest through `directory`/vsock.sock, and waits for the guest's answer. *host_port is the
 * source port by which the guest knows the connection. Returns a blocking, close-on-exec socket, which is the caller's,
 * or -errno (ECONNREFUSED: nobody listens there, or the guest isn't up). */
int proxy_connect_port(const char *directory, uint32_t port, uint32_t *host_port, struct error *error);

/* A stream of a session (proto/proxy.proto). */
struct proxy_stream {
	const char *container, *exec; /* `exec` is NULL for the container's first process */
	const char *stream;	      /* "stdin", "stdout" or "stderr" */
	const char *options;	      /* words of the ATTACH line behind that, with spaces between: "ring lossy" */
};

struct proxy_attached {
	uint64_t offset;  /* of the first byte that comes; of stdin, how far its bytes have been taken */
	uint64_t dropped; /* how many were asked for and are gone */
	bool ended;	  /* nothing comes behind `offset` */
};

/* Attaches to a stream of a session that is open, by an ATTACH line: from the answer on the connection is the stream. Returns a
 * blocking, close-on-exec socket, which is the caller's, or -errno (EINVAL: a name that can't be one; EREMOTEIO: the proxy
 * refuses). */
int proxy_attach_stream(const char *directory, const struct proxy_stream *stream, struct proxy_attached *attached,
			struct error *error);

/* The same for who doesn't wait: the connection, on which the answer is the first line, without its newline at most
 * PROXY_ANSWER_SIZE - 1 bytes; and what that line says. 0 or -errno. */
#define PROXY_ANSWER_SIZE 256
int proxy_attach_begin(const char *directory, const struct proxy_stream *stream, struct error *error);
int proxy_attach_parse(const char *line, struct proxy_attached *attached, struct error *error);

#endif
