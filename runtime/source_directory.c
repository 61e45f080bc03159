/* A directory, packed by mkfs.erofs for each run. */
#include "runtime/pack.h"
#include "runtime/source.h"

#include <errno.h>
#include <fcntl.h>

static int directory_open(struct source *source, struct error *error)
{
	int status = pack_check_root(source->fd, error);

	if (status < 0)
		return status;
	source->root = source->fd;
	source->filesystem = "erofs";
	source->packer = "mkfs.erofs";
	return 1;
}

static int directory_start(struct source *source, const struct run_directory *directory, struct child *child,
			   struct error *error)
{
	return pack_start(child, source->packer, source->root, directory, SOURCE_DISK, error);
}

static int directory_finish(struct source *source, const struct run_directory *directory, int status,
			    struct error *error)
{
	(void)source;
	return pack_finish(status, directory, SOURCE_DISK, error);
}

const struct source_kind source_directory = {"directory", directory_open, directory_start, directory_finish};
