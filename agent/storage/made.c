/* Paths of the guest itself, cut at their slashes. */
#include "agent/storage/made.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The length of the path without its last component. */
static size_t parent_length(const char *path, size_t length)
{
	while (length > 0 && path[length - 1] == '/')
		length--;
	while (length > 0 && path[length - 1] != '/')
		length--;
	while (length > 1 && path[length - 1] == '/')
		length--;
	return length;
}

size_t made_existing(const char *path)
{
	size_t length = strlen(path);
	char part[PATH_MAX];
	struct stat status;

	if (length >= sizeof(part))
		return length; /* nothing is made by such a name */
	strcpy(part, path);
	while (length > 1 && lstat(part, &status) < 0) {
		length = parent_length(part, length);
		part[length] = '\0';
	}
	return length;
}

void made_remove(const char *path, size_t kept)
{
	size_t length = strlen(path);
	char part[PATH_MAX];

	if (length >= sizeof(part))
		return;
	strcpy(part, path);
	while (length > kept) {
		if (rmdir(part) < 0 && !(errno == ENOTDIR && unlink(part) == 0) && errno != ENOENT)
			return;
		length = parent_length(part, length);
		part[length] = '\0';
	}
}
