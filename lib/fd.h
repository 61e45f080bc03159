/* Helpers for file descriptors: whole reads and writes, small files, and passing descriptors over a socket.
 * Every fd made here is close-on-exec. Interrupted calls are started again.
 */
#ifndef NACRE_LIB_FD_H
#define NACRE_LIB_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/error.h"

/* The most descriptors one message may carry (SCM_MAX_FD of the kernel). */
#define FD_MESSAGE_MAX 253

/* Closes *fd unless it is negative, and leaves -1 there. */
void fd_close(int *fd);

/* Closes everything from `first` up that isn't in `kept` (where -1 means nothing), by close_range(2). Allocates nothing.
 * 0 or -errno. */
int fd_close_others(int first, const int *kept, size_t count);

/* O_NONBLOCK on or off. 0 or -errno. */
int fd_set_blocking(int fd, bool blocking);

/* Writes all `length` bytes to a blocking fd. 0 or -errno. */
int fd_write_all(int fd, const void *data, size_t length);

/* Reads until `length` bytes or the end of file. The count, or -errno. */
ssize_t fd_read_all(int fd, void *data, size_t length);

/* Reads a small text file (openat(2) rules for `directory` and `path`), at most `size` - 1 bytes; what is longer is
 * an error (EFBIG). Terminates the text and cuts one newline at its end. The length, or -errno. */
ssize_t fd_read_file(int directory, const char *path, char *text, size_t size, struct error *error);

/* Opens an existing file for writing and writes `text` in a single write(2), as files of procfs, sysfs and cgroupfs
 * want it. 0 or -errno. */
int fd_write_file(int directory, const char *path, const char *text, struct error *error);

/* Sends one message with `count` descriptors (at most FD_MESSAGE_MAX), which stay the caller's own. `length` must be
 * at least 1 (unix(7)). 0 or -errno. */
int fd_send(int socket, const void *data, size_t length, const int *fds, size_t count);

/* Receives one message. *count says how many descriptors fit into `fds`, and afterwards how many came; the caller owns
 * them. A message that was cut, in data or descriptors, is -EPROTO and leaves no descriptor open.
 * Returns the length; 0 at the end of the stream; or -errno. */
ssize_t fd_receive(int socket, void *data, size_t size, int *fds, size_t *count);

#endif
