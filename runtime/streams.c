/* The streams of a process. */
#include "runtime/streams.h"

#include <errno.h>

#include "lib/cleanup.h"
#include "runtime/process_calls.h"
#include "runtime/streams_way.h"

static const struct streams_way *const ways[] = {
	[IO_STREAMS] = &streams_by_connections,
	[IO_CALLS] = &streams_by_calls,
	[IO_SESSIONS] = &streams_by_sessions,
};

/* Output ------------------------------------------------------------------------------------------------------- */

void streams_output_came(struct stream_output *output, const void *bytes, size_t length)
{
	struct streams *streams = output->streams;

	streams->options.output(streams->options.data, (unsigned)(output - streams->outputs), bytes, length);
}

void streams_output_end(struct stream_output *output)
{
	struct streams *streams = output->streams;

	if (output->ended)
		return;
	output->ended = true;
	streams->options.changed(streams->options.data);
}

/* Reads on, where nothing is in the way. */
static void output_resume(struct stream_output *output)
{
	if (!output->ended && !output->held && output->streams->session)
		output->streams->way->read(output);
}

void streams_hold(struct streams *streams, unsigned stream, bool held)
{
	struct stream_output *output = &streams->outputs[stream];

	output->held = held;
	if (!held)
		output_resume(output);
	else if (!output->ended && streams->way->rest)
		streams->way->rest(output);
}

/* Input -------------------------------------------------------------------------------------------------------- */

/* Tells the caller, where it has changed, whether we take more. */
void streams_input_update(struct stream_input *input)
{
	const struct streams_options *options = &input->streams->options;
	bool wanted = input->open && !input->ended && input->streams->way->has_room(input);

	if (wanted == input->wanted)
		return;
	input->wanted = wanted;
	options->wanted(options->data, wanted);
}

void streams_input_lost(struct stream_input *input)
{
	input->open = false;
	streams_input_update(input);
}

void streams_input(struct streams *streams, const void *bytes, size_t length)
{
	struct stream_input *input = &streams->input;

	input->ended |= length == 0;
	if (length == 0)
		streams->way->end(input);
	else
		streams->way->write(input, bytes, length);
	streams_input_update(input);
}

/* The exit ----------------------------------------------------------------------------------------------------- */

static void exit_answered(void *data, const struct ttrpc_result *result)
{
	struct streams *streams = data;

	streams->told(streams->options.data, result->code == TTRPC_OK ? process_exit_status(result) & 0xff : -1,
		      result->message);
}

void streams_wait_agent(struct streams *streams)
{
	const struct process_id process = {
		.session = streams->session,
		.container = streams->options.container,
		.exec = streams->options.exec ? streams->options.exec : "",
	};

	if (process_wait(&process, exit_answered, streams) < 0)
		streams->told(streams->options.data, -1, "the agent can't be asked for the exit");
}

void streams_wait(struct streams *streams, streams_told told)
{
	streams->told = told;
	streams->way->wait(streams);
}

/* All of them -------------------------------------------------------------------------------------------------- */

int streams_open(struct streams *streams, const struct streams_options *options, const char *directory,
		 struct error *error)
{
	*streams = (struct streams){
		.options = *options,
		.way = ways[options->io],
		.output_count = options->terminal ? 1 : STREAMS_OUTPUTS,
	};
	streams->input.streams = streams;
	for (unsigned i = 0; i < STREAMS_OUTPUTS; i++) {
		struct stream_output *output = &streams->outputs[i];

		output->streams = streams;
		output->fd = output->source.fd = -1;
		output->ended = i >= streams->output_count;
	}
	return streams->way->open ? streams->way->open(streams, directory, error) : 0;
}

int streams_start(struct streams *streams, struct session *session, struct error *error)
{
	int status;

	if (!session->mends && ttrpc_client_broken(session->client))
		return error_set(error, EPIPE, "the connection to the agent is broken");
	streams->session = session;
	status = streams->way->start ? streams->way->start(streams, error) : 0;
	if (status < 0)
		return status;
	for (unsigned i = 0; i < streams->output_count; i++)
		output_resume(&streams->outputs[i]);
	streams->input.open = streams->options.interactive;
	streams_input_update(&streams->input);
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
	if (streams->way->close)
		streams->way->close(streams);
	streams->options.loop = NULL;
}
