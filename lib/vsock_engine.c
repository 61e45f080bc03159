/* The vsock engine: the table of connections, and what packets from the peer do to them. */
#include "lib/vsock_engine.h"

#include <errno.h>

#include "lib/vsock_private.h"

#define FIRST_PORT (1u << 30) /* source ports of our own connections are from here on */
#define LAST_PORT (0xfffffffeu)

void vsock_engine_init(struct vsock_engine *engine, struct loop *loop, uint64_t local_cid, uint64_t peer_cid,
		       const struct vsock_engine_ops *ops)
{
	memset(engine, 0, offsetof(struct vsock_engine, parts));
	engine->ops = ops;
	engine->loop = loop;
	engine->local_cid = local_cid;
	engine->peer_cid = peer_cid;
	engine->buffer = VSOCK_BUFFER;
	engine->next_port = FIRST_PORT;
	list_init(&engine->connections);
	list_init(&engine->control);
	list_init(&engine->ready);
}

/* ---- The ledger ---------------------------------------------------------------------------------------------- */

static uint64_t entry_of(uint32_t local_port, uint32_t peer_port)
{
	return ~((uint64_t)local_port << 32 | peer_port);
}

void vsock_engine_keep(struct vsock_engine *engine, struct vsock_ledger *ledger)
{
	engine->ledger = ledger;
	engine->stale = ledger->high;
	if (ledger->next_port != 0)
		engine->next_port = ledger->next_port;
}

/* Where it is full a connection isn't in it. */
static void ledger_add(struct vsock_engine *engine, uint32_t local_port, uint32_t peer_port)
{
	struct vsock_ledger *ledger = engine->ledger;
	uint32_t i = engine->stale;

	if (!ledger)
		return;
	while (i < ledger->high && ledger->entries[i] != 0)
		i++;
	if (i == ledger->size)
		return;
	__atomic_store_n(&ledger->entries[i], entry_of(local_port, peer_port), __ATOMIC_RELEASE);
	if (i == ledger->high)
		__atomic_store_n(&ledger->high, i + 1, __ATOMIC_RELEASE);
	ledger->next_port = engine->next_port;
}

void vsock_ledger_remove(struct vsock_engine *engine, uint32_t local_port, uint32_t peer_port)
{
	struct vsock_ledger *ledger = engine->ledger;

	for (uint32_t i = ledger ? engine->stale : 0; ledger && i < ledger->high; i++) {
		if (ledger->entries[i] != entry_of(local_port, peer_port))
			continue;
		ledger->entries[i] = 0;
		return;
	}
}

bool vsock_ledger_stale(struct vsock_engine *engine, struct vsock_address *address)
{
	while (engine->stale > 0 && engine->ledger->entries[engine->stale - 1] == 0)
		engine->stale--;
	if (engine->stale == 0)
		return false;
	address->local_port = (uint32_t)(~engine->ledger->entries[engine->stale - 1] >> 32);
	address->peer_port = (uint32_t)~engine->ledger->entries[engine->stale - 1];
	return true;
}

void vsock_ledger_settle(struct vsock_engine *engine)
{
	engine->ledger->entries[--engine->stale] = 0;
}

/* The peer forgets all as well. */
static void ledger_clear(struct vsock_engine *engine)
{
	if (!engine->ledger)
		return;
	for (uint32_t i = 0; i < engine->ledger->high; i++)
		engine->ledger->entries[i] = 0;
	engine->ledger->high = engine->stale = 0;
}

/* ---- The table ----------------------------------------------------------------------------------------------- */

static struct vsock_connection **bucket(struct vsock_engine *engine, uint32_t local_port, uint32_t peer_port)
{
	uint32_t hash = (local_port ^ (peer_port * 2654435761u)) * 2654435761u;

	return &engine->buckets[hash >> 24];
}

static struct vsock_connection *find(struct vsock_engine *engine, uint32_t local_port, uint32_t peer_port)
{
	struct vsock_connection *connection = *bucket(engine, local_port, peer_port);

	while (connection && (connection->local_port != local_port || connection->peer_port != peer_port))
		connection = connection->next;
	return connection;
}

static void add(struct vsock_engine *engine, struct vsock_connection *connection, uint32_t local_port,
		uint32_t peer_port, enum vsock_state state)
{
	const struct vsock_stream_ops *ops = connection->ops;
	struct vsock_connection **head = bucket(engine, local_port, peer_port);

	*connection = (struct vsock_connection){
		.ops = ops,
		.engine = engine,
		.state = state,
		.local_port = local_port,
		.peer_port = peer_port,
		.known_port = local_port,
		.appetite = 1,
		.next = *head,
	};
	*head = connection;
	ledger_add(engine, local_port, peer_port);
	list_append(&engine->connections, &connection->all);
	list_init(&connection->control);
	list_init(&connection->ready);
}

void vsock_forget(struct vsock_connection *connection)
{
	struct vsock_engine *engine = connection->engine;
	struct vsock_connection **link = bucket(engine, connection->local_port, connection->peer_port);

	while (*link != connection)
		link = &(*link)->next;
	*link = connection->next;
	list_remove(&connection->all);
	list_remove(&connection->control);
	list_remove(&connection->ready);
	loop_timer_clear(engine->loop, &connection->close_timer);
	if (engine->writing == connection) {
		engine->writing = NULL;
		engine->part_count = engine->size = 0;
	}
	connection->state = VSOCK_CLOSED;
}

static void end(struct vsock_connection *connection)
{
	vsock_forget(connection);
	connection->ops->closed(connection);
}

static void reset(struct vsock_connection *connection)
{
	vsock_send_reset(connection->engine, connection->local_port, connection->peer_port, vsock_type(connection));
	end(connection);
}

void vsock_engine_start(struct vsock_engine *engine, struct vsock_carrier *carrier)
{
	engine->carrier = carrier;
	engine->running = true;
	engine->ops->started(engine);
}

void vsock_engine_stop(struct vsock_engine *engine)
{
	vsock_engine_flush(engine);
	engine->running = false;
	engine->reset_count = 0;
	while (!list_empty(&engine->connections))
		end(container_of(engine->connections.next, struct vsock_connection, all));
	ledger_clear(engine);
}

/* Ports are handed out in turn, so that one isn't soon used again. The peer may have connections from any of its ports
 * to local ports of this range too: all are looked at, since the number must be enough to name a connection. */
static bool port_taken(struct vsock_engine *engine, uint32_t local_port)
{
	for (struct list *link = engine->connections.next; link != &engine->connections; link = link->next)
		if (container_of(link, struct vsock_connection, all)->local_port == local_port)
			return true;
	return false;
}

static uint32_t take_port(struct vsock_engine *engine)
{
	uint32_t port;

	do {
		port = engine->next_port;
		engine->next_port = port == LAST_PORT ? FIRST_PORT : port + 1;
	} while (port_taken(engine, port));
	return port;
}

int vsock_engine_connect(struct vsock_engine *engine, struct vsock_connection *connection,
			 const struct vsock_stream_ops *ops, uint32_t peer_port)
{
	if (!engine->running)
		return -ENOTCONN;
	connection->ops = ops;
	add(engine, connection, take_port(engine), peer_port, VSOCK_REQUESTED);
	vsock_send_control(connection, VSOCK_REQUEST);
	return 0;
}

void vsock_engine_known_as(struct vsock_engine *engine, uint32_t local_port, uint32_t peer_port, uint32_t known_port)
{
	struct vsock_connection *connection = find(engine, local_port, peer_port);

	if (connection)
		connection->known_port = known_port;
}

void vsock_connection_abort(struct vsock_connection *connection)
{
	if (connection->state == VSOCK_CLOSED)
		return;
	vsock_send_reset(connection->engine, connection->local_port, connection->peer_port, vsock_type(connection));
	vsock_forget(connection);
}

void vsock_connection_forwarded(struct vsock_connection *connection, size_t size)
{
	connection->forwarded += size;
	vsock_announce_credit(connection);
}

/* ---- Packets from the peer ----------------------------------------------------------------------------------- */

void vsock_engine_flush(struct vsock_engine *engine)
{
	struct vsock_connection *connection = engine->writing;
	size_t size = engine->size, count = engine->part_count;
	ssize_t forwarded;

	if (!connection)
		return;
	engine->writing = NULL;
	engine->size = engine->part_count = 0;
	forwarded = connection->ops->write(connection, engine->parts, count, size);
	if (forwarded < 0)
		reset(connection);
	else
		vsock_connection_forwarded(connection, (size_t)forwarded);
}

static void gather(struct vsock_connection *connection, const struct iovec *parts, size_t count, size_t size)
{
	struct vsock_engine *engine = connection->engine;

	engine->writing = connection;
	memcpy(engine->parts + engine->part_count, parts, count * sizeof(*parts));
	engine->part_count += count;
	engine->size += size;
}

static void on_response(struct vsock_connection *connection)
{
	if (connection->state != VSOCK_REQUESTED) {
		reset(connection);
		return;
	}
	connection->state = VSOCK_CONNECTED;
	if (connection->ops->connected(connection) < 0)
		reset(connection);
	else
		connection->ops->watch(connection, true);
}

static void on_rst(struct vsock_connection *connection)
{
	vsock_ledger_remove(connection->engine, connection->local_port, connection->peer_port);
	end(connection);
}

static void on_shutdown(struct vsock_connection *connection, const struct vsock_header *header)
{
	unsigned int flags = header->flags & VSOCK_SHUTDOWN_BOTH;

	if (connection->state == VSOCK_REQUESTED) {
		reset(connection);
		return;
	}
	connection->peer_shut |= flags;
	if (connection->peer_shut == VSOCK_SHUTDOWN_BOTH) {
		/* Answered by RST at once, whatever the stream still has to pass on: the peer keeps its end
		 * until then. */
		reset(connection);
		return;
	}
	if (flags & VSOCK_SHUTDOWN_RECEIVE) {
		list_remove(&connection->ready);
		connection->ops->watch(connection, false);
	}
	connection->ops->shut(connection, flags);
}

static void on_data(struct vsock_connection *connection, const struct vsock_header *header, const struct iovec *parts,
		    size_t count)
{
	uint32_t held = (uint32_t)(connection->received - connection->forwarded);
	bool end = connection->ops->messages && (header->flags & VSOCK_SEQ_EOM);

	/* What the peer was told to be full, or that it has ended itself: it doesn't follow the protocol. */
	if (connection->state == VSOCK_REQUESTED || (connection->peer_shut & VSOCK_SHUTDOWN_SEND) ||
	    header->length > connection->engine->buffer - held) {
		reset(connection);
		return;
	}
	connection->received += header->length;
	if (connection->shut & VSOCK_SHUTDOWN_RECEIVE)
		vsock_connection_forwarded(connection, header->length);
	else if (header->length > 0 || end)
		gather(connection, parts, count, header->length);
	connection->end_of_message = end;
	if (end)
		vsock_engine_flush(connection->engine);
}

static void on_credit_request(struct vsock_connection *connection)
{
	vsock_send_control(connection, VSOCK_CREDIT_UPDATE);
}

static void on_request(struct vsock_engine *engine, const struct vsock_header *header)
{
	struct vsock_connection *(*accept)(struct vsock_engine *, uint32_t, uint32_t) =
		header->type == VSOCK_TYPE_STREAM ? engine->ops->accept : engine->ops->accept_messages;
	struct vsock_connection *connection = NULL;

	/* There may be one of the other type between these ports. */
	if (!find(engine, header->destination_port, header->source_port))
		connection = accept(engine, header->destination_port, header->source_port);
	if (!connection) {
		vsock_send_reset(engine, header->destination_port, header->source_port, header->type);
		return;
	}
	add(engine, connection, header->destination_port, header->source_port, VSOCK_CONNECTED);
	connection->peer_buffer = header->buffer;
	connection->peer_forwarded = header->forwarded;
	vsock_send_control(connection, VSOCK_RESPONSE);
	connection->ops->watch(connection, true);
}

/* Every packet says how much its sender has room for. */
static void take_credit(struct vsock_connection *connection, const struct vsock_header *header)
{
	connection->peer_buffer = header->buffer;
	connection->peer_forwarded = header->forwarded;
	if (connection->out_of_credit && vsock_connection_credit(connection) > 0) {
		connection->out_of_credit = false;
		vsock_make_ready(connection);
	}
}

static void dispatch(struct vsock_connection *connection, const struct vsock_header *header, const struct iovec *parts,
		     size_t count)
{
	switch ((enum vsock_operation)header->operation) {
	case VSOCK_RESPONSE:
		on_response(connection);
		break;
	case VSOCK_RST:
		on_rst(connection);
		break;
	case VSOCK_SHUTDOWN:
		on_shutdown(connection, header);
		break;
	case VSOCK_RW:
		on_data(connection, header, parts, count);
		break;
	case VSOCK_CREDIT_UPDATE:
		break;
	case VSOCK_CREDIT_REQUEST:
		on_credit_request(connection);
		break;
	default: /* a second REQUEST too */
		reset(connection);
		break;
	}
}

static struct vsock_connection *find_of(struct vsock_engine *engine, const struct vsock_header *header)
{
	struct vsock_connection *connection = find(engine, header->destination_port, header->source_port);

	return connection && vsock_type(connection) == header->type ? connection : NULL;
}

void vsock_engine_receive(struct vsock_engine *engine, const struct vsock_header *header, const struct iovec *parts,
			  size_t count)
{
	struct vsock_connection *connection;
	bool known_type = header->type == VSOCK_TYPE_STREAM ||
			  (header->type == VSOCK_TYPE_SEQPACKET && engine->ops->accept_messages);

	if (header->source_cid != engine->peer_cid || header->destination_cid != engine->local_cid)
		return;
	connection = find_of(engine, header);
	/* What was gathered comes before anything but more of the same. That may end a connection. */
	if (engine->writing && (engine->writing != connection || header->operation != VSOCK_RW ||
				engine->part_count + count > IOVEC_MAX)) {
		vsock_engine_flush(engine);
		connection = find_of(engine, header);
	}
	if (connection) {
		take_credit(connection, header);
		dispatch(connection, header, parts, count);
	} else if (known_type && header->operation == VSOCK_REQUEST) {
		on_request(engine, header);
	} else if (header->operation != VSOCK_RST) {
		vsock_send_reset(engine, header->destination_port, header->source_port, header->type);
	}
}
