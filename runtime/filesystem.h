/* Which file system an image holds, by its superblock. */
#ifndef NACRE_RUNTIME_FILESYSTEM_H
#define NACRE_RUNTIME_FILESYSTEM_H

#include <stddef.h>

#define FILESYSTEM_HEAD_SIZE 2048 /* all superblocks are in that */

/* The file system's name, "erofs", "ext4" or "squashfs", of an image that begins with these bytes, FILESYSTEM_HEAD_SIZE of
 * them or all that it has; or NULL. */
const char *filesystem_of(const void *head, size_t length);

#endif
