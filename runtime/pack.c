/* mkfs.erofs on a directory. */
#include "runtime/pack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/path.h"

#define NO_UUID "-U00000000-0000-0000-0000-000000000000" /* otherwise a random one: nobody looks at it */

static bool is_empty(int fd)
{
	DIR *stream = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	bool empty = true;

	if (!stream)
		return true;
	for (struct dirent *entry = readdir(stream); entry && empty; entry = readdir(stream))
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	closedir(stream);
	return empty;
}

int pack_check_root(int root, struct error *error)
{
	struct stat own, stat;

	if (fstat(root, &stat) < 0 || fstatat(AT_FDCWD, "/", &own, 0) < 0)
		return error_errno(error, errno, "look at it");
	if (stat.st_dev == own.st_dev && stat.st_ino == own.st_ino)
		return error_set(error, EINVAL, "this machine's own root can't be packed");
	if (is_empty(root))
		return error_set(error, ENODATA, "empty, there is nothing to run");
	return 0;
}

int pack_start(struct child *child, const char *packer, int root, const struct run_directory *directory,
	       const char *image, struct error *error)
{
	char file[RUN_FILE_SIZE], self[PATH_OF_FD_SIZE + 8];
	char *const argv[] = {(char *)packer, "--quiet", "-d1", "--preserve-mtime", NO_UUID,
			      (char *)run_directory_file(directory, image, file), self, NULL};
	cleanup_close int log = openat(directory->fd, PACK_LOG, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	cleanup_close int inherited = fcntl(root, F_DUPFD, 3);

	if (log < 0 || inherited < 0)
		return error_errno(error, errno, "pack the root file system");
	/* What was looked at is what is packed, whatever its path has become; "/." as the link is no directory. */
	snprintf(self, sizeof(self), "/proc/self/fd/%d/.", inherited);
	return child_start(child, argv, log, error);
}

int pack_finish(int status, const struct run_directory *directory, const char *image, struct error *error)
{
	char line[256];

	if (status == 0 && faccessat(directory->fd, image, R_OK, 0) == 0)
		return 0;
	run_directory_last_line(directory, PACK_LOG, NULL, line, sizeof(line));
	return error_set(error, EIO, "mkfs.erofs failed with status %d%s%s", status, *line ? ": " : "", line);
}
