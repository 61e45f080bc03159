/* Ports of the host: following the sockets in the run directory. */
#include "proxy/guest_ports.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/unix_socket.h"

#define LOG_SUBSYSTEM "ports"
#include "lib/log.h"

/* syscalls: inotify_init1 inotify_add_watch read open openat getdents64 fstat newfstatat access faccessat close fcntl */

static bool port_of_name(const char *name, uint32_t *port)
{
	static const char prefix[] = GUEST_PORTS_PREFIX;
	const char *digits = name + sizeof(prefix) - 1;
	unsigned long long value;
	char *end;

	if (strncmp(name, prefix, sizeof(prefix) - 1) != 0 || *digits < '0' || *digits > '9')
		return false;
	value = strtoull(digits, &end, 10);
	*port = (uint32_t)value;
	return *end == '\0' && value < UINT32_MAX;
}

/* A file has come or gone. */
static void look_at(struct guest_ports *ports, const char *name)
{
	cleanup_free char *path = NULL;
	struct error error = {0};
	uint32_t port;

	if (!port_of_name(name, &port) || forward_path(ports->forwards, port))
		return;
	path = unix_path_in(ports->directory, name, NULL);
	if (path && ports->carrier->ops->serve_port(ports->carrier, port, access(path, F_OK) == 0, &error) < 0)
		log_warning("the guest can't reach %s: %s", name, error.text);
}

static void look_at_all(struct guest_ports *ports)
{
	DIR *directory = opendir(ports->directory);
	struct dirent *entry;

	if (!directory)
		return;
	while ((entry = readdir(directory)))
		look_at(ports, entry->d_name);
	closedir(directory);
}

static void changed(struct loop_source *source, uint32_t events)
{
	struct guest_ports *ports = container_of(source, struct guest_ports, source);
	char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t length = read(source->fd, buffer, sizeof(buffer));

	(void)events;
	for (ssize_t at = 0; at < length;) {
		const struct inotify_event *event = (const void *)(buffer + at);

		if (event->mask & IN_Q_OVERFLOW)
			look_at_all(ports);
		else if (event->len > 0)
			look_at(ports, event->name);
		at += (ssize_t)(sizeof(*event) + event->len);
	}
}

static int serve_forwards(struct guest_ports *ports, struct error *error)
{
	for (size_t i = 0; i < ports->forwards->count; i++) {
		const struct forward_rule *rule = &ports->forwards->list[i];

		if (!rule->to_guest &&
		    ports->carrier->ops->serve_port(ports->carrier, rule->port, true, error) < 0)
			return error_wrap(error, "--forward %u:%s", rule->port, rule->path);
	}
	return 0;
}

int guest_ports_open(struct guest_ports *ports, struct carrier *carrier, const char *directory,
		     const struct forward_rules *forwards, struct error *error)
{
	cleanup_close int fd = -1;
	int status;

	*ports = (struct guest_ports){
		.carrier = carrier, .forwards = forwards, .directory = directory, .source.fd = -1};
	if (!carrier->ops->serve_port)
		return 0;
	status = serve_forwards(ports, error);
	if (status < 0)
		return status;
	fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (fd < 0)
		return error_errno(error, errno, "inotify");
	if (inotify_add_watch(fd, directory, IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR) < 0)
		return error_errno(error, errno, "watch %s", directory);
	status = loop_add(carrier->loop, &ports->source, fd, EPOLLIN, changed);
	if (status < 0)
		return error_errno(error, -status, "watch %s", directory);
	take_fd(&fd);
	look_at_all(ports);
	return 0;
}

void guest_ports_close(struct guest_ports *ports)
{
	int fd = ports->source.fd;

	if (!ports->carrier || fd < 0)
		return;
	loop_remove(ports->carrier->loop, &ports->source);
	fd_close(&fd);
}
