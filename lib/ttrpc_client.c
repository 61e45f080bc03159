/* The ttrpc client: a table of open calls by stream id, answered as their responses come. */
#include "lib/ttrpc_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "ttrpc.pb-c.h"

/* syscalls: sendto recvfrom close */

#define READ_SIZE 65536u
#define OUT_LIMIT (16u << 20)

struct open_call {
	struct ttrpc_client *client;
	struct open_call *next;
	uint32_t stream;
	const ProtobufCMessageDescriptor *output;
	struct loop_timer timer;
	ttrpc_answered answered;
	void *data;
};

struct ttrpc_client {
	struct loop *loop;
	struct loop_source source;
	int fd;
	struct buffer in;
	struct buffer out;
	uint32_t next_stream;
	int passed;	       /* a descriptor that goes with the frame at this place in `out`, -1 */
	size_t passed_at;
	void (*told_broken)(void *data);
	void *told_data;
	bool broken;
	struct loop_timer broken_timer; /* answers what is open once the connection has broken */
	struct open_call *calls;
};

static void answer(struct open_call *call, const struct ttrpc_result *result)
{
	struct open_call **link = &call->client->calls;

	while (*link != call)
		link = &(*link)->next;
	*link = call->next;
	loop_timer_clear(call->client->loop, &call->timer);
	call->answered(call->data, result);
	free(call);
}

static void answer_all(struct ttrpc_client *client, const char *message)
{
	const struct ttrpc_result result = {.code = TTRPC_UNAVAILABLE, .message = message};

	while (client->calls)
		answer(client->calls, &result);
}

static void broken_expired(struct loop_timer *timer)
{
	struct ttrpc_client *client = container_of(timer, struct ttrpc_client, broken_timer);
	void (*told)(void *data) = client->told_broken;

	answer_all(client, "the connection to the agent is closed");
	client->told_broken = NULL;
	if (told)
		told(client->told_data);
}

void ttrpc_client_tell_broken(struct ttrpc_client *client, void (*broken)(void *data), void *data)
{
	client->told_broken = broken;
	client->told_data = data;
}

/* Calls are answered from a timer of no delay, as this may have been found out inside ttrpc_client_call(). */
static void mark_broken(struct ttrpc_client *client)
{
	if (!client->broken)
		loop_remove(client->loop, &client->source);
	client->broken = true;
	loop_timer_set(client->loop, &client->broken_timer, 0, broken_expired);
}

/* As send(2). A descriptor goes with the first byte of its frame, and nothing that is before that. */
static ssize_t send_some(struct ttrpc_client *client)
{
	const uint8_t *bytes = buffer_bytes(&client->out);
	size_t length = buffer_length(&client->out);
	int status;

	if (client->passed < 0)
		return send(client->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (client->passed_at > 0) {
		ssize_t count = send(client->fd, bytes, client->passed_at, MSG_NOSIGNAL | MSG_DONTWAIT);

		client->passed_at -= count > 0 ? (size_t)count : 0;
		return count;
	}
	status = fd_send(client->fd, bytes, 1, &client->passed, 1);
	if (status < 0) {
		errno = -status;
		return -1;
	}
	fd_close(&client->passed);
	return 1;
}

static void flush(struct ttrpc_client *client)
{
	while (buffer_length(&client->out) > 0) {
		ssize_t count = send_some(client);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN)
			break;
		if (count < 0) {
			mark_broken(client);
			return;
		}
		buffer_consume(&client->out, (size_t)count);
	}
	loop_change(client->loop, &client->source, EPOLLIN | (buffer_length(&client->out) > 0 ? EPOLLOUT : 0));
}

static struct open_call *find_call(struct ttrpc_client *client, uint32_t stream)
{
	struct open_call *call = client->calls;

	while (call && call->stream != stream)
		call = call->next;
	return call;
}

static void handle_response(struct ttrpc_client *client, const struct ttrpc_header *header, const uint8_t *body)
{
	struct ttrpc_result result = {.code = TTRPC_INTERNAL, .message = "the agent's answer can't be decoded"};
	struct open_call *call = find_call(client, header->stream);
	ProtobufCMessage *message = NULL;
	Ttrpc__Response *response;

	/* A call that has timed out here is answered late, or never. */
	if (!call || header->type != TTRPC_RESPONSE)
		return;
	response = ttrpc__response__unpack(NULL, header->length, body);
	if (response && response->status && response->status->code != TTRPC_OK) {
		result.code = (enum ttrpc_code)response->status->code;
		result.message = response->status->message;
	} else if (response) {
		message = protobuf_c_message_unpack(call->output, NULL, response->payload.len, response->payload.data);
		if (message)
			result = (struct ttrpc_result){.code = TTRPC_OK, .message = "", .response = message};
	}
	answer(call, &result);
	if (message)
		protobuf_c_message_free_unpacked(message, NULL);
	if (response)
		ttrpc__response__free_unpacked(response, NULL);
}

static bool take_frame(struct ttrpc_client *client)
{
	struct ttrpc_header header;

	if (buffer_length(&client->in) < TTRPC_HEADER_SIZE)
		return false;
	header = ttrpc_header_decode(buffer_bytes(&client->in));
	if (header.length > TTRPC_BODY_MAX) {
		mark_broken(client);
		return false;
	}
	if (buffer_length(&client->in) < TTRPC_HEADER_SIZE + header.length)
		return false;
	handle_response(client, &header, buffer_bytes(&client->in) + TTRPC_HEADER_SIZE);
	buffer_consume(&client->in, TTRPC_HEADER_SIZE + header.length);
	return true;
}

static void client_ready(struct loop_source *source, uint32_t events)
{
	struct ttrpc_client *client = container_of(source, struct ttrpc_client, source);

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		uint8_t *room = buffer_reserve(&client->in, READ_SIZE);
		ssize_t count = room ? recv(client->fd, room, READ_SIZE, MSG_DONTWAIT) : 0;

		if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
			mark_broken(client);
			return;
		}
		if (count > 0)
			buffer_commit(&client->in, (size_t)count);
		while (!client->broken && take_frame(client))
			;
	}
	if (!client->broken)
		flush(client);
}

struct ttrpc_client *ttrpc_client_new(struct loop *loop, int fd)
{
	struct ttrpc_client *client = calloc(1, sizeof(*client));

	if (!client || fd_set_blocking(fd, false) < 0 || loop_add(loop, &client->source, fd, EPOLLIN, client_ready) < 0) {
		free(client);
		close(fd);
		return NULL;
	}
	client->loop = loop;
	client->fd = fd;
	client->passed = -1;
	client->next_stream = 1;
	buffer_init(&client->in, TTRPC_HEADER_SIZE + TTRPC_BODY_MAX + READ_SIZE);
	buffer_init(&client->out, OUT_LIMIT);
	return client;
}

void ttrpc_client_free(struct ttrpc_client *client)
{
	if (!client)
		return;
	if (!client->broken)
		loop_remove(client->loop, &client->source);
	client->broken = true;
	answer_all(client, "the connection to the agent was given up");
	loop_timer_clear(client->loop, &client->broken_timer);
	close(client->fd);
	fd_close(&client->passed);
	buffer_free(&client->in);
	buffer_free(&client->out);
	free(client);
}

bool ttrpc_client_broken(const struct ttrpc_client *client)
{
	return client->broken;
}

static void call_expired(struct loop_timer *timer)
{
	static const struct ttrpc_result result = {.code = TTRPC_DEADLINE_EXCEEDED, .message = "timeout"};

	answer(container_of(timer, struct open_call, timer), &result);
}

/* Queues the frame of a request. 0 or -errno with nothing queued. */
static int queue_request(struct ttrpc_client *client, uint32_t stream, const char *service, const char *method,
			 const ProtobufCMessage *message, uint64_t timeout)
{
	Ttrpc__Request request = TTRPC__REQUEST__INIT;
	struct ttrpc_header header = {.stream = stream, .type = TTRPC_REQUEST};
	size_t size = message ? protobuf_c_message_get_packed_size(message) : 0;
	cleanup_free uint8_t *payload = NULL;
	uint8_t *room;

	if (size > TTRPC_BODY_MAX)
		return -EMSGSIZE;
	payload = malloc(size + 1);
	if (!payload)
		return -ENOMEM;
	if (message)
		protobuf_c_message_pack(message, payload);
	request.service = (char *)service;
	request.method = (char *)method;
	request.payload.data = payload;
	request.payload.len = size;
	request.timeout_nano = (int64_t)timeout;
	size = ttrpc__request__get_packed_size(&request);
	if (size > TTRPC_BODY_MAX)
		return -EMSGSIZE;
	header.length = (uint32_t)size;
	room = buffer_reserve(&client->out, TTRPC_HEADER_SIZE + size);
	if (!room)
		return -errno;
	ttrpc_header_encode(room, &header);
	ttrpc__request__pack(&request, room + TTRPC_HEADER_SIZE);
	buffer_commit(&client->out, TTRPC_HEADER_SIZE + size);
	return 0;
}

int ttrpc_client_call(struct ttrpc_client *client, const ProtobufCServiceDescriptor *service, const char *method,
		      const ProtobufCMessage *request, uint64_t timeout, ttrpc_answered answered, void *data)
{
	const ProtobufCMethodDescriptor *described = protobuf_c_service_descriptor_get_method_by_name(service, method);
	struct open_call *call;
	int status = 0;

	if (!described)
		return -EINVAL;
	call = calloc(1, sizeof(*call));
	if (!call)
		return -ENOMEM;
	*call = (struct open_call){
		.client = client,
		.stream = client->next_stream,
		.output = described->output,
		.answered = answered,
		.data = data,
	};
	if (!client->broken)
		status = queue_request(client, call->stream, service->name, method, request, timeout);
	if (status < 0) {
		free(call);
		return status;
	}
	client->next_stream += 2;
	call->next = client->calls;
	client->calls = call;
	if (timeout > 0)
		loop_timer_set(client->loop, &call->timer, timeout, call_expired);
	if (client->broken)
		mark_broken(client);
	else
		flush(client);
	return 0;
}

int ttrpc_client_call_passing(struct ttrpc_client *client, const ProtobufCServiceDescriptor *service, const char *method,
			      const ProtobufCMessage *request, int fd, uint64_t timeout, ttrpc_answered answered, void *data)
{
	int status;

	if (client->passed >= 0)
		return -EBUSY;
	client->passed = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	client->passed_at = buffer_length(&client->out);
	if (client->passed < 0)
		return -errno;
	status = ttrpc_client_call(client, service, method, request, timeout, answered, data);
	if (status < 0)
		fd_close(&client->passed);
	return status;
}

struct waiting {
	bool done;
	ProtobufCMessage *response;
	const ProtobufCMessageDescriptor *output;
	enum ttrpc_code code;
	struct error *error;
};

/* A copy by way of its bytes: the result is gone once the callback returns. */
static ProtobufCMessage *copy_message(const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	cleanup_free uint8_t *bytes = malloc(size + 1);

	if (!bytes)
		return NULL;
	protobuf_c_message_pack(message, bytes);
	return protobuf_c_message_unpack(message->descriptor, NULL, size, bytes);
}

static void waiting_answered(void *data, const struct ttrpc_result *result)
{
	struct waiting *waiting = data;

	waiting->done = true;
	waiting->code = result->code;
	if (result->code != TTRPC_OK)
		error_set(waiting->error, EREMOTEIO, "%s", result->message);
	else
		waiting->response = copy_message(result->response);
}

int ttrpc_client_invoke(struct ttrpc_client *client, const ProtobufCServiceDescriptor *service, const char *method,
			const ProtobufCMessage *request, uint64_t timeout, ProtobufCMessage **response,
			enum ttrpc_code *code, struct error *error)
{
	struct waiting waiting = {.error = error};
	int status;

	status = ttrpc_client_call(client, service, method, request, timeout, waiting_answered, &waiting);
	if (status < 0)
		return error_errno(error, -status, "call %s", method);
	while (!waiting.done && status == 0)
		status = loop_step(client->loop);
	if (status < 0)
		return error_errno(error, -status, "wait for the answer to %s", method);
	if (code)
		*code = waiting.code;
	if (waiting.code != TTRPC_OK)
		return -EREMOTEIO;
	if (!waiting.response)
		return error_errno(error, ENOMEM, "answer to %s", method);
	if (response)
		*response = waiting.response;
	else
		protobuf_c_message_free_unpacked(waiting.response, NULL);
	return 0;
}
