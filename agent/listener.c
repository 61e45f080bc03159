/* Listening sockets: vsock(7) and unix(7). */
#define LOG_SUBSYSTEM "listener"
#include "agent/listener.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/log.h"

#define BACKLOG 128

static int parse_vsock(const char *text, struct sockaddr_vm *address)
{
	long long cid, port;
	char *end;

	cid = strtoll(text, &end, 10);
	if (end == text || *end != ':' || cid < -1 || cid > UINT32_MAX)
		return -EINVAL;
	text = end + 1;
	port = strtoll(text, &end, 10);
	if (end == text || *end || port < 1 || port > UINT32_MAX)
		return -EINVAL;
	*address = (struct sockaddr_vm){
		.svm_family = AF_VSOCK,
		.svm_cid = (unsigned)cid, /* -1 is VMADDR_CID_ANY */
		.svm_port = (unsigned)port,
	};
	return 0;
}

uint32_t listener_vsock_port(const char *address)
{
	struct sockaddr_vm parsed;

	return strncmp(address, "vsock://", 8) == 0 && parse_vsock(address + 8, &parsed) == 0 ? parsed.svm_port : 0;
}

static int bind_vsock(const char *text, struct error *error)
{
	struct sockaddr_vm address;
	cleanup_close int fd = -1;

	if (parse_vsock(text, &address) < 0)
		return error_set(error, EINVAL, "'vsock://%s' is no address: it should be vsock://CID:PORT", text);
	fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(error, errno, "make a vsock socket");
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_errno(error, errno, "bind vsock://%s", text);
	if (listen(fd, BACKLOG) < 0)
		return error_errno(error, errno, "listen on vsock://%s", text);
	return take_fd(&fd);
}

static int bind_unix(const char *path, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t size = sizeof(address);
	cleanup_close int fd = -1;
	struct stat status;

	if (strlen(path) >= sizeof(address.sun_path) || *path == '\0')
		return error_set(error, ENAMETOOLONG, "'unix://%s' is no address: its path is %s", path,
				 *path ? "too long" : "empty");
	strcpy(address.sun_path, path);
	if (*path == '@') { /* abstract: a name without a file */
		*address.sun_path = '\0';
		size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(error, errno, "make a Unix socket");
	if (*address.sun_path && lstat(path, &status) == 0 && S_ISSOCK(status.st_mode))
		unlink(path);
	/* fchmod(2) on the socket before it is bound sets the mode of what bind(2) makes. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&address, size) < 0)
		return error_errno(error, errno, "bind unix://%s", path);
	if (listen(fd, BACKLOG) < 0)
		return error_errno(error, errno, "listen on unix://%s", path);
	return take_fd(&fd);
}

int listener_bind(const char *address, struct error *error)
{
	if (strncmp(address, "vsock://", 8) == 0)
		return bind_vsock(address + 8, error);
	if (strncmp(address, "unix://", 7) == 0)
		return bind_unix(address + 7, error);
	return error_set(error, EINVAL, "'%s' is no address: it should be unix://PATH or vsock://CID:PORT", address);
}

/* One connection. False where none is waiting. */
static bool accept_one(struct listener *listener)
{
	union {
		struct sockaddr any;
		struct sockaddr_vm vsock;
		struct sockaddr_un unix_;
	} peer = {0};
	socklen_t size = sizeof(peer);
	int fd = accept4(listener->fd, &peer.any, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0 && errno == EAGAIN)
		return false;
	if (fd < 0) {
		if (errno != ECONNABORTED && errno != EINTR)
			log_error("accept: %s", strerror(errno));
		return errno == ECONNABORTED || errno == EINTR;
	}
	if (peer.any.sa_family == AF_VSOCK && peer.vsock.svm_cid != VMADDR_CID_HOST) {
		log_warning("refused a connection from cid %u: only the host may connect", peer.vsock.svm_cid);
		close(fd);
		return true;
	}
	listener->accepted(listener, fd, peer.any.sa_family == AF_VSOCK ? peer.vsock.svm_port : 0);
	return true;
}

void listener_drain(struct listener *listener)
{
	while (listener->fd >= 0 && accept_one(listener))
		;
}

static void listener_ready(struct loop_source *source, uint32_t events)
{
	(void)events;
	listener_drain(container_of(source, struct listener, source));
}

int listener_open(struct listener *listener, struct loop *loop, int fd,
		  void (*accepted)(struct listener *listener, int fd, uint32_t peer_port))
{
	*listener = (struct listener){.loop = loop, .fd = fd, .accepted = accepted};
	return loop_add(loop, &listener->source, fd, EPOLLIN, listener_ready);
}
