/* The tables by which a bundle's config.json is read: what runtime-spec and agent protocol have in common. */
#ifndef NACRE_RUNTIME_SPEC_FIELDS_H
#define NACRE_RUNTIME_SPEC_FIELDS_H

#include <stddef.h>

#include "oci.pb-c.h"

enum field_kind {
	FIELD_TEXT,
	FIELD_TEXTS,
	FIELD_BOOLEAN,
	FIELD_INT64,
	FIELD_UINT64,
	FIELD_UINT32,
	FIELD_UINT32S,
	FIELD_CHOICE, /* a uint32 of a oneof, whose case is at `count` */
	FIELD_MESSAGE,
	FIELD_MESSAGES,
	FIELD_SYSCTLS,
	FIELD_ANNOTATIONS,
	FIELD_IGNORED, /* says nothing about the container */
	FIELD_REFUSED,
};

struct shape;

/* One key of an object. */
struct field {
	const char *name;
	enum field_kind kind;
	size_t offset, count;
	const struct shape *shape;
	const char *why;
};

struct shape {
	const ProtobufCMessageDescriptor *descriptor;
	const struct field *fields;
	void (*prepare)(void *message); /* for defaults other than 0 */
};

/* Of a whole config.json. */
extern const struct shape spec_shape;

#endif
