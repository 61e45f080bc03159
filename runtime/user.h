/* Who the container's process is: `--user`, and the names in the root file system's passwd and group.
 *
 * The root file system may be anybody's work: its files are opened inside it (openat2, RESOLVE_IN_ROOT), only regular
 * files of a bounded size are read, and what is malformed in them is skipped.
 */
#ifndef NACRE_RUNTIME_USER_H
#define NACRE_RUNTIME_USER_H

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#define USER_GROUPS_MAX 64
#define USER_HOME_SIZE 256

struct user {
	uint32_t uid, gid;
	uint32_t groups[USER_GROUPS_MAX]; /* supplementary ones */
	size_t group_count;
	char home[USER_HOME_SIZE]; /* "" where passwd doesn't know the user */
};

/* Resolves "USER" or "USER:GROUP", each a name or a number, in the root file system open at `root` (-1: there is none to
 * look into, and only numbers will do). As in docker: without GROUP the group and the supplementary groups come from
 * passwd and group (0 and none for a number that passwd doesn't have); with it, it is the only one. What consists of
 * digits is a number, whatever passwd says. NULL and "" are user 0. 0, or -errno (ENOENT: no such user or group). */
int user_resolve(struct user *user, int root, const char *text, struct error *error);

/* The same with the texts of passwd and group, which are cut to pieces; NULL where there is none. */
int user_resolve_texts(struct user *user, char *passwd, char *groups, const char *text, struct error *error);

#endif
