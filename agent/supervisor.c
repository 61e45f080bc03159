/* Messages to and from the supervisor. Losing it, or one of its messages, ends the agent: it is started again. */
#define LOG_SUBSYSTEM "supervisor"
#include "agent/supervisor.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/supervision.h"

/* One message, with at most one descriptor. 1, or 0 or -errno at the end of the line. */
static int receive(struct supervisor *supervisor, struct supervision_message *message, int *fd)
{
	int fds[FD_MESSAGE_MAX];
	size_t count = FD_MESSAGE_MAX;
	int status = supervision_receive(supervisor->fd, message, fds, &count);

	*fd = -1;
	if (status <= 0)
		return status;
	if (count > 0)
		*fd = fds[0];
	while (count > 1)
		close(fds[--count]);
	return 1;
}

static void keep_restored(struct supervisor *supervisor, const char *name, int fd)
{
	if (supervisor->restored_count == SUPERVISOR_RESTORED_MAX || fd < 0) {
		fd_close(&fd);
		return;
	}
	strcpy(supervisor->restored[supervisor->restored_count].name, name);
	supervisor->restored[supervisor->restored_count++].fd = fd;
}

int supervisor_restore(struct supervisor *supervisor, struct error *error)
{
	struct supervision_message message;
	int fd, status;

	supervisor->fd = SUPERVISION_FD;
	supervisor->source.fd = -1;
	while ((status = receive(supervisor, &message, &fd)) > 0) {
		if (message.type == SUPERVISION_RESTORED)
			return 0;
		if (message.type == SUPERVISION_STORE)
			keep_restored(supervisor, message.name, fd);
		else
			fd_close(&fd);
	}
	return error_errno(error, status < 0 ? -status : EPIPE, "hear from the supervisor");
}

static int send_message(struct supervisor *supervisor, const struct supervision_message *message, int fd)
{
	int status = supervision_send(supervisor->fd, message, &fd, fd >= 0);

	if (status < 0)
		log_error("tell the supervisor: %s", strerror(-status));
	return status;
}

/* It takes over what doesn't say that it has begun. */
static void begin_stop(struct supervisor *supervisor, int milliseconds)
{
	struct supervision_message message = {.type = SUPERVISION_STOP};

	supervisor->stop(supervisor, milliseconds > 0 ? (uint64_t)milliseconds * LOOP_MILLISECOND : 0);
	send_message(supervisor, &message, -1);
}

static void supervisor_event(struct loop_source *source, uint32_t events)
{
	struct supervisor *supervisor = container_of(source, struct supervisor, source);
	struct supervision_message message;
	int fd, status = receive(supervisor, &message, &fd);

	(void)events;
	fd_close(&fd);
	if (status <= 0) {
		log_error("the line to the supervisor broke: %s", status < 0 ? strerror(-status) : "closed");
		exit(1);
	}
	if (message.type == SUPERVISION_EXITED)
		supervisor->exited(supervisor, message.pid, message.status);
	else if (message.type == SUPERVISION_STOP)
		begin_stop(supervisor, message.status);
}

int supervisor_watch(struct supervisor *supervisor, struct loop *loop,
		     void (*exited)(struct supervisor *supervisor, pid_t pid, int status),
		     void (*stop)(struct supervisor *supervisor, uint64_t grace))
{
	supervisor->loop = loop;
	supervisor->exited = exited;
	supervisor->stop = stop;
	return loop_add(loop, &supervisor->source, supervisor->fd, EPOLLIN, supervisor_event);
}

int supervisor_take(struct supervisor *supervisor, const char *name)
{
	for (size_t i = 0; i < supervisor->restored_count; i++)
		if (strcmp(supervisor->restored[i].name, name) == 0)
			return take_fd(&supervisor->restored[i].fd);
	return -1;
}

static int send_named(struct supervisor *supervisor, uint32_t type, const char *name, int fd)
{
	struct supervision_message message = {.type = type};

	if (strlen(name) >= sizeof(message.name))
		return -ENAMETOOLONG;
	strcpy(message.name, name);
	return send_message(supervisor, &message, fd);
}

int supervisor_store(struct supervisor *supervisor, const char *name, int fd)
{
	return send_named(supervisor, SUPERVISION_STORE, name, fd);
}

void supervisor_drop(struct supervisor *supervisor, const char *name)
{
	send_named(supervisor, SUPERVISION_DROP, name, -1);
}

void supervisor_acknowledge(struct supervisor *supervisor, pid_t pid)
{
	struct supervision_message message = {.type = SUPERVISION_ACK, .pid = pid};

	send_message(supervisor, &message, -1);
}

void supervisor_ready(struct supervisor *supervisor)
{
	struct supervision_message message = {.type = SUPERVISION_READY};

	send_message(supervisor, &message, -1);
}

void supervisor_power_off(struct supervisor *supervisor)
{
	struct supervision_message message = {.type = SUPERVISION_POWER_OFF};

	send_message(supervisor, &message, -1);
}
