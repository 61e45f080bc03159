/* The run directory of a container and its VM: /run/nacre/NAME/, or $XDG_RUNTIME_DIR/nacre/NAME/ for users other than
 * root; $NACRE_RUNTIME_DIR/NAME/ where that is set.
 *
 * Whose VM lives holds a lock on the file "lock" in it, so a VM is dead exactly when that lock is free. The lock is one
 * of an open file description (fcntl(2)): others can ask for it without taking it. The directory of a container that is
 * to be looked at after its end has a file "keep", and stays until somebody removes it; any other dead one is removed by
 * whoever comes next. A lock on the folder above makes "remove the dead ones, make mine, lock it" one step.
 */
#ifndef NACRE_RUNTIME_RUN_DIRECTORY_H
#define NACRE_RUNTIME_RUN_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/error.h"
#include "runtime/name.h"

#define RUN_DIRECTORY_PATH_SIZE 108 /* sockets in it must fit into sockaddr_un */

struct run_directory {
	int base; /* the folder above */
	int fd;	  /* the directory itself */
	int lock; /* -1 where it is another process's */
	char name[NAME_LONGEST + 1];
	char path[RUN_DIRECTORY_PATH_SIZE];
};

/* Makes the directory of `name` (NULL: a name is made up), mode 0700. 0, or -errno (EEXIST: the name is in use). */
int run_directory_create(struct run_directory *directory, const char *name, struct error *error);

/* From here on it outlives its VM. 0 or -errno. */
int run_directory_keep(const struct run_directory *directory, struct error *error);
#define RUN_DIRECTORY_KEEP "keep"
#define RUN_DIRECTORY_LOCK "lock"

/* Removes everything in it but the files of these names (NULL at the end). */
void run_directory_strip(const struct run_directory *directory, const char *const *kept);

/* Removes it with everything in it, and gives the name back. Nothing happens where it wasn't created. */
void run_directory_remove(struct run_directory *directory);

/* Opens one that exists: another process's, or a dead one. 0 or -errno (ENOENT: there is no such container). */
int run_directory_open(struct run_directory *directory, const char *name, struct error *error);

/* Whether its VM lives. */
bool run_directory_alive(const struct run_directory *directory);

/* Removes an opened one, as run_directory_remove(), unless its VM lives. 0 or -errno (EBUSY). */
int run_directory_discard(struct run_directory *directory, struct error *error);

/* Waits for the end of a monitor that is about to end: its lock may go a moment after its connections. */
void run_directory_await_end(const struct run_directory *directory);

/* Gives it up as it is. Nothing happens where it isn't open. */
void run_directory_close(struct run_directory *directory);

/* The names of all that there are, in no order, NULL at the end; to be freed with run_directory_free_list(). NULL without
 * memory, and where `error` says why. */
char **run_directory_list(struct error *error);
void run_directory_free_list(char **names);

/* "PATH/NAME" in `text`, which is returned. */
#define RUN_FILE_SIZE (RUN_DIRECTORY_PATH_SIZE + 32)
const char *run_directory_file(const struct run_directory *directory, const char *name, char text[RUN_FILE_SIZE]);

/* Writes a file of it anew; who reads it sees the old or the new text. 0 or -errno. */
int run_directory_write(const struct run_directory *directory, const char *name, const char *text, struct error *error);

/* The last line of a file in the directory, of those that contain `wanted` where it isn't NULL; made printable, cut to
 * `size`; "" where there is none. Only the file's last few KiB are looked at. */
void run_directory_last_line(const struct run_directory *directory, const char *name, const char *wanted, char *text,
			     size_t size);

#endif
