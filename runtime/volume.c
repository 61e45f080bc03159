/* Volumes, out of text. */
#include "runtime/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "lib/fd.h"

/* Absolute and below the root; "//" and a '/' at the end are taken out. */
static int clean_destination(const char *text, char clean[PATH_MAX], struct error *error)
{
	size_t used = 0;

	if (*text != '/')
		return error_set(error, EINVAL, "'%.100s' in the container is not an absolute path", text);
	for (const char *part = text + strspn(text, "/"); *part; part += strspn(part, "/")) {
		size_t length = strcspn(part, "/");

		if ((length == 1 && *part == '.') || (length == 2 && memcmp(part, "..", 2) == 0))
			return error_set(error, EINVAL, "'%.100s' in the container has '.' or '..' in it", text);
		if (length > NAME_MAX || used + length + 2 > PATH_MAX)
			return error_set(error, ENAMETOOLONG, "'%.100s...' in the container is too long", text);
		clean[used++] = '/';
		memcpy(clean + used, part, length);
		used += length;
		part += length;
	}
	clean[used] = '\0';
	return used > 0 ? 0 : error_set(error, EINVAL, "the container's root can't be a volume");
}

int volumes_add_parts(struct volumes *volumes, const char *source, const char *destination, bool read_only,
		      struct error *error)
{
	struct volume *volume = &volumes->list[volumes->count];
	char clean[PATH_MAX];
	int status = clean_destination(destination, clean, error);

	if (status < 0)
		return status;
	for (size_t i = 0; i < volumes->count; i++)
		if (strcmp(volumes->list[i].destination, clean) == 0)
			return error_set(error, EINVAL, "there is another volume at %s", clean);
	if (volumes->count == VOLUMES_MOST)
		return error_set(error, EINVAL, "there can't be more than %d volumes", VOLUMES_MOST);
	*volume = (struct volume){.source = strdup(source), .destination = strdup(clean), .read_only = read_only, .fd = -1};
	volumes->count++;
	return volume->source && volume->destination ? 0 : error_errno(error, ENOMEM, "volumes");
}

int volumes_add(struct volumes *volumes, const char *text, struct error *error)
{
	cleanup_free char *copy = strdup(text);
	char *destination, *option;
	int status;

	if (!copy)
		return error_errno(error, ENOMEM, "volumes");
	destination = strchr(copy, ':');
	if (!destination || destination == copy || !destination[1])
		return error_set(error, EINVAL, "--volume: '%.200s' is not SRC:DST[:ro]", text);
	*destination++ = '\0';
	option = strchr(destination, ':');
	if (option)
		*option++ = '\0';
	if (option && strcmp(option, "ro") != 0 && strcmp(option, "rw") != 0)
		return error_set(error, EINVAL, "--volume: '%.80s' is no option: it has ro and rw", option);
	status = volumes_add_parts(volumes, copy, destination, option && strcmp(option, "ro") == 0, error);
	return status < 0 ? error_wrap(error, "--volume") : 0;
}

int volumes_open(struct volumes *volumes, struct error *error)
{
	for (size_t i = 0; i < volumes->count; i++) {
		struct volume *volume = &volumes->list[i];
		struct stat stat;

		volume->fd = open(volume->source, O_PATH | O_CLOEXEC);
		if (volume->fd < 0 || fstat(volume->fd, &stat) < 0)
			return error_errno(error, errno, "volume %s", volume->source);
		volume->directory = S_ISDIR(stat.st_mode);
	}
	return 0;
}

void volumes_free(struct volumes *volumes)
{
	for (size_t i = 0; i < volumes->count; i++) {
		free(volumes->list[i].source);
		free(volumes->list[i].destination);
		fd_close(&volumes->list[i].fd);
	}
	volumes->count = 0;
}
