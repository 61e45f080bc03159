/* One change a call: a field of the message, or one of a message in it. See mutate.h. */
#include "tests/fuzz/mutate.h"

#include <stdbool.h>
#include <string.h>

#include "lib/cleanup.h"

#define TEXT_MAX 200
#define REPEATED_MAX 64

static unsigned state = 1;

void mutate_seed(unsigned seed)
{
	state = seed | 1;
}

unsigned mutate_random(unsigned most)
{
	/* xorshift, of 32 bits */
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % most;
}

/* Texts that mean something where they are: identifiers are few, so that calls are about the same things. */
static const char *const container_ids[] = {"c1", "c2", "box"};
static const char *const exec_ids[] = {"", "e1", "e2"};
static const char *const words[] = {
	"/", "/dev/null", "/dev/vda", "/dev", "/proc", "/proc/stat", "/sys/fs/cgroup", "/run/kata-containers/c1/rootfs",
	"/run/kata-containers/shared/containers/x", "/run/sandbox-ns/pid", "../..", "/a/../b", "", "a", "sh",
	"user", "ipc", "uts", "network", "cgroup", "pid", "mount", "bind", "tmpfs", "proc", "cgroup2", "overlay", "ext4",
	"ro", "rw", "rbind", "rprivate", "rslave", "shared", "size=1m", "mode=0750", "fsgid=2000", "lowerdir=/a:/b",
	"blk", "scsi", "mmioblk", "nvdimm", "9p", "virtio-fs", "local", "ephemeral", "overlayfs", "bind", "watchable-bind",
	"erofs.multi-layer", "vfio-pci", "vfio-pci-gk", "02/00", "0000:41:00.0=02/00", "X-kata.multi-layer=true",
	"X-kata.overlay-upper", "X-kata.overlay-lower", "X-kata.gpt-partitioned=true", "X-kata.partition-number=1",
	"X-kata.dmverity.roothash=00", "c", "b", "a", "p", "rwm", "CAP_SYS_ADMIN", "CAP_CHOWN", "CAP_NOTHING",
	"RLIMIT_NOFILE", "RLIMIT_CORE", "SCMP_ACT_ERRNO", "SCMP_ACT_ALLOW", "SCMP_ACT_KILL", "SCMP_ARCH_X86_64",
	"SCMP_CMP_EQ", "SCMP_CMP_MASKED_EQ", "SECCOMP_FILTER_FLAG_LOG", "read", "clone3", "openat", "net.ipv4.ip_forward",
	"kernel.shmmax", "kernel.core_pattern", "PATH=/bin", "HOME=/root", "=", "PCIDEVICE_X=0000:41:00.0",
	"cdi.k8s.io/x", "vendor/class=name", "0-3", "2MB", "memory.high", "max", "127.0.0.1", "10.0.0.0/8", "::1", "24",
	"02:00:00:00:00:01", "eth0", "lo", "default", "termination_log", "io.kubernetes.container.terminationMessagePath",
	"init", "/kubepods/pod:x/c1", "\n", "%s%n", "\xff\xfe",
};

static char *pick(const char *const *list, size_t count, struct arena *arena)
{
	return arena_strdup(arena, list[mutate_random((unsigned)count)]);
}

static char *mutate_text(const char *old, const char *name, struct arena *arena)
{
	size_t length = old ? strlen(old) : 0;
	char *text;

	/* Files without a service have no names of fields (Makefile). */
	if (name && strcmp(name, "container_id") == 0 && mutate_random(16))
		return pick(container_ids, array_size(container_ids), arena);
	if (name && strcmp(name, "exec_id") == 0 && mutate_random(16))
		return pick(exec_ids, array_size(exec_ids), arena);
	if (mutate_random(3))
		return pick(words, array_size(words), arena);
	if (length > TEXT_MAX)
		length = TEXT_MAX;
	text = arena_alloc(arena, TEXT_MAX + 1);
	if (!text)
		return NULL;
	if (length > 0)
		memcpy(text, old, length);
	length = LLVMFuzzerMutate((uint8_t *)text, length, TEXT_MAX);
	text[length] = '\0';
	return text;
}

static uint64_t random_number(void)
{
	static const uint64_t numbers[] = {
		0, 1, 2, 3, 7, 8, 9, 64, 255, 1024, 4096, 65535, 65536, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX,
		UINT64_C(1) << 63, 0755, 0100644, 0120777, 0040755, 1000000000,
	};

	if (mutate_random(2))
		return numbers[mutate_random(array_size(numbers))];
	return (uint64_t)mutate_random(1u << 16) << mutate_random(48);
}

static size_t size_of(const ProtobufCFieldDescriptor *field)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	default:
		return 4;
	}
}

static void mutate_bytes(ProtobufCBinaryData *bytes, struct arena *arena)
{
	uint8_t *copy = arena_alloc(arena, TEXT_MAX);
	size_t length = bytes->len < TEXT_MAX ? bytes->len : TEXT_MAX;

	if (!copy)
		return;
	if (length > 0)
		memcpy(copy, bytes->data, length);
	bytes->len = LLVMFuzzerMutate(copy, length, TEXT_MAX);
	bytes->data = copy;
}

/* A message of this type, empty but for what the first changes to it will make. */
static ProtobufCMessage *make_message(const ProtobufCMessageDescriptor *type, struct arena *arena)
{
	ProtobufCMessage *message = arena_alloc(arena, type->sizeof_message);

	if (message)
		type->message_init(message);
	for (int i = 0; message && i < 3; i++)
		mutate_message(message, arena);
	return message;
}

/* What is at `value`: an element of a repeated field, or a single one. False where memory is out. */
static bool mutate_value(const ProtobufCFieldDescriptor *field, void *value, bool is_new, struct arena *arena)
{
	uint64_t number = random_number();

	switch (field->type) {
	case PROTOBUF_C_TYPE_MESSAGE: {
		ProtobufCMessage **message = value;

		if (*message && !is_new)
			mutate_message(*message, arena);
		else
			*message = make_message(field->descriptor, arena);
		return *message;
	}
	case PROTOBUF_C_TYPE_STRING: {
		char **text = value;

		*text = mutate_text(is_new ? NULL : *text, field->name, arena);
		return *text;
	}
	case PROTOBUF_C_TYPE_BYTES:
		mutate_bytes(value, arena);
		return true;
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)value = number & 1;
		return true;
	default:
		memcpy(value, &number, size_of(field));
		return true;
	}
}

static void mutate_repeated(const ProtobufCFieldDescriptor *field, void *array_field, size_t *count, struct arena *arena)
{
	size_t size = size_of(field), at = *count ? mutate_random((unsigned)*count) : 0;
	uint8_t **array = array_field, *grown;

	switch (*count == 0 ? 0 : mutate_random(4)) {
	case 0: /* one more */
		grown = *count < REPEATED_MAX ? arena_array(arena, *count + 1, size) : NULL;
		if (!grown)
			return;
		if (*count > 0)
			memcpy(grown, *array, *count * size);
		/* Mostly another one of those that are there already; the two of them have their parts in common. */
		if (*count > 0 && field->type != PROTOBUF_C_TYPE_MESSAGE && mutate_random(2))
			memcpy(grown + *count * size, *array + at * size, size);
		else if (!mutate_value(field, grown + *count * size, true, arena))
			return;
		*array = grown;
		++*count;
		break;
	case 1: /* one less */
		memmove(*array + at * size, *array + (at + 1) * size, (*count - at - 1) * size);
		--*count;
		break;
	default:
		mutate_value(field, *array + at * size, false, arena);
		break;
	}
}

void mutate_message(ProtobufCMessage *message, struct arena *arena)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	const ProtobufCFieldDescriptor *field;
	uint8_t *base = (uint8_t *)message;

	if (type->n_fields == 0)
		return;
	field = &type->fields[mutate_random(type->n_fields)];
	/* A message that is there is where most of what can be changed is. */
	for (unsigned i = 0; i < type->n_fields && mutate_random(2); i++) {
		const ProtobufCFieldDescriptor *other = &type->fields[mutate_random(type->n_fields)];

		if (other->type == PROTOBUF_C_TYPE_MESSAGE)
			field = other;
	}
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		*(uint32_t *)(void *)(base + field->quantifier_offset) = field->id;
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		mutate_repeated(field, base + field->offset, (size_t *)(void *)(base + field->quantifier_offset), arena);
	else if (field->type == PROTOBUF_C_TYPE_MESSAGE && mutate_random(32) == 0)
		*(ProtobufCMessage **)(void *)(base + field->offset) = NULL;
	else
		mutate_value(field, base + field->offset, false, arena);
}
