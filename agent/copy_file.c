/* Copies into the shared folder: every step works on a parent that has been opened inside it. */
#include "agent/copy_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/path.h"

/* The part of the path below the folder; NULL where it isn't below. */
static const char *below_root(const char *path)
{
	static const char root[] = COPY_FILE_ROOT "/";

	return strncmp(path, root, sizeof(root) - 1) == 0 ? path + sizeof(root) - 1 : NULL;
}

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* A component that is empty, "." or "..": none of them is what a copy may be named by. */
static bool has_bad_component(const char *path)
{
	while (true) {
		size_t length = strcspn(path, "/");

		if (length == 0 || length > NAME_MAX || strncmp(path, ".", length) == 0 ||
		    (length == 2 && strncmp(path, "..", 2) == 0))
			return true;
		if (path[length] == '\0')
			return false;
		path += length + 1;
	}
}

int copy_file_check(const struct copy_file *copy, struct error *error)
{
	const char *path = below_root(copy->path);

	if (!path || strlen(path) >= PATH_MAX || has_bad_component(path))
		return error_set(error, EINVAL, "CopyFile: '%.120s' is no path below " COPY_FILE_ROOT, copy->path);
	if (copy->offset < 0 || copy->size < 0 || copy->offset > INT64_MAX - (int64_t)copy->length)
		return error_set(error, EINVAL, "CopyFile: %.120s: bad offset or size", copy->path);
	if (S_ISLNK(copy->mode) && (copy->length == 0 || copy->length >= PATH_MAX))
		return error_set(error, EINVAL, "CopyFile: %.120s: bad length of a symlink's target", copy->path);
	return 0;
}

/* Opens the folder that the file goes into, made where it is missing. */
static int open_parent(const struct copy_file *copy, struct error *error)
{
	cleanup_close int guest = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), root = -1, parent = -1;
	const char *path = below_root(copy->path);
	char parent_path[PATH_MAX];
	bool made;

	root = path_make_directories(guest, COPY_FILE_ROOT, 0755, error);
	if (root < 0)
		return root;
	snprintf(parent_path, sizeof(parent_path), "%.*s", (int)(last_component(path) - path), path);
	parent = path_open_in_root(root, parent_path, O_PATH | O_DIRECTORY, 0, NULL);
	made = parent == -ENOENT;
	if (made)
		parent = path_make_directories(root, parent_path, copy->directory_mode & 0777, error);
	if (parent < 0)
		return error_errno(error, -parent, "open the folder of %s", copy->path);
	if (made && fchownat(parent, "", copy->uid, copy->gid, AT_EMPTY_PATH) < 0)
		return error_errno(error, errno, "change the owner of the folder of %s", copy->path);
	return take_fd(&parent);
}

static int copy_directory(const struct copy_file *copy, int parent, const char *name, struct error *error)
{
	cleanup_close int directory = -1;

	if (unlinkat(parent, name, 0) < 0 && errno != ENOENT && errno != EISDIR && errno != EPERM)
		return error_errno(error, errno, "replace %s", copy->path);
	if (mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
		return error_errno(error, errno, "make %s", copy->path);
	directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (directory < 0 || fchown(directory, copy->uid, copy->gid) < 0 || fchmod(directory, copy->mode & 07777) < 0)
		return error_errno(error, errno, "set owner and mode of %s", copy->path);
	return 0;
}

static int copy_symlink(const struct copy_file *copy, int parent, const char *name, struct error *error)
{
	char target[PATH_MAX];
	int status = path_remove_tree(parent, name, error);

	if (status < 0)
		return status;
	snprintf(target, sizeof(target), "%.*s", (int)copy->length, (const char *)copy->data);
	if (symlinkat(target, parent, name) < 0)
		return error_errno(error, errno, "make the symlink %s", copy->path);
	if (fchownat(parent, name, copy->uid, copy->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(error, errno, "change the owner of %s", copy->path);
	return 0;
}

/* Where a file grows until its last part has come: its last extension is replaced, as the Kata agent has it. */
static int name_temporary(const struct copy_file *copy, const char *name, char temporary[NAME_MAX + 1],
			  struct error *error)
{
	const char *dot = strrchr(name, '.');
	int length = dot && dot != name ? (int)(dot - name) : (int)strlen(name);

	if (snprintf(temporary, NAME_MAX + 1, "%.*s.tmp", length, name) > NAME_MAX)
		return error_set(error, ENAMETOOLONG, "CopyFile: %s: its name is too long", copy->path);
	return 0;
}

static int write_at(int fd, const char *data, size_t length, int64_t offset)
{
	while (length > 0) {
		ssize_t count = pwrite(fd, data, length, offset);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		data += count;
		offset += count;
		length -= (size_t)count;
	}
	return 0;
}

static int copy_regular(const struct copy_file *copy, int parent, const char *name, struct error *error)
{
	int first = copy->offset == 0 ? O_TRUNC : 0, status;
	char temporary[NAME_MAX + 1];
	cleanup_close int fd = -1;
	struct stat state;

	status = name_temporary(copy, name, temporary, error);
	if (status == 0 && first)
		status = path_remove_tree(parent, name, error);
	if (status < 0)
		return status;
	fd = openat(parent, temporary, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | first, 0600);
	if (fd < 0 || fstat(fd, &state) < 0)
		return error_errno(error, errno, "open the new %s", copy->path);
	if (!S_ISREG(state.st_mode))
		return error_set(error, EINVAL, "CopyFile: %s: something else is in its place", copy->path);
	status = write_at(fd, copy->data, copy->length, copy->offset);
	if (status < 0)
		return error_errno(error, -status, "write %s", copy->path);
	if (fstat(fd, &state) < 0)
		return error_errno(error, errno, "look at %s", copy->path);
	if (state.st_size != copy->size)
		return 0;
	if (fchown(fd, copy->uid, copy->gid) < 0 || fchmod(fd, copy->mode & 07777) < 0 ||
	    renameat(parent, temporary, parent, name) < 0)
		return error_errno(error, errno, "finish %s", copy->path);
	return 0;
}

int copy_file(const struct copy_file *copy, struct error *error)
{
	cleanup_close int parent = open_parent(copy, error);
	const char *name = last_component(copy->path);

	if (parent < 0)
		return parent;
	if (S_ISDIR(copy->mode))
		return copy_directory(copy, parent, name, error);
	if (S_ISLNK(copy->mode))
		return copy_symlink(copy, parent, name, error);
	return copy_regular(copy, parent, name, error);
}
