/* The first line of a connection. */
#include "proxy/line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* syscalls: recvfrom */

int line_take(char *text, size_t size, size_t *held, int fd)
{
	char *start = text + *held;
	size_t room = size - *held;
	ssize_t length = recv(fd, start, room, MSG_PEEK | MSG_DONTWAIT);
	char *newline;

	if (length < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (length == 0)
		return -ECONNRESET;
	newline = memchr(start, '\n', (size_t)length);
	if (newline)
		length = newline - start + 1;
	/* Can't be less: these bytes are there. */
	if (recv(fd, start, (size_t)length, MSG_DONTWAIT) != length)
		return -EIO;
	*held += (size_t)length;
	if (!newline)
		return *held < size ? 0 : -EPROTO;
	*newline = '\0';
	return 1;
}

int line_read(struct line *line, int fd)
{
	return line_take(line->text, sizeof(line->text), &line->length, fd);
}

int line_number(const struct line *line, const char *word, uint32_t *number)
{
	size_t length = strlen(word);
	const char *digits = line->text + length + 1;
	unsigned long long value;
	char *end;

	if (strncasecmp(line->text, word, length) != 0 || line->text[length] != ' ' || *digits < '0' || *digits > '9')
		return -EPROTO;
	value = strtoull(digits, &end, 10);
	if ((*end != '\0' && strcmp(end, "\r") != 0) || value > UINT32_MAX)
		return -EPROTO;
	*number = (uint32_t)value;
	return 0;
}
