/* A file that is an image of a file system already: used as it is, read-only. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/filesystem.h"
#include "runtime/source.h"

/* Of squashfs, by number (its superblock, at 20); those that the guest's kernels have (kernel-config/squashfs.config) are
 * left out. */
static const char *const compressors[] = {[2] = "lzma", [3] = "lzo", [4] = "xz", [6] = "zstd"};
#define COMPRESSOR_OFFSET 20

static void find_compressor(struct source *source)
{
	uint16_t number = 0;

	if (strcmp(source->filesystem, "squashfs") == 0 &&
	    pread(source->fd, &number, sizeof(number), COMPRESSOR_OFFSET) == (ssize_t)sizeof(number) &&
	    le16toh(number) < array_size(compressors))
		source->compressor = compressors[le16toh(number)];
}

static int image_open(struct source *source, struct error *error)
{
	char head[FILESYSTEM_HEAD_SIZE];
	ssize_t length = pread(source->fd, head, sizeof(head), 0);

	if (length < 0)
		return error_errno(error, errno, "read it");
	source->filesystem = filesystem_of(head, (size_t)length);
	if (!source->filesystem)
		return 0;
	find_compressor(source);
	return 1;
}

static int image_start(struct source *source, const struct run_directory *directory, struct child *child,
		       struct error *error)
{
	cleanup_free char *path = realpath(source->path, NULL);

	child->pid = 0;
	return path ? source_link_disk(directory, path, error) : error_errno(error, errno, "find it");
}

const struct source_kind source_image = {.name = "image of a file system", .open = image_open, .start = image_start};
