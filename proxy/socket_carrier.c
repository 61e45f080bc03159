/* Sockets in the place of the guest's end of connections. */
#include "proxy/socket_carrier.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "lib/fd.h"

#define LOG_SUBSYSTEM "carrier"
#include "lib/log.h"

/* syscalls: sendto recvfrom shutdown close */

#define FIRST_PORT (1u << 30) /* of guests whose ports aren't known */

static void work(struct loop_timer *timer);

static struct socket_carrier *of_packets(struct vsock_carrier *packets)
{
	return container_of(packets, struct socket_carrier, packets);
}

static void schedule(struct socket_carrier *own)
{
	if (own->work.deadline == 0)
		loop_timer_set(own->carrier.loop, &own->work, 0, work);
}

/* ---- Connections --------------------------------------------------------------------------------------------- */

static struct socket_connection **bucket(struct socket_carrier *own, uint32_t host_port, uint32_t guest_port)
{
	return &own->buckets[(host_port ^ guest_port) % SOCKET_BUCKETS];
}

static struct socket_connection *find(struct socket_carrier *own, uint32_t host_port, uint32_t guest_port)
{
	struct socket_connection *connection = *bucket(own, host_port, guest_port);

	while (connection && (connection->host_port != host_port || connection->guest_port != guest_port))
		connection = connection->next;
	return connection;
}

/* The fd is the connection's from here on, also where there is no memory for one. */
static struct socket_connection *add(struct socket_carrier *own, int fd, uint32_t host_port, uint32_t guest_port)
{
	struct socket_connection *connection = calloc(1, sizeof(*connection));
	struct socket_connection **head = bucket(own, host_port, guest_port);

	if (!connection) {
		fd_close(&fd);
		return NULL;
	}
	*connection = (struct socket_connection){
		.carrier = own,
		.host_port = host_port,
		.guest_port = guest_port,
		.fd = fd,
		.source.fd = -1,
		.next = *head,
	};
	buffer_init(&connection->backlog, own->carrier.engine->buffer);
	list_init(&connection->due);
	list_append(&own->all, &connection->all);
	*head = connection;
	return connection;
}

/* The engine may use the connection's name for another one. */
static void forget(struct socket_connection *connection)
{
	struct socket_connection **link =
		bucket(connection->carrier, connection->host_port, connection->guest_port);

	while (*link && *link != connection)
		link = &(*link)->next;
	if (*link)
		*link = connection->next;
	list_remove(&connection->due);
}

static void end(struct socket_connection *connection)
{
	struct socket_carrier *own = connection->carrier;

	forget(connection);
	if (connection->state == SOCKET_DRAINING)
		own->draining--;
	list_remove(&connection->all);
	loop_remove(own->carrier.loop, &connection->source);
	fd_close(&connection->fd);
	buffer_free(&connection->backlog);
	free(connection);
}

/* The engine is told from work(): it must not be called while it sends. */
static void make_due(struct socket_connection *connection)
{
	if (!list_linked(&connection->due))
		list_append(&connection->carrier->due, &connection->due);
	schedule(connection->carrier);
}

static uint32_t credit(const struct socket_connection *connection)
{
	return connection->peer_buffer - (connection->sent - connection->peer_forwarded);
}

static void watch(struct socket_connection *connection)
{
	uint32_t events = 0;

	if (connection->source.fd < 0)
		return;
	if (connection->state == SOCKET_DIALING)
		events = connection->carrier->way->dialing;
	if (connection->state == SOCKET_OPEN && !(connection->told & VSOCK_SHUTDOWN_SEND) && credit(connection) > 0)
		events |= EPOLLIN;
	if (buffer_length(&connection->backlog) > 0)
		events |= EPOLLOUT;
	loop_change(connection->carrier->carrier.loop, &connection->source, events);
}

/* ---- What the engine is told --------------------------------------------------------------------------------- */

/* `length` bytes of payload are in own->bytes. */
static void tell(struct socket_connection *connection, enum vsock_operation operation, uint32_t length, uint32_t flags)
{
	struct socket_carrier *own = connection->carrier;
	struct vsock_engine *engine = own->carrier.engine;
	struct iovec payload = {.iov_base = own->bytes, .iov_len = length};
	struct vsock_header header = {
		.source_cid = engine->peer_cid,
		.destination_cid = VSOCK_HOST_CID,
		.source_port = connection->guest_port,
		.destination_port = connection->host_port,
		.length = length,
		.type = VSOCK_TYPE_STREAM,
		.operation = (uint16_t)operation,
		.flags = flags,
		.buffer = engine->buffer,
		.forwarded = connection->forwarded,
	};

	connection->announced = connection->forwarded;
	connection->credit_due = false;
	vsock_engine_receive(engine, &header, &payload, 1);
	vsock_engine_flush(engine);
}

static void tell_failure(struct socket_connection *connection)
{
	tell(connection, VSOCK_RST, 0, 0);
	end(connection);
}

/* The host's end, once the guest has had everything. */
static void end_output(struct socket_connection *connection)
{
	if (connection->end_wanted && buffer_length(&connection->backlog) == 0 &&
	    (connection->carrier->half_close || (connection->told & VSOCK_SHUTDOWN_SEND)))
		shutdown(connection->fd, SHUT_WR);
}

static void tell_shut(struct socket_connection *connection, unsigned int flags)
{
	if ((connection->told | flags) == connection->told)
		return;
	connection->told |= flags;
	tell(connection, VSOCK_SHUTDOWN, 0, connection->told);
	end_output(connection);
	if (connection->told != VSOCK_SHUTDOWN_BOTH)
		return;
	/* The engine has let go of it. */
	connection->state = SOCKET_FAILED;
	make_due(connection);
}

/* At the end of what the guest has sent: whether it doesn't read either. AF_VSOCK tells nobody else than who writes. */
static bool closed(const struct socket_connection *connection)
{
	return connection->hung_up || send(connection->fd, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0;
}

/* True where there may be more. */
static bool read_in(struct socket_connection *connection)
{
	struct socket_carrier *own = connection->carrier;
	uint32_t size = credit(connection) < SOCKET_CHUNK ? credit(connection) : SOCKET_CHUNK;
	ssize_t length;

	if (size == 0 || (connection->told & VSOCK_SHUTDOWN_SEND))
		return false;
	length = recv(connection->fd, own->bytes, size, MSG_DONTWAIT);
	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (length <= 0) {
		tell_shut(connection, length < 0 || closed(connection) ? VSOCK_SHUTDOWN_BOTH : VSOCK_SHUTDOWN_SEND);
		return false;
	}
	connection->sent += (uint32_t)length;
	tell(connection, VSOCK_RW, (uint32_t)length, 0);
	return true;
}

/* A quarter, as in the engine. */
static void count_forwarded(struct socket_connection *connection, size_t size)
{
	connection->forwarded += (uint32_t)size;
	if (connection->forwarded - connection->announced >= connection->carrier->carrier.engine->buffer / 4)
		connection->credit_due = true;
}

/* ---- What the engine sends ----------------------------------------------------------------------------------- */

/* Like send(2), but all counts as sent where nobody reads it. */
static size_t write_out(struct socket_connection *connection, const void *data, size_t length)
{
	ssize_t written = connection->unread ? (ssize_t)length
					     : send(connection->fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (written < 0 && errno != EAGAIN && errno != EINTR) {
		connection->unread = true;
		connection->shut_due |= VSOCK_SHUTDOWN_RECEIVE;
		written = (ssize_t)length;
	}
	return written < 0 ? 0 : (size_t)written;
}

static void take_data(struct socket_connection *connection, const uint8_t *data, size_t length)
{
	size_t written = 0;

	if (buffer_length(&connection->backlog) == 0)
		written = write_out(connection, data, length);
	count_forwarded(connection, written);
	if (written < length && buffer_append(&connection->backlog, data + written, length - written) < 0) {
		log_limited(LOG_WARNING, "no memory for what the guest's port %u doesn't read", connection->guest_port);
		connection->state = SOCKET_FAILED;
	}
}

/* What is in the backlog still goes to the guest, as from its kernel's buffer, which this one stands for. */
static void let_go(struct socket_connection *connection)
{
	connection->state = SOCKET_DRAINING;
	connection->carrier->draining++;
}

static void take_shutdown(struct socket_connection *connection, unsigned int flags)
{
	if (flags == VSOCK_SHUTDOWN_BOTH) {
		let_go(connection);
		return;
	}
	if (flags & VSOCK_SHUTDOWN_SEND) {
		connection->end_wanted = true;
		end_output(connection);
	} else if (connection->carrier->half_close) {
		shutdown(connection->fd, SHUT_RD);
	}
}

static void socket_ready(struct loop_source *source, uint32_t events);

/* Asks the guest. What comes of it is told later, a failure too. */
static void dial(struct socket_carrier *own, const struct vsock_header *header)
{
	int fd = own->way->dial(own, header->destination_port);
	struct socket_connection *connection = add(own, fd < 0 ? -1 : fd, header->source_port, header->destination_port);

	if (!connection) /* the stream's own time runs out */
		return;
	connection->peer_buffer = header->buffer;
	connection->peer_forwarded = header->forwarded;
	connection->state = SOCKET_DIALING;
	if (fd >= 0 && loop_add(own->carrier.loop, &connection->source, fd, own->way->dialing, socket_ready) == 0)
		return;
	log_debug("guest port %u can't be asked: %s", header->destination_port, fd < 0 ? strerror(-fd) : "epoll");
	connection->state = SOCKET_FAILED;
	make_due(connection);
}

static size_t carrier_room(struct vsock_carrier *packets, size_t count, struct iovec parts[IOVEC_MAX],
			   size_t *part_count, uint32_t sizes[VSOCK_READ_PACKETS])
{
	struct socket_carrier *own = of_packets(packets);

	(void)count;
	parts[0] = (struct iovec){.iov_base = own->bytes, .iov_len = sizeof(own->bytes)};
	sizes[0] = sizeof(own->bytes);
	*part_count = 1;
	return 1;
}

static void take_packet(struct socket_connection *connection, const struct vsock_header *header)
{
	switch ((enum vsock_operation)header->operation) {
	case VSOCK_RESPONSE:
		connection->state = SOCKET_OPEN;
		break;
	case VSOCK_RW:
		take_data(connection, connection->carrier->bytes, header->length);
		break;
	case VSOCK_SHUTDOWN:
		take_shutdown(connection, header->flags);
		break;
	default: /* a credit update is in every header, and what the engine may ask for comes by itself */
		break;
	}
}

static void carrier_send(struct vsock_carrier *packets, const struct vsock_header *header)
{
	struct socket_carrier *own = of_packets(packets);
	struct socket_connection *connection = find(own, header->source_port, header->destination_port);

	if (!connection) {
		if (header->operation == VSOCK_REQUEST)
			dial(own, header);
		return;
	}
	if (header->operation == VSOCK_RST) {
		end(connection);
		return;
	}
	connection->peer_buffer = header->buffer;
	connection->peer_forwarded = header->forwarded;
	take_packet(connection, header);
	watch(connection);
	if (connection->credit_due || connection->shut_due || connection->hung_up || connection->state >= SOCKET_FAILED)
		make_due(connection);
}

static void carrier_wake(struct vsock_carrier *packets)
{
	schedule(of_packets(packets));
}

static const struct vsock_carrier_ops packet_ops = {
	.room = carrier_room,
	.send = carrier_send,
	.wake = carrier_wake,
};

/* ---- The loop ------------------------------------------------------------------------------------------------ */

/* The engine's SHUTDOWN is answered as a guest's kernel does. */
static void drain_alone(struct socket_connection *connection)
{
	tell(connection, VSOCK_RST, 0, 0);
	forget(connection);
	if (buffer_length(&connection->backlog) > 0 && connection->carrier->draining > SOCKET_DRAINING_MAX)
		log_limited(LOG_WARNING, "what the guest's port %u doesn't read is dropped", connection->guest_port);
	else if (buffer_length(&connection->backlog) > 0)
		return;
	end(connection);
}

static void attend(struct socket_connection *connection)
{
	if (connection->state == SOCKET_FAILED) {
		tell_failure(connection);
		return;
	}
	if (connection->state == SOCKET_DRAINING) {
		drain_alone(connection);
		return;
	}
	if (connection->credit_due)
		tell(connection, VSOCK_CREDIT_UPDATE, 0, 0);
	tell_shut(connection, connection->shut_due);
	if (connection->hung_up && read_in(connection))
		make_due(connection);
}

static void work(struct loop_timer *timer)
{
	struct socket_carrier *own = container_of(timer, struct socket_carrier, work);
	size_t turns = list_length(&own->due);

	while (turns-- > 0 && !list_empty(&own->due))
		attend(container_of(list_take(&own->due), struct socket_connection, due));
	vsock_engine_run(own->carrier.engine);
}

static void go_on_dialing(struct socket_connection *connection)
{
	uint32_t known_port = connection->host_port;
	int status = connection->carrier->way->established(connection, &known_port);

	if (status == 0)
		return;
	if (status < 0) {
		log_debug("guest port %u: %s", connection->guest_port, strerror(-status));
		tell_failure(connection);
		return;
	}
	connection->state = SOCKET_OPEN;
	vsock_engine_known_as(connection->carrier->carrier.engine, connection->host_port, connection->guest_port,
			      known_port);
	tell(connection, VSOCK_RESPONSE, 0, 0);
	watch(connection);
}

static void drain(struct socket_connection *connection)
{
	size_t written = write_out(connection, buffer_bytes(&connection->backlog), buffer_length(&connection->backlog));

	buffer_consume(&connection->backlog, written);
	count_forwarded(connection, written);
	end_output(connection);
}

static void hang_up(struct socket_connection *connection)
{
	loop_remove(connection->carrier->carrier.loop, &connection->source);
	connection->hung_up = connection->unread = true;
	drain(connection);
}

static void socket_ready(struct loop_source *source, uint32_t events)
{
	struct socket_connection *connection = container_of(source, struct socket_connection, source);

	if (connection->state == SOCKET_DIALING) {
		go_on_dialing(connection);
		return;
	}
	if (events & (EPOLLHUP | EPOLLERR))
		hang_up(connection);
	else if (events & EPOLLOUT)
		drain(connection);
	if (connection->state == SOCKET_DRAINING && !list_linked(&connection->due)) {
		if (buffer_length(&connection->backlog) == 0)
			end(connection);
		else
			watch(connection);
		return;
	}
	if (!connection->hung_up && (events & EPOLLIN))
		read_in(connection);
	watch(connection);
	if (connection->credit_due || connection->shut_due || connection->hung_up)
		make_due(connection);
}

/* ---- Connections of the guest's ------------------------------------------------------------------------------ */

void socket_carrier_accepted(struct listener *listener, int fd)
{
	struct socket_port *port = container_of(listener, struct socket_port, listener);
	struct socket_carrier *own = port->carrier;
	struct socket_connection *connection;
	uint32_t guest_port = own->next_port;

	if (own->way->of_guest && !own->way->of_guest(own, fd, &guest_port)) {
		fd_close(&fd);
		return;
	}
	while (find(own, port->host_port, guest_port))
		guest_port++;
	own->next_port = guest_port + 1 < FIRST_PORT ? FIRST_PORT : guest_port + 1;
	connection = add(own, fd, port->host_port, guest_port);
	if (!connection)
		return;
	connection->state = SOCKET_OFFERED;
	if (loop_add(own->carrier.loop, &connection->source, fd, 0, socket_ready) < 0) {
		end(connection);
		return;
	}
	tell(connection, VSOCK_REQUEST, 0, 0);
}

/* The one that is served; or any that is free. */
static struct socket_port *port_of(struct socket_carrier *own, uint32_t host_port, bool served)
{
	for (size_t i = 0; i < SOCKET_PORTS_MAX; i++)
		if (own->ports[i].served == served && (!served || own->ports[i].host_port == host_port))
			return &own->ports[i];
	return NULL;
}

int socket_carrier_serve_port(struct carrier *carrier, uint32_t host_port, bool served, struct error *error)
{
	struct socket_carrier *own = container_of(carrier, struct socket_carrier, carrier);
	struct socket_port *port = port_of(own, host_port, true);
	int status;

	if (port && !served) {
		listener_close(&port->listener);
		port->served = false;
	}
	if (port || !served)
		return 0;
	port = port_of(own, host_port, false);
	if (!port)
		return error_set(error, ENOSPC, "port %u of the host: %d are served already", host_port,
				 SOCKET_PORTS_MAX);
	port->carrier = own;
	port->host_port = host_port;
	status = own->way->listen(port, error);
	port->served = status == 0;
	return status;
}

/* ---- Beginning and end --------------------------------------------------------------------------------------- */

void socket_carrier_start(struct carrier *carrier, const struct carrier_options *options, const struct socket_way *way,
			  bool half_close)
{
	struct socket_carrier *own = container_of(carrier, struct socket_carrier, carrier);

	own->packets.ops = &packet_ops;
	own->way = way;
	own->options = options;
	own->half_close = half_close;
	own->next_port = FIRST_PORT;
	list_init(&own->all);
	list_init(&own->due);
	vsock_engine_start(carrier->engine, &own->packets);
}

void socket_carrier_close(struct carrier *carrier)
{
	struct socket_carrier *own = container_of(carrier, struct socket_carrier, carrier);
	struct list *link;

	if (!carrier->engine->running)
		return;
	/* The guest's last words: no more of them than streams have room for. */
	for (link = own->all.next; link != &own->all; link = link->next) {
		struct socket_connection *connection = container_of(link, struct socket_connection, all);

		while (connection->state == SOCKET_OPEN && read_in(connection))
			;
	}
	vsock_engine_stop(carrier->engine);
	while (!list_empty(&own->all))
		end(container_of(own->all.next, struct socket_connection, all));
	for (size_t i = 0; i < SOCKET_PORTS_MAX; i++)
		if (own->ports[i].served)
			listener_close(&own->ports[i].listener);
	loop_timer_clear(carrier->loop, &own->work);
}
