/* The streams of a process. */
#include "runtime/streams.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/client.h"

/* The agent takes an empty exec_id for the container's first process. */
static char *exec_id(const struct streams *streams)
{
	return (char *)(streams->options.exec ? streams->options.exec : "");
}

/* Output ------------------------------------------------------------------------------------------------------- */

static void output_resume(struct stream_output *output);

static void output_arrived(struct stream_output *output, const void *bytes, size_t length)
{
	struct streams *streams = output->streams;

	streams->options.output(streams->options.data, (unsigned)(output - streams->outputs), bytes, length);
}

static void output_end(struct stream_output *output)
{
	struct streams *streams = output->streams;

	loop_remove(streams->options.loop, &output->source);
	fd_close(&output->fd);
	output->ended = true;
	streams->options.changed(streams->options.data);
}

static void output_readable(struct loop_source *source, uint32_t events)
{
	struct stream_output *output = container_of(source, struct stream_output, source);
	char data[STREAMS_CHUNK];
	ssize_t count = recv(output->fd, data, sizeof(data), MSG_DONTWAIT);

	(void)events;
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0)
		output_end(output);
	else
		output_arrived(output, data, (size_t)count);
}

static void output_answered(void *data, const struct ttrpc_result *result)
{
	const Grpc__ReadStreamResponse *response = (const void *)result->response;
	struct stream_output *output = data;

	output->asking = false;
	if (result->code != TTRPC_OK || response->data.len == 0) {
		output_end(output);
		return;
	}
	output_arrived(output, response->data.data, response->data.len);
	output_resume(output);
}

static void output_ask(struct stream_output *output)
{
	Grpc__ReadStreamRequest request = GRPC__READ_STREAM_REQUEST__INIT;

	request.container_id = (char *)output->streams->options.container;
	request.exec_id = exec_id(output->streams);
	request.len = STREAMS_CHUNK;
	if (session_start(output->streams->session, output->method, &request.base, output_answered, output) < 0)
		output_end(output);
	else
		output->asking = true;
}

/* Reads on, where nothing is in the way. */
static void output_resume(struct stream_output *output)
{
	if (output->ended || output->held || !output->streams->session)
		return;
	if (output->fd < 0 && !output->asking)
		output_ask(output);
	else if (output->fd >= 0 && output->source.fd < 0 &&
		 loop_add(output->streams->options.loop, &output->source, output->fd, EPOLLIN, output_readable) < 0)
		output_end(output);
}

void streams_hold(struct streams *streams, unsigned stream, bool held)
{
	struct stream_output *output = &streams->outputs[stream];

	output->held = held;
	if (held)
		loop_remove(streams->options.loop, &output->source);
	else
		output_resume(output);
}

/* Input -------------------------------------------------------------------------------------------------------- */

static bool input_has_room(const struct stream_input *input)
{
	return input->streams->options.by_calls ? input->writes < STREAMS_WRITES_MOST
						: !outlet_pending(&input->outlet);
}

/* Tells the caller, where it has changed, whether we take more. */
static void input_update(struct stream_input *input)
{
	const struct streams_options *options = &input->streams->options;
	bool wanted = input->open && !input->ended && input_has_room(input);

	if (wanted == input->wanted)
		return;
	input->wanted = wanted;
	options->wanted(options->data, wanted);
}

static void input_answered(void *data, const struct ttrpc_result *result)
{
	struct stream_input *input = data;

	input->writes--;
	/* The process has closed its stdin, or is gone: nobody reads. */
	if (result->code != TTRPC_OK)
		input->open = false;
	input_update(input);
}

static void input_close_by_call(struct stream_input *input)
{
	Grpc__CloseStdinRequest request = GRPC__CLOSE_STDIN_REQUEST__INIT;

	request.container_id = (char *)input->streams->options.container;
	request.exec_id = exec_id(input->streams);
	session_start(input->streams->session, "CloseStdin", &request.base, NULL, NULL);
}

static void input_write_by_call(struct stream_input *input, const void *data, size_t length)
{
	Grpc__WriteStreamRequest request = GRPC__WRITE_STREAM_REQUEST__INIT;

	request.container_id = (char *)input->streams->options.container;
	request.exec_id = exec_id(input->streams);
	request.data.data = (uint8_t *)data;
	request.data.len = length;
	if (session_start(input->streams->session, "WriteStdin", &request.base, input_answered, input) < 0)
		input->open = false;
	else
		input->writes++;
}

static void input_drained(struct outlet *outlet)
{
	struct stream_input *input = container_of(outlet, struct stream_input, outlet);

	if (input->ended)
		shutdown(outlet->fd, SHUT_WR);
	input_update(input);
}

static void input_broke(struct outlet *outlet)
{
	struct stream_input *input = container_of(outlet, struct stream_input, outlet);

	input->open = false;
	input_update(input);
}

static void input_end(struct stream_input *input)
{
	input->ended = true;
	if (input->streams->options.by_calls)
		input_close_by_call(input);
	else if (!outlet_pending(&input->outlet))
		shutdown(input->outlet.fd, SHUT_WR);
}

void streams_input(struct streams *streams, const void *bytes, size_t length)
{
	struct stream_input *input = &streams->input;

	if (length == 0)
		input_end(input);
	else if (streams->options.by_calls)
		input_write_by_call(input, bytes, length);
	else
		outlet_write(&input->outlet, bytes, length);
	input_update(input);
}

/* All of them -------------------------------------------------------------------------------------------------- */

static int connect_all(struct streams *streams, const char *directory, struct error *error)
{
	for (unsigned i = 0; i <= streams->output_count; i++) {
		int fd;

		if (i == 0 && !streams->options.interactive)
			continue;
		fd = proxy_connect_port(directory, STREAMS_PORT, &streams->ports[i], error);
		if (fd < 0)
			return error_wrap(error, "connect a stream");
		if (i == 0)
			outlet_open_socket(&streams->input.outlet, streams->options.loop, fd);
		else
			streams->outputs[i - 1].fd = fd;
	}
	return 0;
}

int streams_open(struct streams *streams, const struct streams_options *options, const char *directory,
		 struct error *error)
{
	static const char *const methods[STREAMS_OUTPUTS] = {"ReadStdout", "ReadStderr"};

	*streams = (struct streams){.options = *options, .output_count = options->terminal ? 1 : STREAMS_OUTPUTS};
	streams->input.streams = streams;
	streams->input.outlet.drained = input_drained;
	streams->input.outlet.broke = input_broke;
	for (unsigned i = 0; i < STREAMS_OUTPUTS; i++) {
		struct stream_output *output = &streams->outputs[i];

		output->streams = streams;
		output->method = methods[i];
		output->fd = output->source.fd = -1;
		output->ended = i >= streams->output_count;
	}
	if (options->by_calls)
		return 0;
	return connect_all(streams, directory, error);
}

int streams_start(struct streams *streams, struct session *session, struct error *error)
{
	if (ttrpc_client_broken(session->client))
		return error_set(error, EPIPE, "the connection to the agent is broken");
	streams->session = session;
	for (unsigned i = 0; i < streams->output_count; i++)
		output_resume(&streams->outputs[i]);
	streams->input.open = streams->options.interactive;
	if (!streams->options.interactive && streams->options.by_calls && !streams->options.terminal)
		input_close_by_call(&streams->input);
	input_update(&streams->input);
	return 0;
}

bool streams_ended(const struct streams *streams)
{
	for (unsigned i = 0; i < streams->output_count; i++)
		if (!streams->outputs[i].ended)
			return false;
	return true;
}

void streams_close(struct streams *streams)
{
	if (!streams->options.loop)
		return;
	outlet_close(&streams->input.outlet);
	for (unsigned i = 0; i < streams->output_count; i++) {
		loop_remove(streams->options.loop, &streams->outputs[i].source);
		fd_close(&streams->outputs[i].fd);
	}
	streams->options.loop = NULL;
}
