/* The vsock engine: packets to the peer. Control first, then data, each connection in its turn. */
#include <errno.h>

#include "lib/vsock_private.h"

#define bit(operation) (1u << (operation))

static void send_packet(struct vsock_connection *connection, enum vsock_operation operation, uint32_t length,
			uint32_t flags)
{
	struct vsock_engine *engine = connection->engine;
	struct vsock_header header = {
		.source_cid = engine->local_cid,
		.destination_cid = engine->peer_cid,
		.source_port = connection->local_port,
		.destination_port = connection->peer_port,
		.length = length,
		.type = vsock_type(connection),
		.operation = (uint16_t)operation,
		.flags = flags,
		.buffer = engine->buffer,
		.forwarded = (uint32_t)connection->forwarded,
	};

	connection->announced = (uint32_t)connection->forwarded;
	connection->pending &= ~bit(VSOCK_CREDIT_UPDATE);
	engine->carrier->ops->send(engine->carrier, &header);
}

void vsock_send_control(struct vsock_connection *connection, enum vsock_operation operation)
{
	struct vsock_engine *engine = connection->engine;

	connection->pending |= bit(operation);
	if (list_linked(&connection->control))
		return;
	list_append(&engine->control, &connection->control);
	engine->carrier->ops->wake(engine->carrier);
}

void vsock_send_reset(struct vsock_engine *engine, uint32_t local_port, uint32_t peer_port, uint16_t type)
{
	size_t last = (engine->reset_first + engine->reset_count) % VSOCK_RESETS_MAX;

	/* Full: a peer which sends much and takes nothing. What it loses is a courtesy. Not to read its packets
	 * instead could stop both sides for good. */
	if (!engine->running || engine->reset_count == VSOCK_RESETS_MAX) {
		vsock_ledger_remove(engine, local_port, peer_port);
		return;
	}
	engine->resets[last] = (struct vsock_address){.local_port = local_port, .peer_port = peer_port, .type = type};
	engine->reset_count++;
	engine->carrier->ops->wake(engine->carrier);
}

uint32_t vsock_connection_credit(const struct vsock_connection *connection)
{
	uint32_t outstanding = (uint32_t)connection->sent - connection->peer_forwarded;

	return outstanding < connection->peer_buffer ? connection->peer_buffer - outstanding : 0;
}

void vsock_announce_credit(struct vsock_connection *connection)
{
	uint32_t unannounced = (uint32_t)connection->forwarded - connection->announced;

	/* A quarter, so that the peer never waits for an update which waits for the peer. */
	if (connection->state == VSOCK_CONNECTED && unannounced >= connection->engine->buffer / 4)
		vsock_send_control(connection, VSOCK_CREDIT_UPDATE);
}

static void close_expired(struct loop_timer *timer)
{
	struct vsock_connection *connection = container_of(timer, struct vsock_connection, close_timer);

	vsock_connection_abort(connection);
	connection->ops->closed(connection);
}

void vsock_shut(struct vsock_connection *connection, unsigned int flags)
{
	if ((connection->shut | flags) == connection->shut)
		return;
	connection->shut |= flags;
	vsock_send_control(connection, VSOCK_SHUTDOWN);
	if (connection->shut != VSOCK_SHUTDOWN_BOTH)
		return;
	connection->state = VSOCK_CLOSING;
	list_remove(&connection->ready);
	loop_timer_set(connection->engine->loop, &connection->close_timer, VSOCK_CLOSE_TIME, close_expired);
}

void vsock_make_ready(struct vsock_connection *connection)
{
	struct vsock_engine *engine = connection->engine;

	if (connection->state != VSOCK_CONNECTED || connection->out_of_credit || list_linked(&connection->ready) ||
	    ((connection->shut & VSOCK_SHUTDOWN_SEND) && !connection->hung_up))
		return;
	list_append(&engine->ready, &connection->ready);
	engine->carrier->ops->wake(engine->carrier);
}

void vsock_connection_readable(struct vsock_connection *connection)
{
	vsock_make_ready(connection);
}

void vsock_connection_hung_up(struct vsock_connection *connection)
{
	connection->hung_up = true;
	vsock_make_ready(connection);
}

void vsock_connection_unread(struct vsock_connection *connection)
{
	if (connection->state == VSOCK_CONNECTED)
		vsock_shut(connection, VSOCK_SHUTDOWN_RECEIVE);
}

/* ---- Running ------------------------------------------------------------------------------------------------- */

static bool room_for_one(struct vsock_engine *engine)
{
	uint32_t sizes[VSOCK_READ_PACKETS];
	size_t count;

	return engine->carrier->ops->room(engine->carrier, 1, engine->room, &count, sizes) > 0;
}

/* In this order: what opens comes first, what ends comes last. */
static const enum vsock_operation control_order[] = {
	VSOCK_REQUEST, VSOCK_RESPONSE, VSOCK_CREDIT_UPDATE, VSOCK_CREDIT_REQUEST, VSOCK_SHUTDOWN,
};

/* False where room ran out: what is still pending keeps the connection in the list. */
static bool send_pending(struct vsock_connection *connection)
{
	for (size_t i = 0; i < array_size(control_order); i++) {
		enum vsock_operation operation = control_order[i];

		if (!(connection->pending & bit(operation)))
			continue;
		if (!room_for_one(connection->engine))
			return false;
		connection->pending &= ~bit(operation);
		send_packet(connection, operation, 0, operation == VSOCK_SHUTDOWN ? connection->shut : 0);
	}
	return true;
}

/* False where there is no room for it. */
static bool send_reset(struct vsock_engine *engine, const struct vsock_address *address)
{
	struct vsock_header header = {
		.source_cid = engine->local_cid,
		.destination_cid = engine->peer_cid,
		.source_port = address->local_port,
		.destination_port = address->peer_port,
		.type = address->type,
		.operation = VSOCK_RST,
	};

	if (!room_for_one(engine))
		return false;
	engine->carrier->ops->send(engine->carrier, &header);
	return true;
}

static bool send_resets(struct vsock_engine *engine)
{
	struct vsock_address stale;

	while (vsock_ledger_stale(engine, &stale)) {
		stale.type = VSOCK_TYPE_STREAM;
		if (!send_reset(engine, &stale))
			return false;
		/* The ledger doesn't know which; the peer passes over the other. */
		stale.type = VSOCK_TYPE_SEQPACKET;
		if (engine->ops->accept_messages && !send_reset(engine, &stale))
			return false;
		vsock_ledger_settle(engine);
	}
	while (engine->reset_count > 0) {
		const struct vsock_address *address = &engine->resets[engine->reset_first];

		if (!send_reset(engine, address))
			return false;
		vsock_ledger_remove(engine, address->local_port, address->peer_port);
		engine->reset_first = (engine->reset_first + 1) % VSOCK_RESETS_MAX;
		engine->reset_count--;
	}
	return true;
}

static bool send_controls(struct vsock_engine *engine)
{
	/* Resets first: the peer may have asked for a new connection between the same ports since. */
	if (!send_resets(engine))
		return false;
	while (!list_empty(&engine->control)) {
		struct vsock_connection *connection =
			container_of(engine->control.next, struct vsock_connection, control);

		if (!send_pending(connection))
			return false;
		list_remove(&connection->control);
	}
	return true;
}

/* The end of what the stream's peer writes. */
static void end_input(struct vsock_connection *connection)
{
	connection->ops->watch(connection, false);
	vsock_shut(connection, connection->hung_up ? VSOCK_SHUTDOWN_BOTH : VSOCK_SHUTDOWN_SEND);
}

static void wait_for_credit(struct vsock_connection *connection)
{
	connection->out_of_credit = true;
	connection->stalls++;
	connection->ops->watch(connection, false);
	/* A driver announces freed space by itself, but when is up to it: asking once makes sure that it knows. */
	vsock_send_control(connection, VSOCK_CREDIT_REQUEST);
}

/* Sends what has been read as packets, each filling its room but the last. */
static void send_data(struct vsock_connection *connection, size_t length, const uint32_t *sizes)
{
	uint32_t last = connection->ops->messages && connection->end_of_message ? VSOCK_SEQ_EOM : 0;

	for (size_t i = 0; length > 0; i++) {
		uint32_t here = length < sizes[i] ? (uint32_t)length : sizes[i];

		connection->sent += here;
		length -= here;
		send_packet(connection, VSOCK_RW, here, length == 0 ? last : 0);
	}
}

/* One read. False where there was no room for it. */
static bool pump(struct vsock_connection *connection)
{
	struct vsock_engine *engine = connection->engine;
	uint32_t sizes[VSOCK_READ_PACKETS], credit = vsock_connection_credit(connection);
	size_t packets, count, offered = 0;
	ssize_t length;

	/* Nothing is to be read, but the hang-up is to be told. */
	if ((connection->shut & VSOCK_SHUTDOWN_SEND) || (connection->peer_shut & VSOCK_SHUTDOWN_RECEIVE)) {
		end_input(connection);
		return true;
	}
	if (credit == 0) {
		wait_for_credit(connection);
		return true;
	}
	packets = engine->carrier->ops->room(engine->carrier, connection->appetite, engine->room, &count, sizes);
	if (packets == 0)
		return false;
	for (size_t i = 0; i < packets; i++)
		offered += sizes[i];
	if (offered > credit)
		offered = credit;
	count = iovec_slice(engine->room, engine->room, count, 0, offered);
	length = connection->ops->read(connection, engine->room, count);
	if (length == 0 || (length < 0 && length != -EAGAIN)) {
		end_input(connection);
		return true;
	}
	if (length > 0)
		send_data(connection, (size_t)length, sizes);
	/* One who fills what he gets gets more; a conversation of small pieces looks at no more room than it needs. */
	if (length == (ssize_t)offered)
		connection->appetite = connection->appetite < VSOCK_READ_PACKETS ? connection->appetite * 2
										   : VSOCK_READ_PACKETS;
	else
		connection->appetite = 1;
	/* Nothing else reports the rest. */
	if (connection->hung_up || (length > 0 && connection->ops->messages && !connection->end_of_message))
		vsock_make_ready(connection);
	else
		connection->ops->watch(connection, true);
	return true;
}

/* Whoever is left keeps his place, and isn't watched while nothing could be done about him. */
static void suspend(struct vsock_engine *engine)
{
	for (struct list *link = engine->ready.next; link != &engine->ready; link = link->next) {
		struct vsock_connection *connection = container_of(link, struct vsock_connection, ready);

		connection->ops->watch(connection, false);
	}
}

/* Each of those that are ready now, once. False where room ran out. */
static bool pump_all(struct vsock_engine *engine)
{
	size_t turns = list_length(&engine->ready);

	while (turns-- > 0 && !list_empty(&engine->ready)) {
		struct list *link = list_take(&engine->ready);

		if (!pump(container_of(link, struct vsock_connection, ready))) {
			list_prepend(&engine->ready, link);
			suspend(engine);
			return false;
		}
	}
	return true;
}

bool vsock_engine_run(struct vsock_engine *engine)
{
	return !(send_controls(engine) && pump_all(engine));
}
