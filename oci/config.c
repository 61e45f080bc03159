/* config.json, by the tables of config_fields.c. */
#include "oci/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "oci/config_fields.h"

#define PATH_SIZE 200

/* Where we are, for messages; and what for. */
struct reading {
	enum config_use use;
	struct arena *arena;
	struct config_notes *notes;
	struct error *error;
	char path[PATH_SIZE];
};

static int read_object(struct reading *reading, const json_t *object, const struct shape *shape, void *message);

static int refuse(struct reading *reading, const char *why)
{
	return error_set(reading->error, EINVAL, "config.json: %s: %s", reading->path, why);
}

static int no_memory(struct reading *reading)
{
	return error_errno(reading->error, ENOMEM, "config.json");
}

static void note(struct reading *reading)
{
	struct config_notes *notes = reading->notes;

	if (!notes)
		return;
	if (notes->count < CONFIG_NOTES_MOST)
		notes->list[notes->count] = arena_strdup(reading->arena, reading->path);
	notes->count++;
}

/* Where numbers are too large for the parser's integers, it gives reals (see parse()). */
static int read_number(struct reading *reading, const json_t *value, __int128 least, __int128 most, __int128 *number)
{
	double real = json_real_value(value);

	if (json_is_integer(value))
		*number = json_integer_value(value);
	else if (!json_is_real(value))
		return refuse(reading, "no number");
	else if (real >= 18446744073709551616.0)
		*number = UINT64_MAX;
	else if (real != (double)(__int128)real)
		return refuse(reading, "no whole number");
	else
		*number = (__int128)real;
	if (*number < least || *number > most)
		return refuse(reading, "a number that can't be");
	return 0;
}

static int read_texts(struct reading *reading, const json_t *array, char ***list, size_t *count)
{
	if (!json_is_array(array))
		return refuse(reading, "no list");
	*list = arena_array(reading->arena, json_array_size(array) + 1, sizeof(char *));
	if (!*list)
		return no_memory(reading);
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *item = json_array_get(array, i);

		if (!json_is_string(item))
			return refuse(reading, "no list of texts");
		(*list)[i] = arena_strdup(reading->arena, json_string_value(item));
		if (!(*list)[i])
			return no_memory(reading);
	}
	*count = json_array_size(array);
	return 0;
}

static int read_numbers(struct reading *reading, const json_t *array, uint32_t **list, size_t *count)
{
	int status = 0;

	if (!json_is_array(array))
		return refuse(reading, "no list");
	*list = arena_array(reading->arena, json_array_size(array) + 1, sizeof(uint32_t));
	if (!*list)
		return no_memory(reading);
	for (size_t i = 0; i < json_array_size(array) && status == 0; i++) {
		__int128 number = 0;

		status = read_number(reading, json_array_get(array, i), 0, UINT32_MAX, &number);
		(*list)[i] = (uint32_t)number;
	}
	*count = json_array_size(array);
	return status;
}

static void *new_message(struct reading *reading, const struct shape *shape)
{
	ProtobufCMessage *message = arena_alloc(reading->arena, shape->descriptor->sizeof_message);

	if (!message)
		return NULL;
	protobuf_c_message_init(shape->descriptor, message);
	if (shape->prepare)
		shape->prepare(message);
	return message;
}

static int read_message(struct reading *reading, const json_t *object, const struct shape *shape, void **message)
{
	*message = new_message(reading, shape);
	return *message ? read_object(reading, object, shape, *message) : no_memory(reading);
}

static int read_messages(struct reading *reading, const json_t *array, const struct shape *shape, void ***list,
			 size_t *count)
{
	size_t length = strlen(reading->path);
	int status = 0;

	if (!json_is_array(array))
		return refuse(reading, "no list");
	*list = arena_array(reading->arena, json_array_size(array) + 1, sizeof(void *));
	if (!*list)
		return no_memory(reading);
	for (size_t i = 0; i < json_array_size(array) && status == 0; i++) {
		snprintf(reading->path + length, PATH_SIZE - length, "[%zu]", i);
		status = read_message(reading, json_array_get(array, i), shape, &(*list)[i]);
	}
	*count = json_array_size(array);
	if (status == 0)
		reading->path[length] = '\0';
	return status;
}

/* Sysctls and annotations: {"name": "text"}. Their entries are of the same form. */
static int read_map(struct reading *reading, json_t *object, const ProtobufCMessageDescriptor *descriptor, void ***list,
		    size_t *count)
{
	const struct shape shape = {.descriptor = descriptor};
	const char *key;
	json_t *value;

	if (!json_is_object(object))
		return refuse(reading, "no object");
	*list = arena_array(reading->arena, json_object_size(object) + 1, sizeof(void *));
	if (!*list)
		return no_memory(reading);
	json_object_foreach(object, key, value) {
		Grpc__Linux__SysctlEntry *entry = new_message(reading, &shape);

		if (!json_is_string(value))
			return refuse(reading, "no text");
		if (!entry)
			return no_memory(reading);
		entry->key = arena_strdup(reading->arena, key);
		entry->value = arena_strdup(reading->arena, json_string_value(value));
		(*list)[(*count)++] = entry;
	}
	return 0;
}

_Static_assert(offsetof(Grpc__Linux__SysctlEntry, value) == offsetof(Grpc__Spec__AnnotationsEntry, value),
	       "entries of both maps are read by one function");

static int read_integer(struct reading *reading, const json_t *value, enum field_kind kind, void *to)
{
	__int128 number = 0;
	int status;

	if (kind == FIELD_INT64) {
		status = read_number(reading, value, INT64_MIN, INT64_MAX, &number);
		*(int64_t *)to = (int64_t)number;
	} else if (kind == FIELD_UINT64) {
		status = read_number(reading, value, 0, UINT64_MAX, &number);
		*(uint64_t *)to = (uint64_t)number;
	} else {
		status = read_number(reading, value, 0, UINT32_MAX, &number);
		*(uint32_t *)to = (uint32_t)number;
	}
	return status;
}

/* One that is empty asks for nothing. */
static bool is_empty(const json_t *value)
{
	return json_object_size(value) == 0 && json_array_size(value) == 0 && !json_string_length(value) &&
	       !json_is_number(value) && !json_is_true(value);
}

static int read_field(struct reading *reading, const struct field *field, json_t *value, void *message)
{
	void *to = (char *)message + field->offset;
	size_t *count = (size_t *)(void *)((char *)message + field->count);

	switch (field->kind) {
	case FIELD_TEXT:
		if (!json_is_string(value))
			return refuse(reading, "no text");
		*(char **)to = arena_strdup(reading->arena, json_string_value(value));
		return *(char **)to ? 0 : no_memory(reading);
	case FIELD_TEXTS:
		return read_texts(reading, value, to, count);
	case FIELD_BOOLEAN:
		if (!json_is_boolean(value))
			return refuse(reading, "neither true nor false");
		*(protobuf_c_boolean *)to = json_is_true(value);
		return 0;
	case FIELD_INT64:
	case FIELD_UINT64:
	case FIELD_UINT32:
		return read_integer(reading, value, field->kind, to);
	case FIELD_CHOICE:
		*(int *)(void *)count = 3; /* the field's number: the only one of the oneof */
		return read_integer(reading, value, FIELD_UINT32, to);
	case FIELD_UINT32S:
		return read_numbers(reading, value, to, count);
	case FIELD_MESSAGE:
		return read_message(reading, value, field->shape, to);
	case FIELD_MESSAGES:
		return read_messages(reading, value, field->shape, to, count);
	case FIELD_SYSCTLS:
		return read_map(reading, value, &grpc__linux__sysctl_entry__descriptor, to, count);
	case FIELD_ANNOTATIONS:
		return read_map(reading, value, &grpc__spec__annotations_entry__descriptor, to, count);
	case FIELD_NONE:
		return 0;
	}
	return 0;
}

/* A field that isn't known, or isn't for a container in a VM. */
static int pass_over(struct reading *reading, const struct field *field, const json_t *value)
{
	if (is_empty(value) || (field->name && field->in_vm == VM_IGNORES))
		return 0;
	if (field->name && field->in_vm == VM_REFUSES)
		return refuse(reading, field->why);
	note(reading);
	return 0;
}

static int read_object(struct reading *reading, const json_t *object, const struct shape *shape, void *message)
{
	size_t length = strlen(reading->path);
	const char *key;
	json_t *value;
	int status = 0;

	if (!json_is_object(object))
		return refuse(reading, "no object");
	json_object_foreach((json_t *)object, key, value) {
		const struct field *field = shape->fields;

		snprintf(reading->path + length, PATH_SIZE - length, "%s%.60s", length ? "." : "", key);
		while (field->name && strcmp(field->name, key) != 0)
			field++;
		if (!field->name || (reading->use == CONFIG_FOR_VM && field->in_vm != VM_TAKES))
			status = pass_over(reading, field, value);
		else if (!json_is_null(value))
			status = read_field(reading, field, value, message);
		if (status < 0)
			return status;
		reading->path[length] = '\0';
	}
	return 0;
}

/* RLIM_INFINITY is larger than the parser's integers: then numbers become reals, which are exact up to 2^53. */
int config_parse(const char *text, json_t **document, struct error *error)
{
	json_error_t fault;

	*document = json_loads(text, JSON_REJECT_DUPLICATES, &fault);
	if (!*document && json_error_code(&fault) == json_error_numeric_overflow)
		*document = json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &fault);
	return *document ? 0 : error_set(error, EINVAL, "config.json, line %d: %s", fault.line, fault.text);
}

int config_read(const json_t *document, enum config_use use, struct arena *arena, Grpc__Spec **spec,
		struct config_notes *notes, struct error *error)
{
	struct reading reading = {.use = use, .arena = arena, .notes = notes, .error = error};
	void *message = NULL;
	int status = read_message(&reading, document, &config_spec_shape, &message);

	if (status < 0)
		return status;
	*spec = message;
	if (!(*spec)->process || !(*spec)->root || !(*spec)->linux)
		return error_set(error, EINVAL, "config.json: no process, root or linux");
	return 0;
}

int config_read_process(const json_t *document, struct arena *arena, Grpc__Process **process, struct error *error)
{
	struct reading reading = {.use = CONFIG_FOR_HERE, .arena = arena, .error = error};
	void *message = NULL;
	int status = read_message(&reading, document, &config_process_shape, &message);

	*process = message;
	return status;
}
