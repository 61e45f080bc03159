/* The first line of a connection, "CONNECT port" or "OK port", as Firecracker's vsock device has them: read from a socket
 * that doesn't block, as it comes, and without a byte of what follows, which is somebody else's.
 */
#ifndef NACRE_PROXY_LINE_H
#define NACRE_PROXY_LINE_H

#include <stddef.h>
#include <stdint.h>

#define LINE_SIZE 32 /* "CONNECT 4294967295\r\n" has 20 */

struct line {
	char text[LINE_SIZE]; /* terminated, and without its newline, once it is complete */
	size_t length;
};

/* Takes what there is of a line out of the socket, into `text`, of which *held bytes are there already. As line_read(). */
int line_take(char *text, size_t size, size_t *held, int fd);

/* Takes what there is of the line out of the socket. 1 when it is complete, 0 for more to come, or -errno (ECONNRESET at the
 * end of the stream, EPROTO for a line that is too long). */
int line_read(struct line *line, int fd);

/* The number of a complete line that begins with `word`, in any case, and a blank. 0, or -EPROTO. */
int line_number(const struct line *line, const char *word, uint32_t *number);

#endif
