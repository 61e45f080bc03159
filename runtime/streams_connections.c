/* Each stream over a vsock connection of its own, which the process is made with. */
#include <errno.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/client.h"
#include "runtime/streams_way.h"

/* Output ------------------------------------------------------------------------------------------------------- */

static void output_end(struct stream_output *output)
{
	loop_remove(output->streams->options.loop, &output->source);
	fd_close(&output->fd);
	streams_output_end(output);
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
		streams_output_came(output, data, (size_t)count);
}

static void read_on(struct stream_output *output)
{
	if (output->source.fd < 0 &&
	    loop_add(output->streams->options.loop, &output->source, output->fd, EPOLLIN, output_readable) < 0)
		output_end(output);
}

static void rest(struct stream_output *output)
{
	loop_remove(output->streams->options.loop, &output->source);
}

/* Input -------------------------------------------------------------------------------------------------------- */

static bool has_room(const struct stream_input *input)
{
	return !outlet_pending(&input->outlet);
}

static void input_drained(struct outlet *outlet)
{
	struct stream_input *input = container_of(outlet, struct stream_input, outlet);

	if (input->ended)
		shutdown(outlet->fd, SHUT_WR);
	streams_input_update(input);
}

static void input_broke(struct outlet *outlet)
{
	streams_input_lost(container_of(outlet, struct stream_input, outlet));
}

static void write_input(struct stream_input *input, const void *bytes, size_t length)
{
	outlet_write(&input->outlet, bytes, length);
}

static void end_input(struct stream_input *input)
{
	if (!outlet_pending(&input->outlet))
		shutdown(input->outlet.fd, SHUT_WR);
}

/* All of them -------------------------------------------------------------------------------------------------- */

static int open_all(struct streams *streams, const char *directory, struct error *error)
{
	streams->input.outlet.drained = input_drained;
	streams->input.outlet.broke = input_broke;
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

static void close_all(struct streams *streams)
{
	outlet_close(&streams->input.outlet);
	for (unsigned i = 0; i < streams->output_count; i++) {
		loop_remove(streams->options.loop, &streams->outputs[i].source);
		fd_close(&streams->outputs[i].fd);
	}
}

const struct streams_way streams_by_connections = {
	.open = open_all,
	.read = read_on,
	.rest = rest,
	.has_room = has_room,
	.write = write_input,
	.end = end_input,
	.wait = streams_wait_agent,
	.close = close_all,
};
