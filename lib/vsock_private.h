/* What the engine's two files share: vsock_engine.c (connections, packets in) and vsock_send.c (packets out). */
#ifndef NACRE_LIB_VSOCK_PRIVATE_H
#define NACRE_LIB_VSOCK_PRIVATE_H

#include "lib/vsock_engine.h"

/* Queues a control packet of a connection. */
void vsock_send_control(struct vsock_connection *connection, enum vsock_operation operation);

static inline uint16_t vsock_type(const struct vsock_connection *connection)
{
	return connection->ops->messages ? VSOCK_TYPE_SEQPACKET : VSOCK_TYPE_STREAM;
}

/* Queues a reset for a connection which the engine doesn't know, or no longer. */
void vsock_send_reset(struct vsock_engine *engine, uint32_t local_port, uint32_t peer_port, uint16_t type);

/* The ledger, where there is one. A connection leaves it when both sides know that it is over. */
void vsock_ledger_remove(struct vsock_engine *engine, uint32_t local_port, uint32_t peer_port);

/* One that the process before has left, if any; settled once the peer has been told. */
bool vsock_ledger_stale(struct vsock_engine *engine, struct vsock_address *address);
void vsock_ledger_settle(struct vsock_engine *engine);

/* Announces that nothing will be sent or received any more, as the flags say. With both told the connection is closing:
 * the peer answers RST, or is reset after VSOCK_CLOSE_TIME. */
void vsock_shut(struct vsock_connection *connection, unsigned int flags);

/* Puts a connection into the queue of those which may have something to send. */
void vsock_make_ready(struct vsock_connection *connection);

/* Tells the peer of freed buffer space where it is worth a packet. */
void vsock_announce_credit(struct vsock_connection *connection);

/* Takes a connection out of every list, and out of the engine. */
void vsock_forget(struct vsock_connection *connection);

#endif
