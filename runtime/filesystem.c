/* Magic numbers. */
#include "runtime/filesystem.h"

#include <string.h>

#include "lib/cleanup.h"

static const struct {
	size_t offset, length;
	const char *magic;
	const char *name;
} filesystems[] = {
	{0, 4, "hsqs", "squashfs"},
	{1024, 4, "\xe2\xe1\xf5\xe0", "erofs"},
	{1024 + 56, 2, "\x53\xef", "ext4"},
};

const char *filesystem_of(const void *head, size_t length)
{
	for (size_t i = 0; i < array_size(filesystems); i++)
		if (filesystems[i].offset + filesystems[i].length <= length &&
		    memcmp((const char *)head + filesystems[i].offset, filesystems[i].magic, filesystems[i].length) == 0)
			return filesystems[i].name;
	return NULL;
}
