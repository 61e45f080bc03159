/* By what the file starts with. A text of dm-verity goes to the kernel's command line between quotation marks, so it may
 * have none of its own, and no second line. */
#include "runtime/image.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/filesystem.h"

/* Archives for the kernel to unpack. */
static const struct {
	size_t length;
	const char *magic;
} archives[] = {
	{6, "070701"},		 /* cpio */
	{6, "070702"},		 /* cpio with checksums */
	{2, "\x1f\x8b"},	 /* gzip; whether a kernel takes it is up to that */
	{6, "\xfd""7zXZ\0"},	 /* xz */
	{4, "\x28\xb5\x2f\xfd"}, /* zstd */
	{4, "\x02\x21\x4c\x18"}, /* lz4, as the kernel has it */
};

static bool is_archive(const char *head, size_t length)
{
	for (size_t i = 0; i < array_size(archives); i++)
		if (archives[i].length <= length && memcmp(head, archives[i].magic, archives[i].length) == 0)
			return true;
	return false;
}

static int check_verity(char *text, size_t length, const char *path, struct error *error)
{
	if (length > 0 && text[length - 1] == '\n')
		length--;
	for (size_t i = 0; i < length; i++)
		if (text[i] < ' ' || text[i] > '~' || text[i] == '"')
			return error_set(error, EINVAL, "%s: not one line of text for dm-mod.create=", path);
	if (length == 0 || length >= IMAGE_VERITY_SIZE)
		return error_set(error, EINVAL, "%s: %s", path, length ? "too long" : "empty");
	text[length] = '\0';
	return 0;
}

static int read_verity(struct image *image, struct error *error)
{
	cleanup_close int fd = -1;
	char path[PATH_MAX];
	ssize_t length;

	if (snprintf(path, sizeof(path), "%s.verity", image->path) >= (int)sizeof(path))
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : error_errno(error, errno, "open %s", path);
	length = read(fd, image->verity, sizeof(image->verity));
	if (length < 0)
		return error_errno(error, errno, "read %s", path);
	return check_verity(image->verity, (size_t)length, path, error);
}

int image_open(struct image *image, const char *path, struct error *error)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	char head[FILESYSTEM_HEAD_SIZE];
	ssize_t length;

	*image = (struct image){.path = path};
	if (fd < 0)
		return error_errno(error, errno, "open %s", path);
	length = read(fd, head, sizeof(head));
	if (length < 0)
		return error_errno(error, errno, "read %s", path);
	/* First: what an archive holds may look like a superblock. */
	if (is_archive(head, (size_t)length))
		return 0;
	image->type = filesystem_of(head, (size_t)length);
	if (!image->type)
		return error_set(error, EINVAL, "%s is no guest image: neither an initramfs nor erofs, ext4 or squashfs",
				 path);
	return read_verity(image, error);
}
