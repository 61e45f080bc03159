/* The tables by which a bundle's config.json is read: what runtime-spec and agent protocol have in common. */
#ifndef NACRE_OCI_CONFIG_FIELDS_H
#define NACRE_OCI_CONFIG_FIELDS_H

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
	FIELD_NONE, /* the protocol has no such thing */
};

/* What becomes of a field whose container is in a VM. */
enum field_in_vm {
	VM_TAKES,
	VM_IGNORES, /* it says nothing about the container, or others decide */
	VM_NOTES,
	VM_REFUSES,
};

struct shape;

/* One key of an object. */
struct field {
	const char *name;
	enum field_kind kind;
	size_t offset, count;
	const struct shape *shape;
	enum field_in_vm in_vm;
	const char *why; /* it is refused */
};

struct shape {
	const ProtobufCMessageDescriptor *descriptor;
	const struct field *fields;
	void (*prepare)(void *message); /* for defaults other than 0 */
};

/* Of a whole config.json, and of a process alone. */
extern const struct shape config_spec_shape, config_process_shape;

#endif
