/* The ttrpc server.
 *
 * A connection reads frames into `in`, makes a call of each request, and queues answers in `out`, which is written at
 * once where the socket takes it. Two bounds keep a client from filling memory: while more than OUT_HIGH bytes wait to
 * be read by it, or CALLS_MAX of its calls are open, no further request is taken from its socket.
 *
 * A connection is only freed from its own event, never while a handler runs: an error on the way marks it broken, and
 * the socket's EPOLLHUP or the end of the event's own function does the rest.
 */
#include "lib/ttrpc_server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/message_text.h"
#include "lib/utf8.h"
#include "ttrpc.pb-c.h"

/* syscalls: sendto recvfrom close */

#define READ_FIRST 2048u /* what most requests fit in: the memory for it is kept */
#define READ_SIZE 65536u
#define OUT_HIGH (1u << 20)
#define OUT_LIMIT (16u << 20)
#define CALLS_MAX 1024u
/* A request's decoded form may be larger than its bytes, up to this. */
#define REQUEST_MEMORY (16u << 20)
#define MESSAGE_SIZE 1024

struct ttrpc_connection {
	struct ttrpc_server *server;
	struct ttrpc_connection *next;
	struct loop_source source;
	struct buffer in;
	struct buffer out;
	size_t skip; /* bytes of a frame that is too large, still to be dropped */
	uint32_t skip_stream;
	bool broken; /* nothing can be written any more */
	bool ended;  /* the client sends nothing more */
	struct ttrpc_passed passed; /* what came with the frame that is being received */
	unsigned call_count;
	struct ttrpc_call *calls;
	struct ttrpc_call *answered; /* and not settled yet; the last one first */
	uint64_t queued;	     /* bytes that were ever put into `out` */
};

void ttrpc_server_init(struct ttrpc_server *server, struct loop *loop, const struct ttrpc_service *const *services,
		       void *context)
{
	*server = (struct ttrpc_server){.loop = loop, .services = services, .context = context};
}

static void call_release(struct ttrpc_call *call)
{
	arena_free(&call->arena);
	free(call);
}

/* It is no longer open. */
static void call_unlink(struct ttrpc_call *call)
{
	struct ttrpc_call **link = &call->connection->calls;

	while (*link != call)
		link = &(*link)->next;
	*link = call->next;
	call->connection->call_count--;
	loop_timer_clear(call->server->loop, &call->deadline);
}

static void call_free(struct ttrpc_call *call)
{
	call_unlink(call);
	call_release(call);
}

/* Settles answered calls from `link` on. */
static void settle(struct ttrpc_call **link, bool lost)
{
	while (*link) {
		struct ttrpc_call *call = *link;

		*link = call->next;
		call->settled(call, lost);
		call_release(call);
	}
}

static void call_cancel(struct ttrpc_call *call)
{
	if (call->cancelled)
		call->cancelled(call);
}

static void forget_passed(struct ttrpc_connection *connection)
{
	if (connection->server->receiver)
		connection->server->receiver->forget(&connection->passed);
}

static void connection_free(struct ttrpc_connection *connection)
{
	struct ttrpc_server *server = connection->server;
	struct ttrpc_connection **link = &server->connections;

	connection->broken = true;
	while (connection->calls) {
		struct ttrpc_call *call = connection->calls;

		call_cancel(call);
		call_free(call);
	}
	settle(&connection->answered, true);
	while (*link != connection)
		link = &(*link)->next;
	*link = connection->next;
	if (connection->source.fd >= 0) {
		int fd = connection->source.fd;

		loop_remove(server->loop, &connection->source);
		close(fd);
	}
	forget_passed(connection);
	if (server->disconnected)
		server->disconnected(server, connection);
	buffer_free(&connection->in);
	buffer_free(&connection->out);
	free(connection);
	if (!server->connections && server->emptied)
		server->emptied(server);
}

/* What the connection is ready to do next, told to epoll. */
static void watch(struct ttrpc_connection *connection)
{
	bool full = buffer_length(&connection->out) > OUT_HIGH || connection->call_count >= CALLS_MAX;
	uint32_t events = 0;

	if (!full && !connection->ended)
		events |= EPOLLIN;
	if (buffer_length(&connection->out) > 0)
		events |= EPOLLOUT;
	loop_change(connection->server->loop, &connection->source, events);
}

static void settle_sent(struct ttrpc_connection *connection)
{
	uint64_t sent = connection->queued - buffer_length(&connection->out);
	struct ttrpc_call **link = &connection->answered;

	while (*link && (*link)->answer_end > sent)
		link = &(*link)->next;
	settle(link, false);
}

static void flush(struct ttrpc_connection *connection)
{
	while (!connection->broken && buffer_length(&connection->out) > 0) {
		ssize_t count = send(connection->source.fd, buffer_bytes(&connection->out),
				     buffer_length(&connection->out), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno != EAGAIN)
			connection->broken = true;
		if (count <= 0)
			break;
		buffer_consume(&connection->out, (size_t)count);
	}
	settle_sent(connection);
	/* A socket that refuses writes reports EPOLLHUP or EPOLLERR next, and that event frees the connection. */
	if (connection->broken)
		shutdown(connection->source.fd, SHUT_RDWR);
	watch(connection);
}

static size_t put_varint(uint8_t *to, uint64_t value)
{
	size_t used = 0;

	while (value >= 0x80) {
		to[used++] = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	to[used++] = (uint8_t)value;
	return used;
}

/* Ends what has been put into `out`. */
static void commit(struct ttrpc_connection *connection, size_t length)
{
	buffer_commit(&connection->out, length);
	connection->queued += length;
}

/* Queues a ttrpc.Response that only has a status. */
static void send_status(struct ttrpc_connection *connection, uint32_t stream, enum ttrpc_code code, const char *text)
{
	Ttrpc__Status status = TTRPC__STATUS__INIT;
	Ttrpc__Response response = TTRPC__RESPONSE__INIT;
	struct ttrpc_header header = {.stream = stream, .type = TTRPC_RESPONSE};
	uint8_t *room;

	status.code = (int32_t)code;
	status.message = (char *)text;
	response.status = &status;
	header.length = (uint32_t)ttrpc__response__get_packed_size(&response);
	room = buffer_reserve(&connection->out, TTRPC_HEADER_SIZE + header.length);
	if (!room) {
		connection->broken = true;
		return;
	}
	ttrpc_header_encode(room, &header);
	ttrpc__response__pack(&response, room + TTRPC_HEADER_SIZE);
	commit(connection, TTRPC_HEADER_SIZE + header.length);
}

/* Queues a ttrpc.Response with a payload. The envelope is two fields, written here so that the payload is packed right
 * where it is sent from: reads of a stream are the bulk of what goes out. */
static void send_payload(struct ttrpc_connection *connection, uint32_t stream, const ProtobufCMessage *payload)
{
	static const uint8_t status_ok[] = {0x0a, 0x00};	      /* field 1, an empty Status */
	uint8_t prefix[sizeof(status_ok) + 1 + 10] = {0x0a, 0x00, 0x12}; /* field 2, length-delimited */
	size_t size = payload ? protobuf_c_message_get_packed_size(payload) : 0;
	size_t prefix_size = sizeof(status_ok) + (size ? 1 + put_varint(prefix + sizeof(status_ok) + 1, size) : 0);
	struct ttrpc_header header = {.stream = stream, .type = TTRPC_RESPONSE};
	uint8_t *room;

	if (size > TTRPC_BODY_MAX - prefix_size) {
		send_status(connection, stream, TTRPC_INVALID_ARGUMENT, "the response is larger than 4 MiB");
		return;
	}
	header.length = (uint32_t)(prefix_size + size);
	room = buffer_reserve(&connection->out, TTRPC_HEADER_SIZE + header.length);
	if (!room) {
		connection->broken = true;
		return;
	}
	ttrpc_header_encode(room, &header);
	memcpy(room + TTRPC_HEADER_SIZE, prefix, prefix_size);
	if (size)
		protobuf_c_message_pack(payload, room + TTRPC_HEADER_SIZE + prefix_size);
	commit(connection, TTRPC_HEADER_SIZE + header.length);
}

bool ttrpc_call_reply(struct ttrpc_call *call, const ProtobufCMessage *response)
{
	struct ttrpc_connection *connection = call->connection;

	send_payload(connection, call->stream, response);
	call_unlink(call);
	if (call->settled) {
		call->answer_end = connection->broken ? UINT64_MAX : connection->queued;
		call->next = connection->answered;
		connection->answered = call;
	} else {
		call_release(call);
	}
	flush(connection);
	return connection->answered != call;
}

void ttrpc_call_fail(struct ttrpc_call *call, enum ttrpc_code code, const char *format, ...)
{
	struct ttrpc_connection *connection = call->connection;
	char text[MESSAGE_SIZE], sent[UTF8_COPY_SIZE(MESSAGE_SIZE)];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	/* What was cut may have been in the middle of a character, and names of files are anything. */
	utf8_copy(sent, text, strlen(text));
	send_status(connection, call->stream, code, sent);
	call_free(call);
	flush(connection);
}

const char *ttrpc_call_metadata(const struct ttrpc_call *call, const char *key)
{
	for (size_t i = 0; i < call->envelope->n_metadata; i++)
		if (strcmp(call->envelope->metadata[i]->key, key) == 0)
			return call->envelope->metadata[i]->value;
	return NULL;
}

static void deadline_passed(struct loop_timer *timer)
{
	struct ttrpc_call *call = container_of(timer, struct ttrpc_call, deadline);

	call_cancel(call);
	ttrpc_call_fail(call, TTRPC_DEADLINE_EXCEEDED, "timeout");
}

static const struct ttrpc_service *find_service(const struct ttrpc_server *server, const char *name)
{
	for (size_t i = 0; server->services[i]; i++)
		if (strcmp(server->services[i]->descriptor->name, name) == 0)
			return server->services[i];
	return NULL;
}

static const struct ttrpc_method *find_method(const struct ttrpc_service *service, const char *name)
{
	for (const struct ttrpc_method *method = service->methods; method->name; method++)
		if (strcmp(method->name, name) == 0)
			return method;
	return NULL;
}

/* Finds the handler of a request and decodes its payload. The handler, or NULL: then the call has been answered. */
static const struct ttrpc_method *resolve(struct ttrpc_call *call, const Ttrpc__Request *request)
{
	const struct ttrpc_service *service = find_service(call->server, request->service);
	const ProtobufCMethodDescriptor *described;
	const struct ttrpc_method *method;

	if (!service) {
		ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "%s service does not exist", request->service);
		return NULL;
	}
	described = protobuf_c_service_descriptor_get_method_by_name(service->descriptor, request->method);
	if (!described) {
		ttrpc_call_fail(call, TTRPC_UNIMPLEMENTED, "%s method", request->method);
		return NULL;
	}
	method = find_method(service, request->method);
	if (!method) {
		ttrpc_call_fail(call, TTRPC_NOT_FOUND, "/%s/%s is not supported", request->service, request->method);
		return NULL;
	}
	call->method = method->name;
	call->output = described->output;
	call->request = protobuf_c_message_unpack(described->input, &call->arena.allocator, request->payload.len,
						  request->payload.data);
	if (!call->request) {
		bool exhausted = call->arena.exhausted;

		ttrpc_call_fail(call, exhausted ? TTRPC_RESOURCE_EXHAUSTED : TTRPC_UNKNOWN, "%s: the request %s",
				method->name, exhausted ? "needs too much memory" : "can't be decoded");
		return NULL;
	}
	if (!service->any_bytes && !message_text_valid(call->request)) {
		ttrpc_call_fail(call, TTRPC_UNKNOWN, "%s: the request can't be decoded: a string in it isn't UTF-8",
				method->name);
		return NULL;
	}
	return method;
}

static void handle_request(struct ttrpc_connection *connection, const struct ttrpc_header *header, const uint8_t *body)
{
	struct ttrpc_call *call = calloc(1, sizeof(*call));
	const struct ttrpc_method *method;
	Ttrpc__Request *request;

	if (!call) {
		send_status(connection, header->stream, TTRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	call->server = connection->server;
	call->connection = connection;
	call->stream = header->stream;
	call->next = connection->calls;
	connection->calls = call;
	connection->call_count++;
	arena_init(&call->arena, ARENA_NO_FORK, REQUEST_MEMORY);
	request = ttrpc__request__unpack(&call->arena.allocator, header->length, body);
	if (!request) {
		bool exhausted = call->arena.exhausted;

		ttrpc_call_fail(call, exhausted ? TTRPC_RESOURCE_EXHAUSTED : TTRPC_INVALID_ARGUMENT,
				exhausted ? "out of memory" : "the request can't be decoded");
		return;
	}
	if (!message_text_valid(&request->base)) {
		ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "the request can't be decoded: a string in it isn't UTF-8");
		return;
	}
	call->envelope = request;
	method = resolve(call, request);
	if (!method)
		return;
	if (request->timeout_nano > 0)
		loop_timer_set(call->server->loop, &call->deadline, (uint64_t)request->timeout_nano, deadline_passed);
	method->handle(call);
}

static void handle_frame(struct ttrpc_connection *connection, const struct ttrpc_header *header, const uint8_t *body)
{
	if (header->type == TTRPC_DATA)
		send_status(connection, header->stream, TTRPC_INVALID_ARGUMENT, "Stream is no longer active");
	else if (header->type != TTRPC_REQUEST)
		return;
	else if (header->stream % 2 == 0)
		send_status(connection, header->stream, TTRPC_INVALID_ARGUMENT, "stream id must be odd");
	else
		handle_request(connection, header, body);
}

/* Drops what belongs to a frame that was too large, and answers it when all of it has come. */
static void skip_oversized(struct ttrpc_connection *connection)
{
	size_t length = buffer_length(&connection->in);

	if (length > connection->skip)
		length = connection->skip;
	buffer_consume(&connection->in, length);
	connection->skip -= length;
	if (connection->skip == 0)
		send_status(connection, connection->skip_stream, TTRPC_INVALID_ARGUMENT,
			    "the message is larger than 4 MiB");
}

/* Takes one frame from `in`. False where it isn't all there yet. */
static bool take_frame(struct ttrpc_connection *connection)
{
	struct ttrpc_header header;

	if (connection->skip > 0) {
		skip_oversized(connection);
		return connection->skip == 0;
	}
	if (buffer_length(&connection->in) < TTRPC_HEADER_SIZE)
		return false;
	header = ttrpc_header_decode(buffer_bytes(&connection->in));
	if (header.length > TTRPC_BODY_MAX) {
		buffer_consume(&connection->in, TTRPC_HEADER_SIZE);
		connection->skip = header.length;
		connection->skip_stream = header.stream;
		forget_passed(connection);
		return true;
	}
	if (buffer_length(&connection->in) < TTRPC_HEADER_SIZE + header.length)
		return false;
	handle_frame(connection, &header, buffer_bytes(&connection->in) + TTRPC_HEADER_SIZE);
	buffer_consume(&connection->in, TTRPC_HEADER_SIZE + header.length);
	forget_passed(connection);
	return true;
}

struct ttrpc_passed *ttrpc_call_passed(struct ttrpc_call *call)
{
	return &call->connection->passed;
}

/* How much to receive at once: of a frame that has begun, what is missing. */
static size_t next_length(const struct ttrpc_connection *connection)
{
	size_t least = connection->server->receiver ? 0 : READ_FIRST;
	size_t held = buffer_length(&connection->in), missing;

	if (connection->skip > 0)
		return least || connection->skip > READ_SIZE ? READ_SIZE : connection->skip;
	if (held < TTRPC_HEADER_SIZE)
		return least ? least : TTRPC_HEADER_SIZE - held;
	missing = TTRPC_HEADER_SIZE + ttrpc_header_decode(buffer_bytes(&connection->in)).length - held;
	return missing < least ? least : missing < READ_SIZE ? missing : READ_SIZE;
}

static ssize_t receive_bytes(struct ttrpc_connection *connection, uint8_t *room, size_t length)
{
	const struct ttrpc_receiver *receiver = connection->server->receiver;
	bool first = buffer_length(&connection->in) == 0 && connection->skip == 0;

	return receiver ? receiver->receive(&connection->passed, connection->source.fd, room, length, first)
			: recv(connection->source.fd, room, length, MSG_DONTWAIT);
}

/* False where the connection has to go. */
static bool receive(struct ttrpc_connection *connection)
{
	size_t length = next_length(connection);
	uint8_t *room = buffer_reserve(&connection->in, length);
	ssize_t count;

	if (!room)
		return false;
	count = receive_bytes(connection, room, length);
	if (count < 0)
		return errno == EAGAIN || errno == EINTR;
	buffer_commit(&connection->in, (size_t)count);
	connection->ended = count == 0;
	while (!connection->broken && take_frame(connection))
		;
	return true;
}

static void connection_ready(struct loop_source *source, uint32_t events)
{
	struct ttrpc_connection *connection = container_of(source, struct ttrpc_connection, source);
	bool alive = true;

	if (events & EPOLLIN)
		alive = receive(connection);
	else if (events & (EPOLLHUP | EPOLLERR))
		alive = false;
	if (alive)
		flush(connection);
	/* Whoever sends nothing more isn't waiting for an answer that hasn't been made yet. */
	if (!alive || connection->broken || (connection->ended && buffer_length(&connection->out) == 0))
		connection_free(connection);
}

int ttrpc_server_serve(struct ttrpc_server *server, int fd)
{
	struct ttrpc_connection *connection = calloc(1, sizeof(*connection));
	int status = connection ? fd_set_blocking(fd, false) : -ENOMEM;

	if (status == 0)
		status = loop_add(server->loop, &connection->source, fd, EPOLLIN, connection_ready);
	if (status < 0) {
		free(connection);
		close(fd);
		return status;
	}
	connection->server = server;
	buffer_init(&connection->in, TTRPC_HEADER_SIZE + TTRPC_BODY_MAX + READ_SIZE);
	buffer_init(&connection->out, OUT_LIMIT);
	connection->next = server->connections;
	server->connections = connection;
	return 0;
}

void ttrpc_server_destroy(struct ttrpc_server *server)
{
	while (server->connections)
		connection_free(server->connections);
}
