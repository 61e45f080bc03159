/* tmpcopyup: what the image has at a tmpfs' target is copied into it before it is attached, as runc and crun do.
 *
 * The image is hostile and may be changed meanwhile: every name is looked up in an open folder, without following links,
 * and what it names is opened before it is looked at. Folders, files, links, FIFOs and device nodes come with owner and
 * mode; the tmpfs' size is the bound of what is copied.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/container/helper.h"
#include "lib/cleanup.h"

#define DEPTH_MAX 32
#define BLOCK_SIZE (1 << 20)

/* struct linux_dirent64, of getdents64(2) */
struct entry {
	uint64_t inode;
	int64_t next;
	uint16_t length;
	uint8_t type;
	char name[];
};

static int copy_folder(int from, int to, int depth, struct error *error);

static int copy_contents(int from, int to, const char *name, struct error *error)
{
	ssize_t count;

	do {
		count = sendfile(to, from, NULL, BLOCK_SIZE);
	} while (count > 0);
	return count < 0 ? error_errno(error, errno, "copy %s", name) : 0;
}

static int copy_link(int from, int to, const char *name, struct error *error)
{
	char target[PATH_MAX];
	ssize_t length = readlinkat(from, "", target, sizeof(target) - 1);

	if (length < 0)
		return error_errno(error, errno, "read the link %s", name);
	target[length] = '\0';
	return symlinkat(target, to, name) < 0 ? error_errno(error, errno, "make the link %s", name) : 0;
}

/* Makes the thing without what is in it; an fd of the new one for a folder or a file, 0 for others, or -errno. */
static int make(int from, const struct stat *stat, int to, const char *name, struct error *error)
{
	int fd = 0, status = 0;

	if (S_ISLNK(stat->st_mode))
		return copy_link(from, to, name, error);
	if (S_ISREG(stat->st_mode)) {
		fd = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	} else if (S_ISDIR(stat->st_mode)) {
		status = mkdirat(to, name, 0700);
		fd = status < 0 ? -1 : openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	} else if (S_ISSOCK(stat->st_mode)) {
		return 0;
	} else {
		status = mknodat(to, name, stat->st_mode, stat->st_rdev);
	}
	return fd < 0 || status < 0 ? error_errno(error, errno, "make %s", name) : fd;
}

static int set_owner_and_mode(int to, const char *name, const struct stat *stat, struct error *error)
{
	if (fchownat(to, name, stat->st_uid, stat->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(error, errno, "set the owner of %s", name);
	if (!S_ISLNK(stat->st_mode) && fchmodat(to, name, stat->st_mode & 07777, 0) < 0)
		return error_errno(error, errno, "set the mode of %s", name);
	return 0;
}

static int copy(int folder, const char *name, int to, int depth, struct error *error)
{
	cleanup_close int seen = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	cleanup_close int from = -1, made = -1;
	struct stat stat, opened;
	int status;

	if (seen < 0 || fstat(seen, &stat) < 0)
		return error_errno(error, errno, "open %s", name);
	if (S_ISREG(stat.st_mode) || S_ISDIR(stat.st_mode)) {
		from = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (from < 0 || fstat(from, &opened) < 0)
			return error_errno(error, errno, "open %s", name);
		if (opened.st_ino != stat.st_ino || opened.st_dev != stat.st_dev)
			return error_set(error, EAGAIN, "%s was exchanged while it was copied", name);
	}
	status = make(seen, &stat, to, name, error);
	if (status < 0)
		return status;
	if (status > 0)
		made = status;
	status = 0;
	if (S_ISREG(stat.st_mode))
		status = copy_contents(from, made, name, error);
	else if (S_ISDIR(stat.st_mode))
		status = copy_folder(from, made, depth + 1, error);
	if (status < 0 || S_ISSOCK(stat.st_mode))
		return status;
	return set_owner_and_mode(to, name, &stat, error);
}

static int copy_folder(int from, int to, int depth, struct error *error)
{
	char buffer[2048] __attribute__((aligned(8)));
	long length;

	if (depth > DEPTH_MAX)
		return error_set(error, ELOOP, "folders are more than %d deep", DEPTH_MAX);
	while ((length = syscall(SYS_getdents64, from, buffer, sizeof(buffer))) > 0) {
		for (long offset = 0; offset < length;) {
			const struct entry *entry = (const struct entry *)(buffer + offset);
			int status;

			offset += entry->length;
			if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
				continue;
			status = copy(from, entry->name, to, depth, error);
			if (status < 0)
				return status;
		}
	}
	return length < 0 ? error_errno(error, errno, "read a folder") : 0;
}

int copy_up(struct helper *helper, int target, int tree)
{
	cleanup_close int from = helper_reopen(helper, target, O_RDONLY | O_DIRECTORY);
	cleanup_close int to = helper_reopen(helper, tree, O_RDONLY | O_DIRECTORY);

	if (from < 0 || to < 0)
		return error_errno(&helper->error, from < 0 ? -from : -to, "open the folders");
	return copy_folder(from, to, 0, &helper->error);
}
