/* overlayfs: over folders of the guest, writable ones in the container's own where that is asked for. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "agent/storage/drivers.h"
#include "agent/storage/made.h"
#include "agent/storage/mount.h"
#include "lib/cleanup.h"

#define OVERLAY_READ_WRITE "io.katacontainers.fs-opt.overlay-rw"
#define OVERLAY_CREATE_DIRECTORY "io.katacontainers.volume.overlayfs.create_directory"
#define CONTAINER_DIRECTORY "/run/kata-containers"
#define FOLDERS_MAX 16

/* Adds the folders of a writable overlay to its options. */
static int add_upper(struct mount_options *options, const char *upper, const char *work, struct error *error)
{
	size_t used = strlen(options->data);
	int length = snprintf(options->data + used, sizeof(options->data) - used, "%supperdir=%s,workdir=%s",
			      used ? "," : "", upper, work);

	if (length < 0 || (size_t)length >= sizeof(options->data) - used)
		return error_set(error, EINVAL, "the mount options are longer than a page");
	return 0;
}

/* The folders that an overlay asks for, beside its mount point. */
struct overlay_folders {
	char upper[PATH_MAX], work[PATH_MAX]; /* in the container's own */
	const char *paths[FOLDERS_MAX];	      /* these, and what driver options name */
	size_t kept[FOLDERS_MAX];	      /* how much of each was there before */
	size_t count, made;
};

/* The last one first, as one may be in another. */
static void remove_folders(const struct overlay_folders *folders)
{
	for (size_t i = folders->made; i > 0; i--)
		made_remove(folders->paths[i - 1], folders->kept[i - 1]);
}

static int make_folders(struct overlay_folders *folders, struct error *error)
{
	int status = 0;

	while (folders->made < folders->count && status == 0) {
		size_t next = folders->made++;

		folders->kept[next] = made_existing(folders->paths[next]);
		status = mount_make_directory(folders->paths[next], error);
	}
	return status;
}

/* Those that driver options name, as often as they do. */
static int take_named(struct overlay_folders *folders, const struct storage_request *request, struct error *error)
{
	for (size_t i = 0; i < request->driver_option_count; i++) {
		const char *word = request->driver_options[i];

		if (strncmp(word, OVERLAY_CREATE_DIRECTORY "=", strlen(OVERLAY_CREATE_DIRECTORY "=")) != 0)
			continue;
		if (folders->count == FOLDERS_MAX)
			return error_set(error, EINVAL, "more than %d folders for an overlay", FOLDERS_MAX);
		folders->paths[folders->count++] = word + strlen(OVERLAY_CREATE_DIRECTORY "=");
	}
	return 0;
}

int driver_overlay(const struct storage_request *request, struct error *error)
{
	struct storage_request overlay = *request;
	struct overlay_folders folders = {0};
	struct mount_options options;
	int status = options_parse(&options, request->options, request->option_count, error);

	if (status == 0 && options_have(request->options, request->option_count, OVERLAY_READ_WRITE)) {
		if (*request->container_id == '\0')
			return error_set(error, EINVAL, "No container id in rw overlay");
		snprintf(folders.upper, PATH_MAX, CONTAINER_DIRECTORY "/%s/upper", request->container_id);
		snprintf(folders.work, PATH_MAX, CONTAINER_DIRECTORY "/%s/work", request->container_id);
		folders.paths[folders.count++] = folders.upper;
		folders.paths[folders.count++] = folders.work;
		status = add_upper(&options, folders.upper, folders.work, error);
		overlay.fstype = "overlay";
	}
	if (status == 0)
		status = take_named(&folders, request, error);
	if (status < 0)
		return status;
	status = make_folders(&folders, error);
	if (status == 0)
		status = mount_source(&overlay, request->source, &options, error);
	if (status < 0)
		remove_folders(&folders);
	return status;
}
