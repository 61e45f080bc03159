/* A file that is an image of a file system already: used as it is, read-only. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/source.h"

/* Magic numbers of the superblocks, all little-endian. */
static const struct {
	const char *name;
	off_t offset;
	uint8_t magic[4];
	size_t length;
} filesystems[] = {
	{"erofs", 1024, {0xe2, 0xe1, 0xf5, 0xe0}, 4},
	{"squashfs", 0, {'h', 's', 'q', 's'}, 4},
	{"ext4", 1024 + 56, {0x53, 0xef}, 2},
};

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
	uint8_t bytes[4];

	for (size_t i = 0; i < array_size(filesystems); i++) {
		ssize_t length = pread(source->fd, bytes, filesystems[i].length, filesystems[i].offset);

		if (length < 0)
			return error_errno(error, errno, "read it");
		if ((size_t)length == filesystems[i].length &&
		    memcmp(bytes, filesystems[i].magic, filesystems[i].length) == 0) {
			source->filesystem = filesystems[i].name;
			find_compressor(source);
			return 1;
		}
	}
	return 0;
}

static int image_start(struct source *source, const struct run_directory *directory, struct child *child,
		       struct error *error)
{
	cleanup_free char *path = realpath(source->path, NULL);

	child->pid = 0;
	return path ? source_link_disk(directory, path, error) : error_errno(error, errno, "find it");
}

const struct source_kind source_image = {.name = "image of a file system", .open = image_open, .start = image_start};
