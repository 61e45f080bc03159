/* A walk along the descriptors: docs of protobuf-c, "ProtobufCFieldDescriptor". */
#include "lib/message_text.h"

#include <stddef.h>

#include "lib/utf8.h"

/* How many values a field has, and where the first one is. Absent strings and messages are NULL. */
static size_t values_of(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, void *const **values)
{
	const char *base = (const char *)message;
	const void *counter = base + field->quantifier_offset, *member = base + field->offset;

	*values = member;
	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		*values = *(void *const *const *)member;
		return *(const size_t *)counter;
	}
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return *(const uint32_t *)counter == field->id;
	return 1;
}

bool message_text_valid(const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *descriptor = message->descriptor;

	for (unsigned i = 0; i < descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
		bool text = field->type == PROTOBUF_C_TYPE_STRING;
		void *const *values;
		size_t count;

		if (!text && field->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		count = values_of(message, field, &values);
		for (size_t j = 0; j < count; j++)
			if (values[j] && !(text ? utf8_valid(values[j]) : message_text_valid(values[j])))
				return false;
	}
	return true;
}
