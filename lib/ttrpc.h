/* ttrpc, both ends, on the event loop: what they share. See ttrpc_server.h and ttrpc_client.h.
 *
 * A frame is a header of ten bytes, big-endian: u32 length of the body, u32 stream id, u8 type, u8 flags; then a
 * protobuf body: ttrpc.Request in a request, ttrpc.Response in a response (proto/ttrpc.proto, behaviour.md 1.1).
 */
#ifndef NACRE_LIB_TTRPC_H
#define NACRE_LIB_TTRPC_H

#include <stdint.h>

#define TTRPC_HEADER_SIZE 10
#define TTRPC_BODY_MAX (4u << 20)

enum ttrpc_type { TTRPC_REQUEST = 1, TTRPC_RESPONSE = 2, TTRPC_DATA = 3 };

/* The status codes of gRPC that this protocol uses (google.rpc.Code). */
enum ttrpc_code {
	TTRPC_OK = 0,
	TTRPC_CANCELLED = 1,
	TTRPC_UNKNOWN = 2,
	TTRPC_INVALID_ARGUMENT = 3,
	TTRPC_DEADLINE_EXCEEDED = 4,
	TTRPC_NOT_FOUND = 5,
	TTRPC_ALREADY_EXISTS = 6,
	TTRPC_PERMISSION_DENIED = 7,
	TTRPC_RESOURCE_EXHAUSTED = 8,
	TTRPC_FAILED_PRECONDITION = 9,
	TTRPC_UNIMPLEMENTED = 12,
	TTRPC_INTERNAL = 13,
	TTRPC_UNAVAILABLE = 14,
};

struct ttrpc_header {
	uint32_t length;
	uint32_t stream;
	uint8_t type;
	uint8_t flags;
};

void ttrpc_header_encode(uint8_t bytes[TTRPC_HEADER_SIZE], const struct ttrpc_header *header);
struct ttrpc_header ttrpc_header_decode(const uint8_t bytes[TTRPC_HEADER_SIZE]);

#endif
