/* Run directories: where they are, whose they are, and their end. */
#include "runtime/run_directory.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/path.h"

#define BASE_OF_ROOT "/run/nacre"
#define LONGEST_FILE "/vsock.sock_4294967295"
#define NAME_ATTEMPTS 16
#define TAIL_SIZE 4096
#define NEW_FILE ".new"

static int base_path(char path[RUN_DIRECTORY_PATH_SIZE], struct error *error)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int length;

	if (geteuid() == 0)
		length = snprintf(path, RUN_DIRECTORY_PATH_SIZE, "%s", BASE_OF_ROOT);
	else if (!runtime || *runtime != '/')
		return error_set(error, ENOENT, "XDG_RUNTIME_DIR, which users other than root need, is not set");
	else
		length = snprintf(path, RUN_DIRECTORY_PATH_SIZE, "%s/nacre", runtime);
	if (length >= RUN_DIRECTORY_PATH_SIZE)
		return error_set(error, ENAMETOOLONG, "XDG_RUNTIME_DIR is too long");
	return 0;
}

/* Opens the folder above, and takes its lock. It must be ours alone: sockets and images in it are trusted. */
static int open_base(struct run_directory *directory, struct error *error)
{
	struct stat stat;

	if (base_path(directory->path, error) < 0)
		return -error->number;
	if (mkdir(directory->path, 0700) < 0 && errno != EEXIST)
		return error_errno(error, errno, "make %s", directory->path);
	directory->base = open(directory->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (directory->base < 0 || fstat(directory->base, &stat) < 0)
		return error_errno(error, errno, "open %s", directory->path);
	if (stat.st_uid != geteuid() || (stat.st_mode & 022))
		return error_set(error, EPERM, "%s is somebody else's, or others can write there", directory->path);
	if (flock(directory->base, LOCK_EX) < 0)
		return error_errno(error, errno, "lock %s", directory->path);
	return 0;
}

static bool is_dead(int base, const char *name)
{
	cleanup_close int fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_close int lock = fd < 0 ? -1 : openat(fd, "lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return false;
	return lock < 0 ? errno == ENOENT : flock(lock, LOCK_EX | LOCK_NB) == 0;
}

/* Removes what dead VMs have left. What can't be removed stays, and only matters to who wants that name. */
static void remove_dead(int base)
{
	DIR *stream = fdopendir(openat(base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	if (!stream)
		return;
	for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream))
		if (name_valid(entry->d_name) && is_dead(base, entry->d_name))
			path_remove_tree(base, entry->d_name, NULL);
	closedir(stream);
}

static int make_own(struct run_directory *directory, const char *name, struct error *error)
{
	size_t length = strlen(directory->path);
	int attempts = 0;

	do {
		if (name)
			snprintf(directory->name, sizeof(directory->name), "%s", name);
		else
			name_make(directory->name);
		if (mkdirat(directory->base, directory->name, 0700) == 0)
			break;
		if (errno != EEXIST)
			return error_errno(error, errno, "make %s/%s", directory->path, directory->name);
		if (name || ++attempts == NAME_ATTEMPTS)
			return error_set(error, EEXIST, "the name %s is in use", directory->name);
	} while (true);
	if (length + 1 + strlen(directory->name) + strlen(LONGEST_FILE) >= sizeof(directory->path)) {
		unlinkat(directory->base, directory->name, AT_REMOVEDIR);
		return error_set(error, ENAMETOOLONG, "%s/%s is too long for the sockets in it", directory->path,
				 directory->name);
	}
	snprintf(directory->path + length, sizeof(directory->path) - length, "/%s", directory->name);
	return 0;
}

static int lock_own(struct run_directory *directory, struct error *error)
{
	directory->fd = open(directory->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (directory->fd < 0)
		return error_errno(error, errno, "open %s", directory->path);
	directory->lock = openat(directory->fd, "lock", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (directory->lock < 0 || flock(directory->lock, LOCK_EX | LOCK_NB) < 0)
		return error_errno(error, errno, "lock %s", directory->path);
	return 0;
}

int run_directory_create(struct run_directory *directory, const char *name, struct error *error)
{
	int status;

	*directory = (struct run_directory){.base = -1, .fd = -1, .lock = -1};
	if (name && !name_valid(name))
		return error_set(error, EINVAL, "'%s' is no name: " NAME_RULE, name);
	status = open_base(directory, error);
	if (status == 0) {
		remove_dead(directory->base);
		status = make_own(directory, name, error);
	}
	if (status == 0)
		status = lock_own(directory, error);
	if (status < 0) {
		if (directory->fd >= 0)
			run_directory_remove(directory);
		fd_close(&directory->base);
		return status;
	}
	flock(directory->base, LOCK_UN);
	return 0;
}

void run_directory_remove(struct run_directory *directory)
{
	if (directory->fd < 0)
		return;
	path_remove_tree(directory->base, directory->name, NULL);
	fd_close(&directory->fd);
	fd_close(&directory->lock);
	fd_close(&directory->base);
}

const char *run_directory_file(const struct run_directory *directory, const char *name, char text[RUN_FILE_SIZE])
{
	snprintf(text, RUN_FILE_SIZE, "%s/%s", directory->path, name);
	return text;
}

int run_directory_write(const struct run_directory *directory, const char *name, const char *text, struct error *error)
{
	cleanup_close int fd = openat(directory->fd, NEW_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int status = fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));

	if (status == 0 && renameat(directory->fd, NEW_FILE, directory->fd, name) < 0)
		status = -errno;
	return status < 0 ? error_errno(error, -status, "write %s/%s", directory->path, name) : 0;
}

/* The guest may write anything to its console: what isn't plain text must not reach the user's terminal. */
static void copy_printable(char *text, size_t size, const char *line, size_t length)
{
	size_t count = 0;

	for (size_t i = 0; i < length && count + 1 < size; i++)
		text[count++] = line[i] >= ' ' && line[i] <= '~' ? line[i] : '?';
	text[count] = '\0';
}

void run_directory_last_line(const struct run_directory *directory, const char *name, const char *wanted, char *text,
			     size_t size)
{
	cleanup_close int fd = directory->fd < 0 ? -1 : openat(directory->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char tail[TAIL_SIZE];
	ssize_t end, start;
	off_t length;

	*text = '\0';
	length = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	if (length <= 0)
		return;
	lseek(fd, length > TAIL_SIZE ? length - TAIL_SIZE : 0, SEEK_SET);
	for (end = fd_read_all(fd, tail, sizeof(tail)); end > 0; end = start) {
		while (end > 0 && isspace((unsigned char)tail[end - 1]))
			end--;
		for (start = end; start > 0 && tail[start - 1] != '\n'; start--)
			;
		if (end == start || (wanted && !memmem(tail + start, (size_t)(end - start), wanted, strlen(wanted))))
			continue;
		copy_printable(text, size, tail + start, (size_t)(end - start));
		return;
	}
}
