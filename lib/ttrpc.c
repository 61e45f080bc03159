/* The header of a ttrpc frame. */
#include "lib/ttrpc.h"

#include <endian.h>
#include <string.h>

void ttrpc_header_encode(uint8_t bytes[TTRPC_HEADER_SIZE], const struct ttrpc_header *header)
{
	uint32_t length = htobe32(header->length), stream = htobe32(header->stream);

	memcpy(bytes, &length, 4);
	memcpy(bytes + 4, &stream, 4);
	bytes[8] = header->type;
	bytes[9] = header->flags;
}

struct ttrpc_header ttrpc_header_decode(const uint8_t bytes[TTRPC_HEADER_SIZE])
{
	uint32_t length, stream;

	memcpy(&length, bytes, 4);
	memcpy(&stream, bytes + 4, 4);
	return (struct ttrpc_header){
		.length = be32toh(length),
		.stream = be32toh(stream),
		.type = bytes[8],
		.flags = bytes[9],
	};
}
