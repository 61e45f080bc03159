/* An OCI bundle: config.json, and the root file system that it names, a directory inside of the bundle. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/path.h"
#include "runtime/pack.h"
#include "runtime/source.h"

#define CONFIG "config.json"
#define CONFIG_MOST (4u << 20)

static bool is_directory(int fd, const char *name)
{
	struct stat stat;

	return fstatat(fd, name, &stat, 0) == 0 && S_ISDIR(stat.st_mode);
}

static int load(struct source *source, struct error *error)
{
	cleanup_close int fd = path_open_in_root(source->fd, CONFIG, O_RDONLY | O_NONBLOCK, 0, error);
	cleanup_free char *text = malloc(CONFIG_MOST + 1);
	ssize_t length;

	if (fd < 0)
		return fd;
	if (!text)
		return error_errno(error, ENOMEM, CONFIG);
	length = fd_read_all(fd, text, CONFIG_MOST + 1);
	if (length < 0 || length > (ssize_t)CONFIG_MOST)
		return error_errno(error, length < 0 ? -(int)length : EFBIG, CONFIG);
	text[length] = '\0';
	source->bundle = take_pointer(&text);
	return 0;
}

static int open_root(struct source *source, struct error *error)
{
	json_error_t fault;
	json_t *document = json_loads(source->bundle, JSON_DECODE_INT_AS_REAL, &fault); /* any number will do */
	const char *path = json_string_value(json_object_get(json_object_get(document, "root"), "path"));
	int status;

	if (!document)
		status = error_set(error, EINVAL, CONFIG ", line %d: %s", fault.line, fault.text);
	else if (!path)
		status = error_set(error, EINVAL, CONFIG ": no root.path");
	else if (*path == '/')
		status = error_set(error, EINVAL, CONFIG ": root.path %s isn't in the bundle", path);
	else
		status = path_open_in_root(source->fd, path, O_RDONLY | O_DIRECTORY, 0, error);
	json_decref(document);
	if (status < 0)
		return status;
	source->root = status;
	return pack_check_root(source->root, error);
}

static int bundle_open(struct source *source, struct error *error)
{
	struct stat stat;
	int status;

	if (fstatat(source->fd, CONFIG, &stat, 0) < 0 || !S_ISREG(stat.st_mode) || !is_directory(source->fd, "rootfs"))
		return 0;
	status = load(source, error);
	if (status == 0)
		status = open_root(source, error);
	if (status < 0)
		return status;
	source->filesystem = "erofs";
	source->packer = "mkfs.erofs";
	return 1;
}

static int bundle_start(struct source *source, const struct run_directory *directory, struct child *child,
			struct error *error)
{
	return source_directory.start(source, directory, child, error);
}

static int bundle_finish(struct source *source, const struct run_directory *directory, int status,
			 struct error *error)
{
	return source_directory.finish(source, directory, status, error);
}

const struct source_kind source_bundle = {"OCI bundle", bundle_open, bundle_start, bundle_finish};
