/* The split ring: walking descriptor chains without trusting them, and the two suppressions of notifications. */
#include "proxy/virtqueue.h"

#include <endian.h>
#include <errno.h>

#define DESCRIPTOR_NEXT 1u
#define DESCRIPTOR_WRITE 2u
#define DESCRIPTOR_INDIRECT 4u
#define AVAILABLE_NO_INTERRUPT 1u
#define USED_NO_NOTIFY 1u

struct virtqueue_descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags;
	uint16_t next;
};

struct virtqueue_available {
	uint16_t flags;
	uint16_t index;
	uint16_t ring[]; /* and behind it, with EVENT_IDX, used_event */
};

struct used_element {
	uint32_t head;
	uint32_t written;
};

struct virtqueue_used {
	uint16_t flags;
	uint16_t index;
	struct used_element ring[]; /* and behind it, with EVENT_IDX, avail_event */
};

#define fetch(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define put(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)
#define full_barrier() __atomic_thread_fence(__ATOMIC_SEQ_CST)

/* A table of descriptors: the queue's own, or an indirect one. */
struct table {
	const struct virtqueue_descriptor *descriptors;
	uint32_t size;
};

static struct virtqueue_descriptor fetch_descriptor(const struct table *table, uint16_t index)
{
	const struct virtqueue_descriptor *guest = &table->descriptors[index];

	return (struct virtqueue_descriptor){
		.address = le64toh(fetch(guest->address)),
		.length = le32toh(fetch(guest->length)),
		.flags = le16toh(fetch(guest->flags)),
		.next = le16toh(fetch(guest->next)),
	};
}

static uint16_t *used_event(struct virtqueue *queue)
{
	return &queue->available->ring[queue->size];
}

static uint16_t *available_event(struct virtqueue *queue)
{
	return (uint16_t *)&queue->used->ring[queue->size];
}

static void *ring_memory(const struct guest_memory *memory, uint64_t address, uint64_t size, uint64_t alignment)
{
	void *found = guest_memory_user(memory, address, size);

	return found && ((uintptr_t)found & (alignment - 1)) == 0 ? found : NULL;
}

int virtqueue_start(struct virtqueue *queue, const struct guest_memory *memory, const struct virtqueue_state *state,
		    uint64_t features, struct error *error)
{
	uint32_t size = state->size;

	if (size == 0 || size > VIRTQUEUE_SIZE_MAX || (size & (size - 1)) != 0)
		return error_set(error, EINVAL, "a ring of %u descriptors", size);
	*queue = (struct virtqueue){
		.memory = memory,
		.descriptors = ring_memory(memory, state->descriptors, size * 16u, 16),
		.available = ring_memory(memory, state->available, 4 + size * 2u + 2, 2),
		.used = ring_memory(memory, state->used, 4 + size * 8u + 2, 4),
		.size = (uint16_t)size,
		.event_index = features & VIRTIO_EVENT_IDX,
		.indirect = features & VIRTIO_INDIRECT_DESC,
		.position = state->base,
		.seen = state->base,
		.signalled = state->base,
		.fresh = true,
	};
	if (!queue->descriptors || !queue->available || !queue->used)
		return error_set(error, EINVAL, "a ring that isn't in the guest's memory");
	return 0;
}

/* The index at which the guest will write next, where more than the chain `ahead` is there. */
static int look_for(struct virtqueue *queue, uint16_t ahead, struct error *error)
{
	if (ahead < (uint16_t)(queue->seen - queue->position))
		return 1;
	/* Acquire: what the index announces is read after it. */
	queue->seen = le16toh(__atomic_load_n(&queue->available->index, __ATOMIC_ACQUIRE));
	if ((uint16_t)(queue->seen - queue->position) > queue->size)
		return error_set(error, EPROTO, "available index %u is more than a ring ahead of %u", queue->seen,
				 queue->position);
	return ahead < (uint16_t)(queue->seen - queue->position);
}

static int add_buffer(const struct virtqueue *queue, const struct virtqueue_descriptor *descriptor,
		      enum virtqueue_direction direction, struct virtqueue_chain *chain, struct iovec *parts,
		      size_t room, struct error *error)
{
	bool writable = descriptor->flags & DESCRIPTOR_WRITE;
	int count;

	if (writable != (direction == VIRTQUEUE_TO_GUEST))
		return error_set(error, EPROTO, "a buffer of the wrong direction");
	count = guest_memory_parts(queue->memory, descriptor->address, descriptor->length, parts + chain->count,
				   room - chain->count);
	if (count == -ENOBUFS)
		return error_set(error, EPROTO, "a chain of too many pieces");
	if (count < 0)
		return error_set(error, EPROTO, "%u bytes at 0x%llx aren't in the guest's memory", descriptor->length,
				 (unsigned long long)descriptor->address);
	chain->count += (size_t)count;
	chain->size += descriptor->length;
	return 0;
}

static int enter_indirect(const struct virtqueue *queue, const struct virtqueue_descriptor *descriptor,
			  struct table *table, struct error *error)
{
	uint32_t size = descriptor->length / sizeof(struct virtqueue_descriptor);

	if (!queue->indirect || table->descriptors != queue->descriptors || (descriptor->flags & DESCRIPTOR_NEXT))
		return error_set(error, EPROTO, "an indirect table where none may be");
	if (size == 0 || size > queue->size || descriptor->length % sizeof(struct virtqueue_descriptor) != 0)
		return error_set(error, EPROTO, "an indirect table of %u bytes", descriptor->length);
	table->descriptors = guest_memory_at(queue->memory, descriptor->address, descriptor->length);
	table->size = size;
	/* The specification doesn't ask for alignment of these, but every driver's are, and atomic loads want it. */
	if (!table->descriptors || ((uintptr_t)table->descriptors & 7) != 0)
		return error_set(error, EPROTO, "an indirect table at 0x%llx",
				 (unsigned long long)descriptor->address);
	return 0;
}

/* A chain has at most as many descriptors as the queue: that also ends one which loops. */
static int walk(const struct virtqueue *queue, enum virtqueue_direction direction, struct virtqueue_chain *chain,
		struct iovec *parts, size_t room, struct error *error)
{
	struct table table = {.descriptors = queue->descriptors, .size = queue->size};
	uint16_t index = chain->head;

	for (uint32_t step = 0; step <= queue->size; step++) {
		struct virtqueue_descriptor descriptor;
		int status;

		if (index >= table.size)
			return error_set(error, EPROTO, "descriptor %u of %u", index, table.size);
		descriptor = fetch_descriptor(&table, index);
		if (descriptor.flags & DESCRIPTOR_INDIRECT) {
			status = enter_indirect(queue, &descriptor, &table, error);
			if (status < 0)
				return status;
			index = 0;
			continue;
		}
		status = add_buffer(queue, &descriptor, direction, chain, parts, room, error);
		if (status < 0)
			return status;
		if (!(descriptor.flags & DESCRIPTOR_NEXT))
			return 0;
		index = descriptor.next;
	}
	return error_set(error, EPROTO, "a chain that is longer than the ring");
}

int virtqueue_chain(struct virtqueue *queue, uint16_t ahead, enum virtqueue_direction direction,
		    struct virtqueue_chain *chain, struct iovec *parts, size_t room, struct error *error)
{
	int status = look_for(queue, ahead, error);
	uint16_t slot;

	if (status <= 0)
		return status;
	slot = (uint16_t)(queue->position + ahead) & (queue->size - 1);
	*chain = (struct virtqueue_chain){.head = le16toh(fetch(queue->available->ring[slot]))};
	status = walk(queue, direction, chain, parts, room, error);
	return status < 0 ? status : 1;
}

void virtqueue_use(struct virtqueue *queue, uint16_t head, uint32_t written)
{
	struct used_element *element = &queue->used->ring[queue->position & (queue->size - 1)];

	put(element->head, htole32(head));
	put(element->written, htole32(written));
	queue->position++;
	/* First: where this process ends here, the next one announces it (virtqueue_resume()), and doesn't do it again. */
	if (queue->record)
		__atomic_store_n(queue->record, queue->position, __ATOMIC_RELEASE);
	/* Release: the guest sees the element and the data before the index which announces them. */
	__atomic_store_n(&queue->used->index, htole16(queue->position), __ATOMIC_RELEASE);
}

void virtqueue_resume(struct virtqueue *queue)
{
	__atomic_store_n(&queue->used->index, htole16(queue->position), __ATOMIC_RELEASE);
	queue->signalled = (uint16_t)(queue->position - 1);
}

bool virtqueue_signal(struct virtqueue *queue)
{
	uint16_t old = queue->signalled, new = queue->position, event;

	if (old == new)
		return false;
	/* The guest writes its wish and then reads our index; we wrote our index and now read its wish: with a full
	 * barrier on both sides at least one of the two sees the other. */
	full_barrier();
	queue->signalled = new;
	if (!queue->event_index)
		return !(le16toh(fetch(queue->available->flags)) & AVAILABLE_NO_INTERRUPT);
	if (queue->fresh) {
		/* Whoever had the ring before may have used chains without a signal. */
		queue->fresh = false;
		return true;
	}
	event = le16toh(fetch(*used_event(queue)));
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

bool virtqueue_listen(struct virtqueue *queue)
{
	uint16_t index = queue->position;

	if (queue->event_index)
		put(*available_event(queue), htole16(index));
	else
		put(queue->used->flags, 0);
	full_barrier();
	return le16toh(fetch(queue->available->index)) != index;
}

void virtqueue_ignore(struct virtqueue *queue)
{
	/* With EVENT_IDX the index asked for stays behind, which asks for nothing. */
	if (!queue->event_index)
		put(queue->used->flags, htole16(USED_NO_NOTIFY));
}
