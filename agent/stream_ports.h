/* Connections that will carry a stream, waiting to be claimed by the port which a request names (behaviour.md 9).
 *
 * The host opens a connection first and names it afterwards: over vsock by its source port, on a Unix socket by a
 * decimal line which it sends first. A connection can be claimed once.
 */
#ifndef NACRE_AGENT_STREAM_PORTS_H
#define NACRE_AGENT_STREAM_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/loop.h"

/* Connections that nobody has claimed. A new one over this bound pushes the oldest out. */
#define STREAM_PORTS_MAX 64

struct stream_connection {
	struct stream_ports *ports;
	bool used;
	int fd;
	uint32_t port; /* 0 while its line hasn't come */
	uint64_t arrival;
	struct loop_source source; /* reads the line */
	char line[12];
	unsigned line_length;
};

struct stream_ports {
	struct loop *loop;
	uint64_t arrivals;
	struct stream_connection slots[STREAM_PORTS_MAX];
	void (*arrived)(struct stream_ports *ports); /* a connection has become claimable */
};

/* `ports` is all zeros: no slot is used. */
void stream_ports_init(struct stream_ports *ports, struct loop *loop, void (*arrived)(struct stream_ports *ports));

/* Takes over an accepted connection; with `port` 0 its port is read from its first line. */
void stream_ports_add(struct stream_ports *ports, int fd, uint32_t port);

/* Takes the lines that have come by now. */
void stream_ports_look(struct stream_ports *ports);

/* The connection of that port, which is the caller's from here on; -1 where it hasn't come. */
int stream_ports_claim(struct stream_ports *ports, uint32_t port);

/* Whether it has come. */
bool stream_ports_has(const struct stream_ports *ports, uint32_t port);

#endif
