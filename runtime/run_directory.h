/* The run directory of a VM: /run/nacre/NAME/, or $XDG_RUNTIME_DIR/nacre/NAME/ for users other than root.
 *
 * Whose VM lives holds a flock(2) on the file "lock" in it. A directory whose lock is free belonged to somebody who
 * died, and is removed by whoever comes next; so a name is in use exactly as long as its VM lives. A lock on the folder
 * above makes "remove the dead ones, make mine, lock it" one step.
 */
#ifndef NACRE_RUNTIME_RUN_DIRECTORY_H
#define NACRE_RUNTIME_RUN_DIRECTORY_H

#include <stddef.h>

#include "lib/error.h"
#include "runtime/name.h"

#define RUN_DIRECTORY_PATH_SIZE 108 /* sockets in it must fit into sockaddr_un */

struct run_directory {
	int base; /* the folder above */
	int fd;	  /* the directory itself */
	int lock;
	char name[NAME_LONGEST + 1];
	char path[RUN_DIRECTORY_PATH_SIZE];
};

/* Makes the directory of `name` (NULL: a name is made up), mode 0700. 0, or -errno (EEXIST: the name is in use). */
int run_directory_create(struct run_directory *directory, const char *name, struct error *error);

/* Removes it with everything in it, and gives the name back. Nothing happens where it wasn't created. */
void run_directory_remove(struct run_directory *directory);

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
