/* The streams of a container. */
#include "runtime/streams.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/client.h"

static void changed(struct streams *streams)
{
	streams->options.changed(streams->options.data);
}

/* Output ------------------------------------------------------------------------------------------------------- */

static void output_resume(struct stream_output *output);

static void output_end(struct stream_output *output)
{
	loop_remove(output->streams->options.loop, &output->source);
	fd_close(&output->fd);
	output->ended = true;
	changed(output->streams);
}

static void output_drained(struct outlet *outlet)
{
	struct stream_output *output = container_of(outlet, struct stream_output, outlet);

	output_resume(output);
	changed(output->streams);
}

static void output_broke(struct outlet *outlet)
{
	changed(container_of(outlet, struct stream_output, outlet)->streams);
}

static void output_readable(struct loop_source *source, uint32_t events)
{
	struct stream_output *output = container_of(source, struct stream_output, source);
	char data[STREAMS_CHUNK];
	ssize_t count = recv(output->fd, data, sizeof(data), MSG_DONTWAIT);

	(void)events;
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0) {
		output_end(output);
		return;
	}
	outlet_write(&output->outlet, data, (size_t)count);
	if (outlet_pending(&output->outlet))
		loop_remove(output->streams->options.loop, source);
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
	outlet_write(&output->outlet, response->data.data, response->data.len);
	output_resume(output);
}

static void output_ask(struct stream_output *output)
{
	Grpc__ReadStreamRequest request = GRPC__READ_STREAM_REQUEST__INIT;

	request.container_id = (char *)output->streams->options.container;
	request.len = STREAMS_CHUNK;
	if (session_start(output->streams->session, output->method, &request.base, output_answered, output) < 0)
		output_end(output);
	else
		output->asking = true;
}

/* Reads on, where nothing is in the way. */
static void output_resume(struct stream_output *output)
{
	if (output->ended || outlet_pending(&output->outlet))
		return;
	if (output->fd < 0 && !output->asking)
		output_ask(output);
	else if (output->fd >= 0 && output->source.fd < 0 &&
		 loop_add(output->streams->options.loop, &output->source, output->fd, EPOLLIN, output_readable) < 0)
		output_end(output);
}

/* Input -------------------------------------------------------------------------------------------------------- */

static void input_answered(void *data, const struct ttrpc_result *result)
{
	struct stream_input *input = data;

	input->writes--;
	/* The process has closed its stdin, or is gone: nobody reads. */
	if (result->code != TTRPC_OK)
		inlet_close(&input->inlet);
	else
		inlet_want(&input->inlet, true);
}

static void input_close_by_call(struct stream_input *input)
{
	Grpc__CloseStdinRequest request = GRPC__CLOSE_STDIN_REQUEST__INIT;

	request.container_id = (char *)input->streams->options.container;
	session_start(input->streams->session, "CloseStdin", &request.base, NULL, NULL);
}

static void input_write_by_call(struct stream_input *input, const void *data, size_t length)
{
	Grpc__WriteStreamRequest request = GRPC__WRITE_STREAM_REQUEST__INIT;

	request.container_id = (char *)input->streams->options.container;
	request.data.data = (uint8_t *)data;
	request.data.len = length;
	if (session_start(input->streams->session, "WriteStdin", &request.base, input_answered, input) < 0) {
		inlet_close(&input->inlet);
		return;
	}
	if (++input->writes >= STREAMS_WRITES_MOST)
		inlet_want(&input->inlet, false);
}

static void input_drained(struct outlet *outlet)
{
	struct stream_input *input = container_of(outlet, struct stream_input, outlet);

	if (input->ended)
		shutdown(outlet->fd, SHUT_WR);
	else
		inlet_want(&input->inlet, true);
}

static void input_broke(struct outlet *outlet)
{
	inlet_close(&container_of(outlet, struct stream_input, outlet)->inlet);
}

static void input_arrived(struct inlet *inlet, const void *data, size_t length)
{
	struct stream_input *input = container_of(inlet, struct stream_input, inlet);

	input->ended = length == 0;
	if (input->streams->options.by_calls) {
		if (input->ended)
			input_close_by_call(input);
		else
			input_write_by_call(input, data, length);
		return;
	}
	if (!input->ended)
		outlet_write(&input->outlet, data, length);
	if (outlet_pending(&input->outlet))
		inlet_want(inlet, false);
	else if (input->ended)
		shutdown(input->outlet.fd, SHUT_WR);
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
	static const char *const methods[] = {"ReadStdout", "ReadStderr"};

	*streams = (struct streams){.options = *options, .output_count = options->terminal ? 1 : 2};
	streams->input.streams = streams;
	inlet_open(&streams->input.inlet, options->loop, STDIN_FILENO, input_arrived);
	for (unsigned i = 0; i < streams->output_count; i++) {
		struct stream_output *output = &streams->outputs[i];

		output->streams = streams;
		output->method = methods[i];
		output->fd = output->source.fd = -1;
		outlet_open_shared(&output->outlet, options->loop, i == 0 ? STDOUT_FILENO : STDERR_FILENO);
		output->outlet.drained = output_drained;
		output->outlet.broke = output_broke;
	}
	if (options->by_calls)
		return 0;
	return connect_all(streams, directory, error);
}

int streams_start(struct streams *streams, struct session *session, struct error *error)
{
	streams->session = session;
	streams->input.outlet.drained = input_drained;
	streams->input.outlet.broke = input_broke;
	if (ttrpc_client_broken(session->client))
		return error_set(error, EPIPE, "the connection to the agent is broken");
	for (unsigned i = 0; i < streams->output_count; i++)
		output_resume(&streams->outputs[i]);
	if (streams->options.interactive)
		inlet_want(&streams->input.inlet, true);
	else if (streams->options.by_calls && !streams->options.terminal)
		input_close_by_call(&streams->input);
	return 0;
}

bool streams_ended(const struct streams *streams)
{
	for (unsigned i = 0; i < streams->output_count; i++)
		if (!streams->outputs[i].ended)
			return false;
	return true;
}

bool streams_written(const struct streams *streams)
{
	for (unsigned i = 0; i < streams->output_count; i++)
		if (outlet_pending(&streams->outputs[i].outlet))
			return false;
	return streams_ended(streams);
}

int streams_broken(const struct streams *streams)
{
	for (unsigned i = 0; i < streams->output_count; i++)
		if (streams->outputs[i].outlet.broken)
			return streams->outputs[i].outlet.broken;
	return 0;
}

void streams_close(struct streams *streams)
{
	if (!streams->options.loop)
		return;
	inlet_close(&streams->input.inlet);
	outlet_close(&streams->input.outlet);
	for (unsigned i = 0; i < streams->output_count; i++) {
		loop_remove(streams->options.loop, &streams->outputs[i].source);
		fd_close(&streams->outputs[i].fd);
		outlet_close(&streams->outputs[i].outlet);
	}
	streams->options.loop = NULL;
}
