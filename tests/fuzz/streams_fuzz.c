/* What comes over the connections of attached streams: offsets and records of every kind, cut anywhere, while the process reads
 * and writes as it likes and connections take each other's place. The input is a list of steps. A stream's bytes are known by
 * their position, so that it is seen when one is lost, doubled or invented.
 */
#include <endian.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/attached_stream.h"
#include "lib/fd.h"

#include "tests/fuzz/fuzz.h"

struct scene {
	struct fuzz_input *input;
	struct loop loop;
	struct output output;
	struct input stdin_stream;
	int process[2];     /* its stdout and stdin */
	int connections[2]; /* ours, to its stdout and stdin; -1: none */
	uint64_t written, read;

	/* What goes over the connection of the output. */
	uint64_t position;
	size_t header_length, left;
	uint8_t header[4];
	bool end;

	/* What goes over that of the input: the next record's position, or UINT64_MAX behind one that was cut. */
	uint64_t given;
	bool any;	   /* it may have been anything */
	uint64_t any_till; /* it was before this */
};

static uint8_t byte_at(uint64_t position)
{
	return (uint8_t)(position * 31 + position / 251);
}

static void nothing_to_do(struct output *output)
{
	(void)output;
}

static int connect_stream(int *theirs)
{
	int pair[2];

	promise(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	*theirs = pair[1];
	return pair[0];
}

static void attach_output(struct scene *scene)
{
	uint64_t kept = scene->output.position + buffer_length(&scene->output.left), offset = scene->position;
	uint8_t choices = fuzz_byte(scene->input);
	int theirs;

	if (choices & 1)
		offset = scene->output.position / 2;
	if (offset > kept)
		offset = kept; /* who gives it has looked */
	fd_close(&scene->connections[0]);
	scene->connections[0] = connect_stream(&theirs);
	promise(output_attach(&scene->output, theirs, offset) == 0);
	promise(scene->output.position >= offset);
	scene->position = scene->output.position;
	scene->header_length = scene->left = 0;
	scene->end = false;
}

static void attach_stdin(struct scene *scene)
{
	int theirs;

	fd_close(&scene->connections[1]);
	scene->connections[1] = connect_stream(&theirs);
	promise(input_attach(&scene->stdin_stream, theirs) == 0);
	scene->given = scene->stdin_stream.position;
	if (scene->any)
		scene->any_till = scene->given;
	scene->any = false;
}

static void take_output(struct scene *scene)
{
	uint8_t bytes[4096];
	size_t most = fuzz_u16(scene->input);
	ssize_t count = read(scene->connections[0], bytes, most < sizeof(bytes) ? most : sizeof(bytes));

	for (ssize_t i = 0; i < count; i++) {
		uint32_t length;

		promise(!scene->end);
		if (scene->left > 0) {
			promise(bytes[i] == byte_at(scene->position));
			scene->position++;
			scene->left--;
			continue;
		}
		scene->header[scene->header_length++] = bytes[i];
		if (scene->header_length < sizeof(scene->header))
			continue;
		scene->header_length = 0;
		memcpy(&length, scene->header, sizeof(length));
		scene->left = le32toh(length);
		promise(scene->left <= STREAM_CHUNK);
		scene->end = scene->left == 0;
	}
}

static void acknowledge(struct scene *scene)
{
	uint64_t offset = htole64(scene->position - (fuzz_byte(scene->input) & 3));

	send(scene->connections[0], &offset, sizeof(offset), MSG_NOSIGNAL);
}

static void send_raw(struct scene *scene)
{
	uint8_t choices = fuzz_byte(scene->input);
	size_t length = choices >> 1;
	const uint8_t *bytes = fuzz_bytes(scene->input, &length);

	send(scene->connections[choices & 1], bytes, length, MSG_NOSIGNAL);
	if ((choices & 1) && length > 0)
		scene->any = true;
}

static void send_record(struct scene *scene)
{
	static uint8_t record[4 + STREAM_CHUNK];
	uint32_t length = fuzz_u16(scene->input), header = htole32(length);
	size_t cut = fuzz_u16(scene->input);

	if (scene->given == UINT64_MAX || scene->any)
		return;
	memcpy(record, &header, sizeof(header));
	for (uint32_t i = 0; i < length; i++)
		record[4 + i] = byte_at(scene->given + i);
	if (cut == 0 || cut > length + 4)
		cut = length + 4;
	if (send(scene->connections[1], record, cut, MSG_NOSIGNAL) == (ssize_t)length + 4 && length > 0)
		scene->given += length;
	else
		scene->given = UINT64_MAX;
}

static void write_output(struct scene *scene)
{
	uint8_t bytes[8192];
	size_t length = fuzz_u16(scene->input) % sizeof(bytes);
	ssize_t count;

	for (size_t i = 0; i < length; i++)
		bytes[i] = byte_at(scene->written + i);
	count = write(scene->process[0], bytes, length);
	scene->written += count > 0 ? (uint64_t)count : 0;
}

static void read_stdin(struct scene *scene)
{
	uint8_t bytes[8192];
	ssize_t count = read(scene->process[1], bytes, fuzz_u16(scene->input) % sizeof(bytes));

	scene->read += count > 0 ? (uint64_t)count : 0;
	for (ssize_t i = 0; i < count && !scene->any; i++) {
		uint64_t position = scene->read - (uint64_t)count + (uint64_t)i;

		promise(position < scene->any_till || bytes[i] == byte_at(position));
	}
}

static void end_something(struct scene *scene)
{
	uint8_t choices = fuzz_byte(scene->input);

	switch (choices % 8) {
	case 0:
	case 1:
		fd_close(&scene->connections[choices & 1]);
		break;
	case 2:
		shutdown(scene->connections[0], SHUT_RD);
		break;
	case 3:
		fd_close(&scene->process[0]);
		break;
	case 4:
		fd_close(&scene->process[1]);
		break;
	case 5:
		output_finish(&scene->output);
		break;
	case 6:
		if (scene->stdin_stream.attached)
			attached_input_end(&scene->stdin_stream);
		break;
	case 7:
		shutdown(scene->connections[1], SHUT_WR);
		break;
	}
}

static void check(const struct scene *scene)
{
	const struct output *output = &scene->output;

	promise(buffer_length(&output->left) <= STREAM_CHUNK);
	promise(output->position + buffer_length(&output->left) <= scene->written);
	promise(scene->position <= scene->written);
	promise(buffer_length(&scene->stdin_stream.left) <= STREAM_CHUNK);
	promise(scene->read <= scene->stdin_stream.position);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const actions[])(struct scene *scene) = {attach_output, attach_stdin, take_output,  acknowledge,	send_raw,
							       send_record,   write_output, read_stdin, end_something};
	static struct scene scene;
	struct fuzz_input input = {data, size};
	unsigned before = fuzz_count_fds();
	int out[2], in[2];

	memset(&scene, 0, sizeof(scene));
	scene.input = &input;
	scene.connections[0] = scene.connections[1] = -1;
	promise(loop_init(&scene.loop) == 0);
	promise(pipe2(out, O_CLOEXEC | O_NONBLOCK) == 0 && pipe2(in, O_CLOEXEC | O_NONBLOCK) == 0);
	scene.process[0] = out[1];
	scene.process[1] = in[0];
	output_open(&scene.output, &scene.loop, out[0], -1, nothing_to_do);
	input_open(&scene.stdin_stream, &scene.loop, in[1], -1, false);
	while (input.size > 0) {
		actions[fuzz_byte(&input) % (sizeof(actions) / sizeof(actions[0]))](&scene);
		fuzz_step(&scene.loop);
		fuzz_step(&scene.loop);
		check(&scene);
	}
	output_close(&scene.output);
	input_close(&scene.stdin_stream);
	for (int i = 0; i < 2; i++) {
		fd_close(&scene.connections[i]);
		fd_close(&scene.process[i]);
	}
	loop_destroy(&scene.loop);
	fuzz_check_fds(before);
	return 0;
}
