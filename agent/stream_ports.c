/* The waiting room of stream connections. */
#include "agent/stream_ports.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"

void stream_ports_init(struct stream_ports *ports, struct loop *loop, void (*arrived)(struct stream_ports *ports))
{
	ports->loop = loop;
	ports->arrived = arrived;
}

static void drop(struct stream_connection *connection)
{
	loop_remove(connection->ports->loop, &connection->source);
	fd_close(&connection->fd);
	connection->used = false;
}

/* A free slot, or the oldest one's. */
static struct stream_connection *find_slot(struct stream_ports *ports)
{
	struct stream_connection *oldest = &ports->slots[0];

	for (unsigned i = 0; i < STREAM_PORTS_MAX; i++) {
		if (!ports->slots[i].used)
			return &ports->slots[i];
		if (ports->slots[i].arrival < oldest->arrival)
			oldest = &ports->slots[i];
	}
	drop(oldest);
	return oldest;
}

/* The port of a whole line; 0 where it isn't one. */
static uint32_t parse_port(const char *line)
{
	unsigned long port;
	char *end;

	if (*line < '0' || *line > '9')
		return 0;
	errno = 0;
	port = strtoul(line, &end, 10);
	return errno == 0 && *end == '\0' && port <= UINT32_MAX ? (uint32_t)port : 0;
}

/* Reads the line a byte at a time: what comes behind it belongs to the stream. */
static void line_ready(struct loop_source *source, uint32_t events)
{
	struct stream_connection *connection = container_of(source, struct stream_connection, source);

	(void)events;
	while (connection->line_length < sizeof(connection->line)) {
		char *byte = &connection->line[connection->line_length];
		ssize_t count = read(connection->fd, byte, 1);

		if (count < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (count <= 0)
			break;
		if (*byte == '\n') {
			*byte = '\0';
			connection->port = parse_port(connection->line);
			break;
		}
		connection->line_length++;
	}
	if (connection->port == 0) {
		drop(connection);
		return;
	}
	loop_remove(connection->ports->loop, &connection->source);
	connection->ports->arrived(connection->ports);
}

void stream_ports_add(struct stream_ports *ports, int fd, uint32_t port)
{
	struct stream_connection *connection = find_slot(ports);

	*connection = (struct stream_connection){
		.ports = ports,
		.used = true,
		.fd = fd,
		.port = port,
		.arrival = ++ports->arrivals,
		.source.fd = -1,
	};
	fd_set_blocking(fd, false);
	if (port != 0)
		ports->arrived(ports);
	else if (loop_add(ports->loop, &connection->source, fd, EPOLLIN, line_ready) < 0)
		drop(connection);
}

void stream_ports_look(struct stream_ports *ports)
{
	for (unsigned i = 0; i < STREAM_PORTS_MAX; i++)
		if (ports->slots[i].used && ports->slots[i].port == 0)
			line_ready(&ports->slots[i].source, EPOLLIN);
}

/* The slot of that port, or NULL. Of two it is the newer one: another process on the host has begun to count again, and the older
 * one's end has gone. */
static const struct stream_connection *find(const struct stream_ports *ports, uint32_t port)
{
	const struct stream_connection *found = NULL;

	for (unsigned i = 0; i < STREAM_PORTS_MAX; i++) {
		const struct stream_connection *slot = &ports->slots[i];

		if (slot->used && slot->port == port && port != 0 && (!found || slot->arrival > found->arrival))
			found = slot;
	}
	return found;
}

bool stream_ports_has(const struct stream_ports *ports, uint32_t port)
{
	return find(ports, port) != NULL;
}

int stream_ports_claim(struct stream_ports *ports, uint32_t port)
{
	const struct stream_connection *connection = find(ports, port);

	if (!connection)
		return -1;
	ports->slots[connection - ports->slots].used = false;
	return connection->fd;
}
