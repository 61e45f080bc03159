/* One frame out, some frames in, on a blocking socket. */
#include "runtime/control.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/loop.h"
#include "proxy/unix_socket.h"
#include "runtime/clients.h"
#include "runtime/frame.h"

static int send_frame(const struct control *control, enum frame_type type, unsigned count, uint32_t number,
		      struct error *error)
{
	uint8_t bytes[FRAME_NUMBERS_SIZE];
	size_t size = frame_of_numbers(bytes, type, count, number, 0);

	/* It is shorter than any socket's buffer. */
	if (send(control->fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size)
		return error_errno(error, errno, "write to the monitor");
	return 0;
}

int control_connect(const struct run_directory *directory, struct error *error)
{
	char path[RUN_FILE_SIZE];
	int fd = unix_connect(run_directory_file(directory, CLIENTS_SOCKET, path), error);

	if (fd == -ENOENT || fd == -ECONNREFUSED)
		return error_set(error, ESRCH, "the container %s isn't running", directory->name);
	return fd;
}

int control_open(struct control *control, const struct run_directory *directory, struct error *error)
{
	*control = (struct control){.fd = control_connect(directory, error), .exit_code = -1};
	buffer_init(&control->received, FRAME_BUFFER_LIMIT);
	return control->fd < 0 ? control->fd : send_frame(control, FRAME_HELLO, 1, 0, error);
}

void control_close(struct control *control)
{
	fd_close(&control->fd);
	buffer_free(&control->received);
}

/* Where it has begun, a failure is its end, and the failure's status its own. */
static void take(struct control *control, const struct frame *frame)
{
	if (frame->type == FRAME_STARTED)
		control->started = true;
	if (frame->type == FRAME_EXIT || (frame->type == FRAME_FAILED && control->started))
		control->exit_code = (int)(frame_number(frame, 0) & 0xff);
	if (frame->type == FRAME_EXIT || frame->type == FRAME_FAILED)
		control->ended = true;
}

/* Reads frames until one of this type has come (1), the connection has ended (0), or the deadline has passed. The frame
 * is valid until the next call. */
static int read_until(struct control *control, enum frame_type type, uint64_t deadline, struct frame *frame,
		      struct error *error)
{
	struct pollfd poller = {.fd = control->fd, .events = POLLIN};

	while (true) {
		uint64_t now = loop_now();
		uint8_t *to;
		ssize_t count;
		int status;

		buffer_consume(&control->received, control->taken);
		control->taken = 0;
		status = frame_parse(&control->received, 0, frame);
		if (status < 0)
			return error_set(error, EPROTO, "the monitor has sent what is no frame");
		if (status > 0) {
			take(control, frame);
			control->taken = frame_size(frame);
			if (frame->type == type)
				return 1;
			continue;
		}
		if (deadline != UINT64_MAX &&
		    (now >= deadline || poll(&poller, 1, (int)((deadline - now) / LOOP_MILLISECOND) + 1) == 0))
			return error_set(error, ETIMEDOUT, "no answer from the monitor");
		to = buffer_reserve(&control->received, FRAME_BUFFER_LIMIT - buffer_length(&control->received));
		count = to ? recv(control->fd, to, FRAME_BUFFER_LIMIT - buffer_length(&control->received), 0) : -1;
		if (count == 0 || (count < 0 && errno != EINTR))
			return 0;
		buffer_commit(&control->received, count > 0 ? (size_t)count : 0);
	}
}

int control_signal(struct control *control, int number, struct error *error)
{
	int status = send_frame(control, FRAME_SIGNAL, 1, (uint32_t)number, error);
	struct frame frame;

	if (status == 0)
		status = read_until(control, FRAME_ANSWER, UINT64_MAX, &frame, error);
	if (status < 0)
		return status;
	if (status == 0)
		return error_set(error, ESRCH, "it has ended");
	if (frame_number(&frame, 0) == 0)
		return 0;
	return error_set(error, (int)(frame_number(&frame, 0) & 0xff), "%.*s", (int)frame.length - 4,
			 (const char *)frame.body + 4);
}

int control_stop(struct control *control, uint32_t seconds, struct error *error)
{
	return send_frame(control, FRAME_STOP, 1, seconds, error);
}

int control_end(struct control *control, struct error *error)
{
	return send_frame(control, FRAME_END, 0, 0, error);
}

int control_await(struct control *control, int milliseconds, struct error *error)
{
	uint64_t deadline = milliseconds < 0 ? UINT64_MAX
					     : loop_now() + (uint64_t)milliseconds * LOOP_MILLISECOND;
	struct frame frame;
	int status;

	/* No monitor sends a HELLO: this reads to the end. */
	status = read_until(control, FRAME_HELLO, deadline, &frame, error);
	return status < 0 ? status : 0;
}

void control_kill(const struct control *control)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	if (getsockopt(control->fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.pid > 0)
		kill(peer.pid, SIGKILL);
}
