/* Streams by ReadStdout, ReadStderr, WriteStdin and CloseStdin of the agent's. */
#include <errno.h>

#include "agent.pb-c.h"
#include "lib/cleanup.h"
#include "runtime/streams_way.h"

/* The agent takes an empty exec_id for the container's first process. */
static char *exec_id(const struct streams *streams)
{
	return (char *)(streams->options.exec ? streams->options.exec : "");
}

/* Output ------------------------------------------------------------------------------------------------------- */

static void read_on(struct stream_output *output);

static void output_answered(void *data, const struct ttrpc_result *result)
{
	const Grpc__ReadStreamResponse *response = (const void *)result->response;
	struct stream_output *output = data;

	output->asking = false;
	if (result->code != TTRPC_OK || response->data.len == 0) {
		streams_output_end(output);
		return;
	}
	streams_output_came(output, response->data.data, response->data.len);
	if (!output->held)
		read_on(output);
}

/* A call that is open when it rests brings what it brings. */
static void read_on(struct stream_output *output)
{
	static const char *const methods[STREAMS_OUTPUTS] = {"ReadStdout", "ReadStderr"};
	Grpc__ReadStreamRequest request = GRPC__READ_STREAM_REQUEST__INIT;
	struct streams *streams = output->streams;

	if (output->asking)
		return;
	request.container_id = (char *)streams->options.container;
	request.exec_id = exec_id(streams);
	request.len = STREAMS_CHUNK;
	if (session_start(streams->session, methods[output - streams->outputs], &request.base, output_answered, output) < 0)
		streams_output_end(output);
	else
		output->asking = true;
}

/* Input -------------------------------------------------------------------------------------------------------- */

static bool has_room(const struct stream_input *input)
{
	return input->writes < STREAMS_WRITES_MOST;
}

static void input_answered(void *data, const struct ttrpc_result *result)
{
	struct stream_input *input = data;

	input->writes--;
	/* The process has closed its stdin, or is gone: nobody reads. */
	if (result->code != TTRPC_OK)
		input->open = false;
	streams_input_update(input);
}

static void end_input(struct stream_input *input)
{
	Grpc__CloseStdinRequest request = GRPC__CLOSE_STDIN_REQUEST__INIT;

	request.container_id = (char *)input->streams->options.container;
	request.exec_id = exec_id(input->streams);
	session_start(input->streams->session, "CloseStdin", &request.base, NULL, NULL);
}

static void write_input(struct stream_input *input, const void *data, size_t length)
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

/* All of them -------------------------------------------------------------------------------------------------- */

static int start(struct streams *streams, struct error *error)
{
	(void)error;
	if (!streams->options.interactive && !streams->options.terminal)
		end_input(&streams->input);
	return 0;
}

const struct streams_way streams_by_calls = {
	.start = start,
	.read = read_on,
	.has_room = has_room,
	.write = write_input,
	.end = end_input,
	.wait = streams_wait_agent,
};
