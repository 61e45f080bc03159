/* Clients of the proxy's sockets. */
#include "proxy/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "proxy/unix_socket.h"

#define REQUEST_SIZE 1024

static int connect_to(const char *directory, const char *name, struct error *error)
{
	cleanup_free char *path = unix_path_in(directory, name, error);

	return path ? unix_connect(path, error) : -ENOMEM;
}

int proxy_connect_agent(const char *directory, struct error *error)
{
	return connect_to(directory, "agent.sock", error);
}

int proxy_connect_service(const char *directory, struct error *error)
{
	return connect_to(directory, "proxy.sock", error);
}

/* Byte by byte: what follows the line is the guest's, and stays in the socket. */
static int read_answer(int fd, char answer[PROXY_ANSWER_SIZE], struct error *error)
{
	for (size_t length = 0; length < PROXY_ANSWER_SIZE; length++) {
		ssize_t count;

		do {
			count = recv(fd, answer + length, 1, 0);
		} while (count < 0 && errno == EINTR);
		if (count == 0 || (count < 0 && errno == ECONNRESET))
			return error_set(error, ECONNREFUSED, "the guest refused the connection");
		if (count < 0)
			return error_errno(error, errno, "read the proxy's answer");
		if (answer[length] == '\n') {
			answer[length] = '\0';
			return 0;
		}
	}
	return error_set(error, EPROTO, "the proxy's answer is too long");
}

static int parse_answer(const char *answer, uint32_t *host_port, struct error *error)
{
	unsigned long long value;
	char *end;

	if (strncmp(answer, "OK ", 3) != 0 || answer[3] < '0' || answer[3] > '9')
		return error_set(error, EPROTO, "the proxy answered '%s'", answer);
	value = strtoull(answer + 3, &end, 10);
	if (*end != '\0' || value > UINT32_MAX)
		return error_set(error, EPROTO, "the proxy answered '%s'", answer);
	*host_port = (uint32_t)value;
	return 0;
}

static int send_request(int fd, const char *request, struct error *error)
{
	size_t length = strlen(request);
	ssize_t sent;

	do {
		sent = send(fd, request, length, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return error_errno(error, errno, "write to the proxy");
	return sent == (ssize_t)length ? 0 : error_set(error, EIO, "the proxy took only %zd bytes", sent);
}

int proxy_connect_port(const char *directory, uint32_t port, uint32_t *host_port, struct error *error)
{
	cleanup_close int fd = connect_to(directory, "vsock.sock", error);
	char request[32], answer[PROXY_ANSWER_SIZE];
	int status;

	if (fd < 0)
		return fd;
	snprintf(request, sizeof(request), "CONNECT %u\n", port);
	status = send_request(fd, request, error);
	if (status == 0)
		status = read_answer(fd, answer, error);
	if (status == 0)
		status = parse_answer(answer, host_port, error);
	return status < 0 ? error_wrap(error, "guest port %u", port) : take_fd(&fd);
}

/* A number behind a space, and what is behind that. */
static const char *take_number(const char *text, uint64_t *number)
{
	unsigned long long value;
	char *end;

	if (!text || text[0] != ' ' || text[1] < '0' || text[1] > '9')
		return NULL;
	errno = 0;
	value = strtoull(text + 1, &end, 10);
	*number = value;
	return errno == 0 ? end : NULL;
}

int proxy_attach_begin(const char *directory, const struct proxy_stream *stream, struct error *error)
{
	cleanup_close int fd = -1;
	char request[REQUEST_SIZE];
	const char *exec = stream->exec ? stream->exec : "-";
	int length = snprintf(request, sizeof(request), "ATTACH %s %s %s %s\n", stream->container, exec,
				      stream->stream, stream->options);

	if (length >= REQUEST_SIZE || strpbrk(stream->container, " \r\n") || strpbrk(exec, " \r\n"))
		return error_set(error, EINVAL, "a name is too long, or has a space in it");
	fd = connect_to(directory, "proxy.sock", error);
	if (fd < 0)
		return fd;
	if (send_request(fd, request, error) < 0)
		return error_wrap(error, "attach %s", stream->stream);
	return take_fd(&fd);
}

int proxy_attach_parse(const char *line, struct proxy_attached *attached, struct error *error)
{
	const char *rest = take_number(strncmp(line, "OK", 2) == 0 ? line + 2 : NULL, &attached->offset);

	rest = take_number(rest, &attached->dropped);
	attached->ended = rest && strcmp(rest, " ended") == 0;
	if (attached->ended || (rest && *rest == '\0'))
		return 0;
	return error_set(error, EREMOTEIO, "%s", strncmp(line, "ERROR ", 6) == 0 ? line + 6 : line);
}

int proxy_attach_stream(const char *directory, const struct proxy_stream *stream, struct proxy_attached *attached,
			struct error *error)
{
	cleanup_close int fd = proxy_attach_begin(directory, stream, error);
	char answer[PROXY_ANSWER_SIZE];
	int status;

	if (fd < 0)
		return fd;
	status = read_answer(fd, answer, error);
	if (status == 0)
		status = proxy_attach_parse(answer, attached, error);
	return status < 0 ? error_wrap(error, "attach %s", stream->stream) : take_fd(&fd);
}
