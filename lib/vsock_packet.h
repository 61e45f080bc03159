/* The header of a virtio-vsock packet (virtio 1.2, section 5.10.6), in host byte order and on the wire. */
#ifndef NACRE_LIB_VSOCK_PACKET_H
#define NACRE_LIB_VSOCK_PACKET_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define VSOCK_HEADER_SIZE 44
#define VSOCK_HOST_CID 2
#define VSOCK_TYPE_STREAM 1
#define VSOCK_TYPE_SEQPACKET 2

enum vsock_operation {
	VSOCK_INVALID,
	VSOCK_REQUEST,
	VSOCK_RESPONSE,
	VSOCK_RST,
	VSOCK_SHUTDOWN,
	VSOCK_RW,
	VSOCK_CREDIT_UPDATE,
	VSOCK_CREDIT_REQUEST,
	VSOCK_OPERATIONS,
};

/* Flags of VSOCK_SHUTDOWN: what its sender won't do any more. */
#define VSOCK_SHUTDOWN_RECEIVE 1u
#define VSOCK_SHUTDOWN_SEND 2u
#define VSOCK_SHUTDOWN_BOTH 3u

/* Flags of VSOCK_RW with VSOCK_TYPE_SEQPACKET. */
#define VSOCK_SEQ_EOM 1u /* the last packet of a message */
#define VSOCK_SEQ_EOR 2u /* which was sent with MSG_EOR; Unix sockets have nothing like it */

struct vsock_header {
	uint64_t source_cid;
	uint64_t destination_cid;
	uint32_t source_port;
	uint32_t destination_port;
	uint32_t length; /* of the payload behind the header */
	uint16_t type;
	uint16_t operation;
	uint32_t flags;
	uint32_t buffer; /* buf_alloc: the sender's receive buffer, in bytes */
	uint32_t forwarded; /* fwd_cnt: bytes the sender has taken out of that buffer so far, modulo 2^32 */
};

struct vsock_wire_header {
	uint64_t source_cid;
	uint64_t destination_cid;
	uint32_t source_port;
	uint32_t destination_port;
	uint32_t length;
	uint16_t type;
	uint16_t operation;
	uint32_t flags;
	uint32_t buffer;
	uint32_t forwarded;
} __attribute__((packed));

_Static_assert(sizeof(struct vsock_wire_header) == VSOCK_HEADER_SIZE, "the header has 44 bytes");

static inline struct vsock_header vsock_header_decode(const struct vsock_wire_header *wire)
{
	return (struct vsock_header){
		.source_cid = le64toh(wire->source_cid),
		.destination_cid = le64toh(wire->destination_cid),
		.source_port = le32toh(wire->source_port),
		.destination_port = le32toh(wire->destination_port),
		.length = le32toh(wire->length),
		.type = le16toh(wire->type),
		.operation = le16toh(wire->operation),
		.flags = le32toh(wire->flags),
		.buffer = le32toh(wire->buffer),
		.forwarded = le32toh(wire->forwarded),
	};
}

static inline struct vsock_wire_header vsock_header_encode(const struct vsock_header *header)
{
	return (struct vsock_wire_header){
		.source_cid = htole64(header->source_cid),
		.destination_cid = htole64(header->destination_cid),
		.source_port = htole32(header->source_port),
		.destination_port = htole32(header->destination_port),
		.length = htole32(header->length),
		.type = htole16(header->type),
		.operation = htole16(header->operation),
		.flags = htole32(header->flags),
		.buffer = htole32(header->buffer),
		.forwarded = htole32(header->forwarded),
	};
}

#endif
