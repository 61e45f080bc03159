/* Which kind it is. */
#include "runtime/source_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"

#define ARENA_LIMIT (16u << 20)

/* In this order: the first that knows it. */
static const struct source_kind *const directories[] = {&source_layout, &source_bundle, &source_directory, NULL};
static const struct source_kind *const files[] = {&source_image, &source_archive, NULL};

/* What exists under the whole name is it; otherwise the longest part before a colon that exists, and a tag behind. */
static int split_name(struct source *source, struct error *error)
{
	struct stat stat_of;

	if (snprintf(source->path, sizeof(source->path), "%s", source->given) >= PATH_MAX)
		return error_errno(error, ENAMETOOLONG, "root file system %.80s...", source->given);
	if (stat(source->path, &stat_of) == 0)
		return 0;
	for (char *colon = strrchr(source->path, ':'); colon; colon = strrchr(source->path, ':')) {
		*colon = '\0';
		if (stat(source->path, &stat_of) < 0)
			continue;
		source->tag = source->given + (colon - source->path) + 1;
		return *source->tag ? 0 : error_set(error, EINVAL, "root file system %s: no tag after the colon",
						    source->given);
	}
	return error_errno(error, ENOENT, "root file system %s", source->given);
}

static int open_it(struct source *source, struct stat *stat, struct error *error)
{
	/* A FIFO would wait for a writer. */
	source->fd = open(source->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (source->fd < 0 || fstat(source->fd, stat) < 0)
		return error_errno(error, errno, "root file system %s", source->given);
	if (!S_ISDIR(stat->st_mode) && !S_ISREG(stat->st_mode))
		return error_set(error, EINVAL, "root file system %s: neither a directory nor a file", source->given);
	return 0;
}

static int find_kind(struct source *source, const struct source_kind *const *kinds, struct error *error)
{
	int status = 0;

	for (; *kinds && status == 0; kinds++) {
		status = (*kinds)->open(source, error);
		if (status > 0)
			source->kind = *kinds;
	}
	if (status < 0)
		return error_wrap(error, "root file system %s", source->given);
	return status > 0 ? 0 : error_set(error, EINVAL, "root file system %s: neither a tar archive nor an erofs, "
					  "squashfs or ext4 image", source->given);
}

int source_open(struct source *source, const char *rootfs, uint64_t unpacked_most, struct error *error)
{
	struct stat stat;
	int status;

	*source = (struct source){.given = rootfs, .unpacked_most = unpacked_most, .fd = -1, .root = -1, .folder = -1};
	arena_init(&source->arena, ARENA_FORK, ARENA_LIMIT);
	status = split_name(source, error);
	if (status == 0)
		status = open_it(source, &stat, error);
	if (status == 0)
		status = find_kind(source, S_ISDIR(stat.st_mode) ? directories : files, error);
	if (status == 0 && source->tag && source->layer_count == 0)
		status = error_set(error, EINVAL, "root file system %s: a %s has no tags", source->given,
				   source->kind->name);
	return status;
}

void source_close(struct source *source)
{
	if (!source->given)
		return;
	cache_forget(source);
	image_config_free(&source->config);
	if (source->root != source->fd)
		fd_close(&source->root);
	fd_close(&source->fd);
	fd_close(&source->folder);
	arena_free(&source->arena);
	free(source->bundle);
	*source = (struct source){.fd = -1, .root = -1, .folder = -1};
}

const char *source_name(const struct source *source)
{
	return source->kind->name;
}

int source_start(struct source *source, const struct run_directory *directory, struct child *child,
		 struct error *error)
{
	int status = source->kind->start(source, directory, child, error);

	return status < 0 ? error_wrap(error, "root file system %s", source->given) : 0;
}

int source_finish(struct source *source, const struct run_directory *directory, int status, struct error *error)
{
	status = source->kind->finish ? source->kind->finish(source, directory, status, error) : 0;
	return status < 0 ? error_wrap(error, "root file system %s", source->given) : 0;
}

int source_link_disk(const struct run_directory *directory, const char *target, struct error *error)
{
	unlinkat(directory->fd, SOURCE_DISK, 0);
	if (symlinkat(target, directory->fd, SOURCE_DISK) < 0)
		return error_errno(error, errno, "link %s", SOURCE_DISK);
	return 0;
}
