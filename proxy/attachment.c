/* Attachments. */
#include "proxy/attachment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/session.h"

/* syscalls: fcntl readv writev sendmsg recvmsg ioctl fstat newfstatat getsockopt close */

static struct loop *loop_of(const struct attachment *attachment)
{
	return attachment->stream->session->sessions->loop;
}

static bool is_input(const struct attachment *attachment)
{
	return attachment->stream->number == SESSION_STDIN;
}

/* ---- Without blocking ---------------------------------------------------------------------------------------- */

static void dont_block(const struct attachment *attachment)
{
	fcntl(attachment->fd, F_SETFL, attachment->flags | O_NONBLOCK);
}

static ssize_t write_parts(const struct attachment *attachment, struct iovec parts[2])
{
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	if (attachment->flags < 0)
		return sendmsg(attachment->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	dont_block(attachment);
	return writev(attachment->fd, parts, 2);
}

static ssize_t read_parts(const struct attachment *attachment, struct iovec parts[2])
{
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	if (attachment->flags < 0)
		return recvmsg(attachment->fd, &message, MSG_DONTWAIT);
	dont_block(attachment);
	return readv(attachment->fd, parts, 2);
}

/* ---- Output -------------------------------------------------------------------------------------------------- */

/* What has been dropped meanwhile it doesn't get. */
static void skip_dropped(struct attachment *attachment)
{
	uint64_t begin = attachment->stream->ring.state->begin;

	if (attachment->offset >= begin)
		return;
	attachment->missed += begin - attachment->offset;
	attachment->offset = begin;
}

/* True where it has gone. */
static bool write_some(struct attachment *attachment)
{
	struct session_stream *stream = attachment->stream;
	struct ring_state *state = stream->ring.state;
	struct iovec parts[2];
	uint32_t wanted = 0;

	skip_dropped(attachment);
	while (ring_data(&stream->ring, attachment->offset, parts) > 0) {
		ssize_t count = write_parts(attachment, parts);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN) {
			wanted = EPOLLOUT;
			break;
		}
		if (count < 0) {
			attachment_free(attachment);
			return true;
		}
		attachment->offset += (size_t)count;
		if (attachment->offset > state->had)
			state->had = attachment->offset;
	}
	if (attachment->offset == state->end && state->ended) {
		attachment_free(attachment);
		return true;
	}
	loop_change(loop_of(attachment), &attachment->source, wanted);
	return false;
}

static void output_ready(struct loop_source *source, uint32_t events)
{
	struct attachment *attachment = container_of(source, struct attachment, source);
	struct session_stream *stream = attachment->stream;

	if (!(events & EPOLLOUT)) {
		attachment_free(attachment);
		return;
	}
	if (!write_some(attachment))
		session_stream_update(stream);
}

/* ---- Input --------------------------------------------------------------------------------------------------- */

static void input_ready(struct loop_source *source, uint32_t events);

/* One that isn't read isn't watched: its hang-up would be told without end. */
static void watch_input(struct attachment *attachment, bool wanted)
{
	if (!wanted)
		loop_remove(loop_of(attachment), &attachment->source);
	else if (attachment->source.fd < 0 &&
		 loop_add(loop_of(attachment), &attachment->source, attachment->fd, EPOLLIN, input_ready) < 0)
		attachment_free(attachment);
}

/* The end of input, or of the client: of a terminal that is gone EIO says so. */
static void input_over(struct attachment *attachment, bool end)
{
	struct session_stream *stream = attachment->stream;
	bool closes = end && !attachment->keep_open;

	attachment_free(attachment);
	if (closes)
		session_input_end(stream);
}

static void input_ready(struct loop_source *source, uint32_t events)
{
	struct attachment *attachment = container_of(source, struct attachment, source);
	struct session_stream *stream = attachment->stream;
	struct iovec parts[2];
	ssize_t count;

	(void)events;
	if (session_input_room(stream, parts) == 0) {
		watch_input(attachment, false);
		return;
	}
	count = read_parts(attachment, parts);
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0) {
		input_over(attachment, count == 0);
		return;
	}
	session_input_came(stream, (size_t)count);
	attachment->offset = stream->ring.state->end;
}

uint64_t attachments_unread(const struct session_stream *stream)
{
	uint64_t total = 0;

	for (const struct list *link = stream->attachments.next; link != &stream->attachments; link = link->next) {
		int count = 0;

		if (ioctl(container_of(link, struct attachment, link)->fd, FIONREAD, &count) == 0 && count > 0)
			total += (unsigned int)count;
	}
	return total;
}

/* ---- Both ---------------------------------------------------------------------------------------------------- */

void attachment_pump(struct attachment *attachment)
{
	struct iovec parts[2];

	if (!is_input(attachment)) {
		if (!(attachment->source.events & EPOLLOUT) || session_stream_ended(attachment->stream))
			write_some(attachment);
		return;
	}
	if (session_stream_ended(attachment->stream) || attachment->stream->ring.state->closing)
		attachment_free(attachment);
	else if (session_input_room(attachment->stream, parts) > 0)
		watch_input(attachment, true);
}

static int check_fd(int fd, bool input, int *flags, struct error *error)
{
	int mode = fcntl(fd, F_GETFL), type = 0;
	socklen_t size = sizeof(type);
	struct stat file;

	if (mode < 0 || fstat(fd, &file) < 0)
		return error_errno(error, EINVAL, "the descriptor");
	if ((mode & O_ACCMODE) == (input ? O_WRONLY : O_RDONLY) || (mode & O_PATH))
		return error_set(error, EINVAL, "the descriptor can't be %s", input ? "read" : "written");
	*flags = mode;
	if (S_ISSOCK(file.st_mode)) {
		*flags = -1;
		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_STREAM)
			return error_set(error, EINVAL, "the descriptor is a socket, but not one of a stream");
		return 0;
	}
	if (!S_ISFIFO(file.st_mode) && !isatty(fd))
		return error_set(error, EINVAL, "the descriptor is no pipe, socket or terminal");
	return 0;
}

static int start(struct attachment *attachment, const struct attachment_options *options, uint64_t *dropped)
{
	const struct ring_state *state = attachment->stream->ring.state;
	uint64_t asked = options->from == NACRE__ATTACH_REQUEST__FROM__OFFSET ? options->offset : state->begin;

	*dropped = 0;
	attachment->offset = state->end;
	if (is_input(attachment))
		return loop_add(loop_of(attachment), &attachment->source, attachment->fd, EPOLLIN, input_ready);
	if (options->from != NACRE__ATTACH_REQUEST__FROM__NOW) {
		*dropped = asked < state->begin ? state->begin - asked : 0;
		if (asked < state->end)
			attachment->offset = asked + *dropped;
	}
	/* The first write comes from the loop. */
	return loop_add(loop_of(attachment), &attachment->source, attachment->fd, EPOLLOUT, output_ready);
}

struct attachment *attachment_new(struct session_stream *stream, int fd, const struct attachment_options *options,
				  uint64_t *dropped, struct error *error)
{
	bool input = stream->number == SESSION_STDIN;
	cleanup_close int taken = fd;
	struct attachment *attachment;
	int flags = -1, status = check_fd(fd, input, &flags, error);

	if (status < 0)
		return NULL;
	if (input && (stream->ring.state->closing || session_stream_ended(stream))) {
		error_set(error, EPIPE, "stdin takes nothing any more");
		return NULL;
	}
	if (list_length(&stream->attachments) >= ATTACHMENTS_MAX) {
		error_set(error, EMFILE, "%u descriptors are attached to the stream, and may be no more", ATTACHMENTS_MAX);
		return NULL;
	}
	attachment = calloc(1, sizeof(*attachment));
	if (!attachment) {
		error_errno(error, ENOMEM, "attach");
		return NULL;
	}
	*attachment = (struct attachment){
		.stream = stream,
		.id = ++stream->session->sessions->last_attachment,
		.owner = options->owner,
		.source.fd = -1,
		.fd = fd,
		.flags = flags,
		.lossy = options->lossy,
		.keep_open = options->keep_open,
	};
	status = start(attachment, options, dropped);
	if (status < 0) {
		free(attachment);
		error_errno(error, -status, "watch the descriptor");
		return NULL;
	}
	take_fd(&taken);
	list_append(&stream->attachments, &attachment->link);
	return attachment;
}

void attachment_free(struct attachment *attachment)
{
	struct session_stream *stream = attachment->stream;

	loop_remove(loop_of(attachment), &attachment->source);
	if (attachment->flags >= 0 && !(attachment->flags & O_NONBLOCK))
		fcntl(attachment->fd, F_SETFL, attachment->flags);
	close(attachment->fd);
	list_remove(&attachment->link);
	free(attachment);
	session_stream_update(stream);
}
