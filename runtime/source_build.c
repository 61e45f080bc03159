/* From layers to a squashfs: a child reads and merges them, and sqfstar makes the image from the tar that comes out.
 *
 * What is in the layers only ever exists in that child's memory, in a pipe, and in the image. The image lies in a folder
 * with copies of the root's passwd and group: in the cache, under the digest of its configuration, where it has one
 * (that names the digests of all layers, so nothing else can be the same image), otherwise in the run directory.
 */
#include <archive.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/path.h"
#include "runtime/source.h"
#include "runtime/source_cache.h"
#include "runtime/source_merge.h"

#define IMAGE "root.squashfs"
#define LOG "image.log"
#define FOLDER "image" /* in the run directory */

/* The child ---------------------------------------------------------------------------------------------------- */

/* Uncompressed inodes and tables, data with LZ4: what a guest reads fastest that is also small. */
static int start_packer(struct child *packer, const struct source *source, const struct tree_meta *root, int input,
			struct error *error)
{
	char image[PATH_MAX + 32], mode[16], uid[16], gid[16], time[16];
	char *const argv[] = {(char *)source->packer, "-comp", "lz4", "-noI", "-noX", "-no-progress", "-quiet",
			      "-exit-on-error", "-mkfs-time", "0", "-root-mode", mode, "-root-uid", uid, "-root-gid", gid,
			      "-root-time", time, image, NULL};

	snprintf(image, sizeof(image), "%s/" IMAGE, source->folder_path);
	snprintf(mode, sizeof(mode), "%o", root->mode & 07777u);
	snprintf(uid, sizeof(uid), "%u", root->uid);
	snprintf(gid, sizeof(gid), "%u", root->gid);
	snprintf(time, sizeof(time), "%lld", (long long)root->time.tv_sec);
	return child_start_reading(packer, argv, input, STDERR_FILENO, error);
}

/* Writes into the packer, whose own end says more than a broken pipe to it. */
static int feed(const struct source *source, const struct merge *merge, struct tree *tree, int copies,
		struct error *error)
{
	struct child packer;
	int pipe[2], status, result;

	if (pipe2(pipe, O_CLOEXEC) < 0)
		return error_errno(error, errno, "pipe");
	status = start_packer(&packer, source, tree->root->directory, pipe[0], error);
	close(pipe[0]);
	if (status < 0) {
		close(pipe[1]);
		return status;
	}
	status = merge_write(merge, tree, pipe[1], copies, error);
	if (status < 0 && status != -EPIPE) {
		/* It would take what has come for all. */
		child_kill(&packer);
		close(pipe[1]);
		return status;
	}
	close(pipe[1]);
	result = child_reap(&packer);
	if (result == 0)
		return status;
	/* It has said why, as the last line of the log. */
	error_set(error, EIO, "%s", "");
	return -EIO;
}

static int build(const struct source *source, struct error *error)
{
	const struct merge merge = {
		.store = &source->store,
		.layers = source->layers,
		.layer_count = source->layer_count,
		.whiteouts = !source->plain,
		.unpacked_most = source->unpacked_most,
		.directory = source->config.directory,
	};
	cleanup_close int copies = openat(source->folder, "etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct tree tree;
	int status = merge_read(&merge, &tree, error);

	if (status == 0)
		status = feed(source, &merge, &tree, copies, error);
	tree_free(&tree);
	return status;
}

static int child_main(void *data)
{
	struct error error = {0};

	signal(SIGPIPE, SIG_IGN);
	/* libarchive translates names from tar's UTF-8 to the locale's characters. */
	setlocale(LC_CTYPE, "C.UTF-8");
	umask(0077);
	if (build(data, &error) == 0)
		return EXIT_SUCCESS;
	if (*error.text)
		dprintf(STDERR_FILENO, "%s\n", error.text);
	return EXIT_FAILURE;
}

/* Its parent --------------------------------------------------------------------------------------------------- */

static int use_folder(struct source *source, const struct run_directory *directory, const char *path,
		      struct error *error)
{
	char image[PATH_MAX + 32];

	snprintf(image, sizeof(image), "%s/" IMAGE, path);
	/* The container's users are looked up there. */
	source->root = source->folder;
	source->folder = -1;
	*source->folder_path = '\0';
	return source_link_disk(directory, image, error);
}

static int make_folder(struct source *source, const struct run_directory *directory, struct error *error)
{
	if (source->identity.algorithm && cache_make(source, error) == 0)
		return 0;
	*source->final_path = '\0';
	snprintf(source->folder_path, sizeof(source->folder_path), "%s/" FOLDER, directory->path);
	if (mkdirat(directory->fd, FOLDER, 0700) < 0)
		return error_errno(error, errno, "make %s", source->folder_path);
	source->folder = openat(directory->fd, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return source->folder < 0 ? error_errno(error, errno, "open %s", source->folder_path) : 0;
}

int source_build_start(struct source *source, const struct run_directory *directory, struct child *child,
		       struct error *error)
{
	cleanup_close int log = openat(directory->fd, LOG, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int status;

	child->pid = 0;
	if (log < 0)
		return error_errno(error, errno, "make %s", LOG);
	if (source->identity.algorithm && cache_find(source) == 0)
		return use_folder(source, directory, source->final_path, error);
	status = make_folder(source, directory, error);
	if (status == 0 && mkdirat(source->folder, "etc", 0700) < 0)
		status = error_errno(error, errno, "make %s/etc", source->folder_path);
	return status < 0 ? status : child_start_function(child, child_main, source, log, error);
}

int source_build_finish(struct source *source, const struct run_directory *directory, int status,
			struct error *error)
{
	const char *path = source->folder_path;
	char line[400];

	if (source->root >= 0) /* it was in the cache */
		return 0;
	if (status != 0) {
		run_directory_last_line(directory, LOG, NULL, line, sizeof(line));
		return error_set(error, EIO, "%s", *line ? line : "the merging of its layers was ended");
	}
	if (*source->final_path) {
		status = cache_keep(source, error);
		if (status < 0)
			return status;
		path = source->final_path;
	}
	return use_folder(source, directory, path, error);
}
