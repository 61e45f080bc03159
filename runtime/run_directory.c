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
#include "runtime/printable.h"

#define BASE_OF_ROOT "/run/nacre"
#define LONGEST_FILE "/vsock.sock_4294967295"
#define NAME_ATTEMPTS 16
#define TAIL_SIZE 4096
#define NEW_FILE ".new"

static int base_path(char path[RUN_DIRECTORY_PATH_SIZE], struct error *error)
{
	const char *chosen = getenv("NACRE_RUNTIME_DIR"), *runtime = getenv("XDG_RUNTIME_DIR");
	int length;

	if (chosen && *chosen != '/')
		return error_set(error, EINVAL, "NACRE_RUNTIME_DIR is not an absolute path");
	if (chosen)
		length = snprintf(path, RUN_DIRECTORY_PATH_SIZE, "%s", chosen);
	else if (geteuid() == 0)
		length = snprintf(path, RUN_DIRECTORY_PATH_SIZE, "%s", BASE_OF_ROOT);
	else if (!runtime || *runtime != '/')
		return error_set(error, ENOENT, "XDG_RUNTIME_DIR, which users other than root need, is not set");
	else
		length = snprintf(path, RUN_DIRECTORY_PATH_SIZE, "%s/nacre", runtime);
	if (length >= RUN_DIRECTORY_PATH_SIZE)
		return error_set(error, ENAMETOOLONG, "%s is too long", chosen ? "NACRE_RUNTIME_DIR" : "XDG_RUNTIME_DIR");
	return 0;
}

/* Opens the folder above. It must be ours alone: sockets and images in it are trusted. */
static int open_base(struct run_directory *directory, struct error *error)
{
	struct stat stat;

	if (base_path(directory->path, error) < 0)
		return -error->number;
	directory->base = open(directory->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (directory->base < 0 || fstat(directory->base, &stat) < 0)
		return error_errno(error, errno, "open %s", directory->path);
	if (stat.st_uid != geteuid() || (stat.st_mode & 022))
		return error_set(error, EPERM, "%s is somebody else's, or others can write there", directory->path);
	return 0;
}

/* The same for somebody who makes something there: makes it, and takes its lock. */
static int make_base(struct run_directory *directory, struct error *error)
{
	int status = base_path(directory->path, error);

	if (status == 0 && mkdir(directory->path, 0700) < 0 && errno != EEXIST)
		return error_errno(error, errno, "make %s", directory->path);
	if (status == 0)
		status = open_base(directory, error);
	if (status == 0 && flock(directory->base, LOCK_EX) < 0)
		return error_errno(error, errno, "lock %s", directory->path);
	return status;
}

static bool is_locked(int directory)
{
	cleanup_close int fd = openat(directory, RUN_DIRECTORY_LOCK, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fd < 0)
		return errno != ENOENT;
	return fcntl(fd, F_OFD_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
}

/* Removes what dead VMs have left and nobody wants. What can't be removed stays, and only matters to who wants that
 * name. */
static void remove_dead(int base)
{
	DIR *stream = fdopendir(openat(base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	if (!stream)
		return;
	for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream)) {
		cleanup_close int fd = -1;

		if (!name_valid(entry->d_name))
			continue;
		fd = openat(base, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && !is_locked(fd) && faccessat(fd, RUN_DIRECTORY_KEEP, F_OK, 0) < 0)
			path_remove_tree(base, entry->d_name, NULL);
	}
	closedir(stream);
}

static int explain_in_use(const struct run_directory *directory, struct error *error)
{
	cleanup_close int fd = openat(directory->base, directory->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && !is_locked(fd))
		return error_set(error, EEXIST, "the name %s is in use by a container that has ended: nacre rm %s",
				 directory->name, directory->name);
	return error_set(error, EEXIST, "the name %s is in use", directory->name);
}

/* Appends the name to the path. What it is part of has to fit into a socket's address. */
static int set_path(struct run_directory *directory, struct error *error)
{
	size_t length = strlen(directory->path);

	if (length + 1 + strlen(directory->name) + strlen(LONGEST_FILE) >= sizeof(directory->path))
		return error_set(error, ENAMETOOLONG, "%s/%s is too long for the sockets in it", directory->path,
				 directory->name);
	snprintf(directory->path + length, sizeof(directory->path) - length, "/%s", directory->name);
	return 0;
}

static int make_own(struct run_directory *directory, const char *name, struct error *error)
{
	int attempts = 0, status;

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
			return explain_in_use(directory, error);
	} while (true);
	status = set_path(directory, error);
	if (status < 0)
		unlinkat(directory->base, directory->name, AT_REMOVEDIR);
	return status;
}

static int lock_own(struct run_directory *directory, struct error *error)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	directory->fd = open(directory->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (directory->fd < 0)
		return error_errno(error, errno, "open %s", directory->path);
	directory->lock = openat(directory->fd, RUN_DIRECTORY_LOCK, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (directory->lock < 0 || fcntl(directory->lock, F_OFD_SETLK, &lock) < 0)
		return error_errno(error, errno, "lock %s", directory->path);
	return 0;
}

int run_directory_create(struct run_directory *directory, const char *name, struct error *error)
{
	int status;

	*directory = (struct run_directory){.base = -1, .fd = -1, .lock = -1};
	if (name && !name_valid(name))
		return error_set(error, EINVAL, "'%s' is no name: " NAME_RULE, name);
	status = make_base(directory, error);
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

int run_directory_keep(const struct run_directory *directory, struct error *error)
{
	cleanup_close int fd = openat(directory->fd, RUN_DIRECTORY_KEEP, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 ? error_errno(error, errno, "make %s/%s", directory->path, RUN_DIRECTORY_KEEP) : 0;
}

void run_directory_close(struct run_directory *directory)
{
	if (directory->fd < 0)
		return;
	fd_close(&directory->fd);
	fd_close(&directory->lock);
	fd_close(&directory->base);
}

void run_directory_strip(const struct run_directory *directory, const char *const *kept)
{
	DIR *stream = fdopendir(openat(directory->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	if (!stream)
		return;
	for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream)) {
		const char *const *name = kept;

		while (*name && strcmp(*name, entry->d_name) != 0)
			name++;
		if (!*name && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			path_remove_tree(directory->fd, entry->d_name, NULL);
	}
	closedir(stream);
}

void run_directory_remove(struct run_directory *directory)
{
	if (directory->fd < 0)
		return;
	path_remove_tree(directory->base, directory->name, NULL);
	run_directory_close(directory);
}

int run_directory_open(struct run_directory *directory, const char *name, struct error *error)
{
	int status = -ENOENT;

	*directory = (struct run_directory){.base = -1, .fd = -1, .lock = -1};
	if (name_valid(name))
		status = open_base(directory, error);
	if (status == 0) {
		snprintf(directory->name, sizeof(directory->name), "%s", name);
		directory->fd = openat(directory->base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		status = directory->fd < 0 ? -ENOENT : set_path(directory, error);
	}
	if (status == 0)
		return 0;
	fd_close(&directory->fd);
	fd_close(&directory->base);
	return status == -ENOENT ? error_set(error, ENOENT, "there is no container '%s'", name) : status;
}

bool run_directory_alive(const struct run_directory *directory)
{
	bool alive;

	/* Not between the making of a directory and that of its lock. */
	flock(directory->base, LOCK_SH);
	alive = is_locked(directory->fd);
	flock(directory->base, LOCK_UN);
	return alive;
}

void run_directory_await_end(const struct run_directory *directory)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd;

	/* So that nobody takes our lock for a monitor's. */
	flock(directory->base, LOCK_EX);
	fd = openat(directory->fd, RUN_DIRECTORY_LOCK, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		fcntl(fd, F_OFD_SETLKW, &lock);
	fd_close(&fd);
	flock(directory->base, LOCK_UN);
}

/* Whether the name still is that of what was opened. */
static bool is_current(const struct run_directory *directory)
{
	struct stat opened, named;

	return fstat(directory->fd, &opened) == 0 && opened.st_nlink > 0 &&
	       fstatat(directory->base, directory->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

int run_directory_discard(struct run_directory *directory, struct error *error)
{
	int status = 0;

	flock(directory->base, LOCK_EX);
	if (is_locked(directory->fd))
		status = error_set(error, EBUSY, "the container %s is running: stop it first, or use --force",
				   directory->name);
	else if (is_current(directory))
		status = path_remove_tree(directory->base, directory->name, error);
	flock(directory->base, LOCK_UN);
	return status;
}

static int add_name(char ***names, size_t *count, const char *name)
{
	char **grown = reallocarray(*names, *count + 2, sizeof(char *));

	if (!grown)
		return -ENOMEM;
	*names = grown;
	grown[*count] = name ? strdup(name) : NULL;
	grown[*count + 1] = NULL;
	if (name && !grown[*count])
		return -ENOMEM;
	*count += name ? 1 : 0;
	return 0;
}

char **run_directory_list(struct error *error)
{
	struct run_directory directory = {.base = -1};
	int status = open_base(&directory, error);
	char **names = NULL;
	size_t count = 0;
	DIR *stream;

	/* Nobody has ever run one. */
	if (status == -ENOENT && *directory.path)
		status = 0;
	if (status < 0) {
		fd_close(&directory.base);
		return NULL;
	}
	status = add_name(&names, &count, NULL);
	stream = directory.base < 0 ? NULL : fdopendir(directory.base);
	for (struct dirent *entry = stream ? readdir(stream) : NULL; entry && status == 0; entry = readdir(stream))
		if (name_valid(entry->d_name))
			status = add_name(&names, &count, entry->d_name);
	if (stream)
		closedir(stream);
	if (status == 0)
		return names;
	error_errno(error, ENOMEM, "list of containers");
	run_directory_free_list(names);
	return NULL;
}

void run_directory_free_list(char **names)
{
	for (char **name = names; name && *name; name++)
		free(*name);
	free(names);
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
		text[count++] = printable(line[i]);
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
