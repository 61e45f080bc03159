/* Resolution inside a root by openat2(2), and removal of trees that somebody else may be changing. */
#include "lib/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define NESTING_MAX 64
#define REMOVAL_TRIES 16
#define LINKS_MAX 16 /* that lead to nothing, in one path */
#define RENAMES_MAX 10000 /* that come in between, of one path: somebody is at it */

static int open_below(int root, const char *path, int flags, mode_t mode, uint64_t resolve)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.mode = (flags & O_CREAT) ? mode : 0,
		.resolve = resolve | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	/* EAGAIN: there was a rename, of whatever is mounted, while ".." was resolved. */
	for (int tries = 0; tries < RENAMES_MAX; tries++) {
		fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EINTR && errno != EAGAIN))
			return fd < 0 ? -errno : (int)fd;
	}
	return -EBUSY;
}

static int fail_to_open(struct error *error, int status, const char *path)
{
	if (status == -EBUSY)
		return error_set(error, EBUSY, "open %s in the root: somebody renames what is on the way all the time", path);
	return error_errno(error, -status, "open %s in the root", path);
}

int path_open_in_root(int root, const char *path, int flags, mode_t mode, struct error *error)
{
	int fd = open_below(root, *path ? path : ".", flags, mode, RESOLVE_IN_ROOT);

	return fd < 0 ? fail_to_open(error, fd, path) : fd;
}

int path_open_beneath(int directory, const char *path, int flags, mode_t mode)
{
	return open_below(directory, *path ? path : ".", flags, mode, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

/* The first component of *path, copied to `name`; *path moves behind it. 0 at the end. */
static int next_component(const char **path, char name[NAME_MAX + 1])
{
	size_t length;

	*path += strspn(*path, "/");
	length = strcspn(*path, "/");
	if (length > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, *path, length);
	name[length] = '\0';
	*path += length;
	return length > 0;
}

static int make_directories(int root, const char *path, mode_t mode, int links, struct error *error);

/* Goes on where a symlink leads that leads to nothing yet: `link` is what `name` in `parent` says, `done` the path of that
 * parent, `rest` what comes after it. The new path is resolved from the root again, so it stays in there. */
static int follow_dangling(int parent, const char *name, char target[PATH_MAX], const char *done, const char *rest)
{
	char link[PATH_MAX];
	ssize_t length = readlinkat(parent, name, link, sizeof(link) - 1);
	int printed;

	if (length < 0)
		return errno == EINVAL ? -ENOENT : -errno; /* no symlink: it has been there and is gone */
	link[length] = '\0';
	printed = snprintf(target, PATH_MAX, "%s%s%s/%s", *link == '/' ? "" : done, *link == '/' ? "" : "/", link, rest);
	return printed < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int make_below(int root, const char *path, mode_t mode, int links, struct error *error)
{
	const char *rest = path;
	char done[PATH_MAX] = "", target[PATH_MAX];
	char name[NAME_MAX + 1];
	size_t length = 0;
	int more, fd, status;

	fd = open_below(root, ".", O_PATH | O_DIRECTORY, 0, RESOLVE_IN_ROOT);
	while (fd >= 0 && (more = next_component(&rest, name)) != 0) {
		cleanup_close int parent = take_fd(&fd);
		size_t before = length;

		if (more < 0 || length + strlen(name) + 2 > sizeof(done))
			return error_errno(error, ENAMETOOLONG, "make %s in the root", path);
		length += (size_t)sprintf(done + length, "/%s", name);
		/* Made in its opened parent, so below the root; then resolved again from the root, as what was there
		 * already may be a symlink, which counts from the root. */
		if (strcmp(name, "..") != 0 && mkdirat(parent, name, mode) < 0 && errno != EEXIST)
			return error_errno(error, errno, "make %s in the root", path);
		fd = open_below(root, done, O_PATH | O_DIRECTORY, 0, RESOLVE_IN_ROOT);
		if (fd != -ENOENT)
			continue;
		done[before] = '\0';
		status = links < LINKS_MAX ? follow_dangling(parent, name, target, done, rest) : -ELOOP;
		return status < 0 ? error_errno(error, -status, "make %s in the root", path) :
				    make_directories(root, target, mode, links + 1, error);
	}
	return fd < 0 ? fail_to_open(error, fd, path) : fd;
}

/* Where only the last component is missing. What can't be done so is -errno, and make_below()'s. */
static int make_last(int root, const char *path, mode_t mode)
{
	const char *name = strrchr(path, '/');
	cleanup_close int parent = -1;
	char parent_path[PATH_MAX];

	if (!name || !name[1] || strcmp(name, "/..") == 0 || (size_t)(name - path) >= sizeof(parent_path))
		return -ENOENT;
	memcpy(parent_path, path, (size_t)(name - path));
	parent_path[name - path] = '\0';
	parent = open_below(root, *parent_path ? parent_path : ".", O_PATH | O_DIRECTORY, 0, RESOLVE_IN_ROOT);
	if (parent < 0 || mkdirat(parent, name + 1, mode) < 0)
		return -ENOENT;
	/* From the root again, as below. */
	return open_below(root, path, O_PATH | O_DIRECTORY, 0, RESOLVE_IN_ROOT);
}

static int make_directories(int root, const char *path, mode_t mode, int links, struct error *error)
{
	int fd = open_below(root, *path ? path : ".", O_PATH | O_DIRECTORY, 0, RESOLVE_IN_ROOT);

	if (fd == -ENOENT)
		fd = make_last(root, path, mode);
	if (fd >= 0)
		return fd;
	return fd == -ENOENT ? make_below(root, path, mode, links, error) :
			       fail_to_open(error, fd, path);
}

int path_make_directories(int root, const char *path, mode_t mode, struct error *error)
{
	return make_directories(root, path, mode, 0, error);
}

static int make_file(int root, const char *path, mode_t mode, int links, struct error *error)
{
	char parent_path[PATH_MAX], target[PATH_MAX];
	const char *name = strrchr(path, '/');
	cleanup_close int parent = -1, made = -1;
	size_t length = name ? (size_t)(name - path) : 0;
	int fd, status;

	fd = open_below(root, path, O_PATH, 0, RESOLVE_IN_ROOT);
	if (fd != -ENOENT)
		return fd >= 0 ? fd : fail_to_open(error, fd, path);
	name = name ? name + 1 : path;
	if (length >= sizeof(parent_path) || !*name)
		return error_errno(error, *name ? ENAMETOOLONG : EISDIR, "make the file %s in the root", path);
	memcpy(parent_path, path, length);
	parent_path[length] = '\0';
	parent = path_make_directories(root, parent_path, 0755, error);
	if (parent < 0)
		return parent;
	made = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, mode);
	if (made < 0 && errno != EEXIST)
		return error_errno(error, errno, "make the file %s in the root", path);
	fd = open_below(root, path, O_PATH, 0, RESOLVE_IN_ROOT);
	if (fd >= 0)
		return fd;
	/* As /etc/resolv.conf often is: a symlink to what only a running system has. */
	status = fd != -ENOENT || links >= LINKS_MAX ? fd : follow_dangling(parent, name, target, parent_path, "");
	if (status < 0)
		return fail_to_open(error, status, path);
	target[strlen(target) - 1] = '\0'; /* the slash in front of no rest */
	return make_file(root, target, mode, links + 1, error);
}

int path_make_file(int root, const char *path, mode_t mode, struct error *error)
{
	return make_file(root, path, mode, 0, error);
}

const char *path_of_fd(char text[PATH_OF_FD_SIZE], int fd)
{
	snprintf(text, PATH_OF_FD_SIZE, "/proc/self/fd/%d", fd);
	return text;
}

static int remove_entry(int directory, const char *name, int depth);

static int remove_contents(int fd, int depth)
{
	DIR *stream = fdopendir(fd);
	int status = 0;

	if (!stream) {
		close(fd);
		return -errno;
	}
	for (struct dirent *entry = readdir(stream); entry && status == 0; entry = readdir(stream))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			status = remove_entry(dirfd(stream), entry->d_name, depth);
	closedir(stream);
	return status;
}

/* The directory is to be empty now. Whoever is about to end may put a last file there meanwhile: that goes as well. */
static int remove_directory(int directory, const char *name, int depth)
{
	int fd, status = -ENOTEMPTY;

	for (int tries = 0; status == -ENOTEMPTY && tries < REMOVAL_TRIES; tries++) {
		fd = open_below(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0,
				RESOLVE_BENEATH | RESOLVE_NO_XDEV);
		if (fd < 0)
			return fd == -ENOENT ? 0 : fd;
		status = remove_contents(fd, depth + 1);
		if (status == 0 && unlinkat(directory, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
			status = -errno;
	}
	return status;
}

static int remove_entry(int directory, const char *name, int depth)
{
	if (unlinkat(directory, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	return depth >= NESTING_MAX ? -ELOOP : remove_directory(directory, name, depth);
}

int path_remove_tree(int directory, const char *name, struct error *error)
{
	const char *last = strrchr(name, '/');
	cleanup_close int parent = -1;
	char parent_path[PATH_MAX];
	int status;

	/* The caller's own part of the path is resolved as usual; below it, component by component. */
	if (last) {
		snprintf(parent_path, sizeof(parent_path), "%.*s", (int)(last - name + 1), name);
		parent = openat(directory, parent_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (parent < 0)
			return errno == ENOENT ? 0 : error_errno(error, errno, "open %s", parent_path);
		directory = parent;
	}
	status = remove_entry(directory, last ? last + 1 : name, 0);
	return status < 0 ? error_errno(error, -status, "remove %s", name) : 0;
}
