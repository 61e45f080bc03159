/* The cache's folders. Each is locked by flock(2) on itself, as long as it is made (exclusively) or used (shared): with the
 * process the lock ends. The time of a folder is when it was used last. */
#include "runtime/source_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/path.h"

#define NEW ".new."
#define PATH_SIZE (PATH_MAX - 256) /* with room for what is in it */
#define IMAGES_MOST 20
#define FORMAT 1 /* of what is kept: another one, and all is made again */

static int cache_path(char path[PATH_SIZE])
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	int length = -1;

	if (cache && *cache == '/')
		length = snprintf(path, PATH_SIZE, "%s/nacre/images", cache);
	else if (home && *home == '/')
		length = snprintf(path, PATH_SIZE, "%s/.cache/nacre/images", home);
	return length > 0 && length < PATH_SIZE ? 0 : -ENOENT;
}

static int open_cache(char path[PATH_SIZE], struct error *error)
{
	cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), handle = -1;
	char self[PATH_OF_FD_SIZE];
	int fd;

	if (cache_path(path) < 0)
		return error_set(error, ENOENT, "there is no place for a cache");
	handle = path_make_directories(root, path, 0700, error);
	if (handle < 0)
		return handle;
	fd = open(path_of_fd(self, handle), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? error_errno(error, errno, "open %s", path) : fd;
}

static void set_final_path(struct source *source, const char *path)
{
	snprintf(source->final_path, sizeof(source->final_path), "%s/%s-%s.%d", path, source->identity.algorithm,
		 source->identity.hex, FORMAT);
}

int cache_find(struct source *source)
{
	char path[PATH_SIZE];
	struct stat status;

	if (cache_path(path) < 0)
		return -ENOENT;
	set_final_path(source, path);
	source->folder = open(source->final_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	/* Whoever removes it holds the lock meanwhile. */
	if (source->folder < 0 || flock(source->folder, LOCK_SH) < 0 || fstat(source->folder, &status) < 0 ||
	    status.st_nlink == 0) {
		fd_close(&source->folder);
		return -ENOENT;
	}
	futimens(source->folder, NULL);
	return 0;
}

/* What others began and didn't live to finish. */
static void remove_dead(int cache)
{
	DIR *stream = fdopendir(openat(cache, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct error error;

	for (struct dirent *entry = stream ? readdir(stream) : NULL; entry; entry = readdir(stream)) {
		cleanup_close int fd = -1;

		if (strncmp(entry->d_name, NEW, strlen(NEW)) != 0)
			continue;
		fd = openat(cache, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
			path_remove_tree(cache, entry->d_name, &error);
	}
	if (stream)
		closedir(stream);
}

static size_t images_most(void)
{
	const char *wanted = getenv("NACRE_CACHE_IMAGES");
	char *end = NULL;
	unsigned long number = wanted ? strtoul(wanted, &end, 10) : 0;

	return wanted && end != wanted && *end == '\0' && number > 0 ? number : IMAGES_MOST;
}

/* How many images there are, and the name and lock of the one that was used longest ago of those that nobody uses; -1 where
 * there is none. */
static size_t survey(int cache, char name[NAME_MAX + 1], int *lock)
{
	DIR *stream = fdopendir(openat(cache, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct timespec oldest = {0};
	size_t count = 0;

	*lock = -1;
	for (struct dirent *entry = stream ? readdir(stream) : NULL; entry; entry = readdir(stream)) {
		cleanup_close int fd = -1;
		struct stat status;

		if (*entry->d_name == '.')
			continue;
		fd = openat(cache, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &status) < 0)
			continue;
		count++;
		if ((*lock >= 0 && (status.st_mtim.tv_sec > oldest.tv_sec ||
				    (status.st_mtim.tv_sec == oldest.tv_sec && status.st_mtim.tv_nsec >= oldest.tv_nsec))) ||
		    flock(fd, LOCK_EX | LOCK_NB) < 0)
			continue;
		fd_close(lock);
		*lock = take_fd(&fd);
		oldest = status.st_mtim;
		strcpy(name, entry->d_name);
	}
	if (stream)
		closedir(stream);
	return count;
}

/* Makes room for one more. */
static void remove_oldest(int cache)
{
	char name[NAME_MAX + 1];
	struct error error;
	size_t most = images_most();
	bool removed = true;

	while (removed) {
		cleanup_close int lock = -1;

		removed = survey(cache, name, &lock) >= most && lock >= 0 && path_remove_tree(cache, name, &error) == 0;
	}
}

int cache_make(struct source *source, struct error *error)
{
	char path[PATH_SIZE];
	cleanup_close int cache = open_cache(path, error), lock = -1;

	if (cache < 0)
		return cache;
	/* One at a time: a folder that is made, and not locked yet, must not look dead. */
	lock = openat(cache, ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return error_errno(error, errno, "lock %s", path);
	remove_dead(cache);
	remove_oldest(cache);
	set_final_path(source, path);
	snprintf(source->folder_path, sizeof(source->folder_path), "%s/" NEW "XXXXXX", path);
	if (!mkdtemp(source->folder_path)) {
		*source->folder_path = '\0';
		return error_errno(error, errno, "make a folder in %s", path);
	}
	source->folder = open(source->folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (source->folder < 0 || flock(source->folder, LOCK_EX | LOCK_NB) < 0)
		return error_errno(error, errno, "lock %s", source->folder_path);
	return 0;
}

int cache_keep(struct source *source, struct error *error)
{
	if (rename(source->folder_path, source->final_path) == 0) {
		flock(source->folder, LOCK_SH);
		return 0;
	}
	if (errno != EEXIST && errno != ENOTEMPTY)
		return error_errno(error, errno, "keep the image in %s", source->final_path);
	cache_forget(source);
	return cache_find(source) == 0 ? 0 : error_set(error, ENOENT, "%s is gone", source->final_path);
}

void cache_forget(struct source *source)
{
	struct error error;

	if (!*source->final_path || !*source->folder_path)
		return;
	fd_close(&source->folder);
	path_remove_tree(AT_FDCWD, source->folder_path, &error);
	*source->folder_path = '\0';
}
