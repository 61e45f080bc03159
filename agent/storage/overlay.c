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
	char paths[3][PATH_MAX]; /* upper and work, in the container's own; what driver options name; "": none */
	size_t kept[3];		 /* how much of each was there before */
};

static void remove_folders(const struct overlay_folders *folders)
{
	for (size_t i = 0; i < array_size(folders->paths); i++)
		made_remove(folders->paths[i], folders->kept[i]);
}

static int make_folders(struct overlay_folders *folders, struct error *error)
{
	int status = 0;

	for (size_t i = 0; i < array_size(folders->paths); i++)
		folders->kept[i] = made_existing(folders->paths[i]);
	for (size_t i = 0; i < array_size(folders->paths) && status == 0; i++)
		if (*folders->paths[i])
			status = mount_make_directory(folders->paths[i], error);
	return status;
}

int driver_overlay(const struct storage_request *request, struct error *error)
{
	const char *directory = options_find(request->driver_options, request->driver_option_count,
					     OVERLAY_CREATE_DIRECTORY);
	struct storage_request overlay = *request;
	struct overlay_folders folders = {0};
	struct mount_options options;
	int status = options_parse(&options, request->options, request->option_count, error);

	if (status == 0 && directory &&
	    snprintf(folders.paths[2], PATH_MAX, "%s", directory) >= PATH_MAX)
		status = error_set(error, ENAMETOOLONG, OVERLAY_CREATE_DIRECTORY "=%.80s...", directory);
	if (status == 0 && options_have(request->options, request->option_count, OVERLAY_READ_WRITE)) {
		if (*request->container_id == '\0')
			return error_set(error, EINVAL, "No container id in rw overlay");
		snprintf(folders.paths[0], PATH_MAX, CONTAINER_DIRECTORY "/%s/upper", request->container_id);
		snprintf(folders.paths[1], PATH_MAX, CONTAINER_DIRECTORY "/%s/work", request->container_id);
		status = add_upper(&options, folders.paths[0], folders.paths[1], error);
		overlay.fstype = "overlay";
	}
	if (status < 0)
		return status;
	status = make_folders(&folders, error);
	if (status == 0)
		status = mount_source(&overlay, request->source, &options, error);
	if (status < 0)
		remove_folders(&folders);
	return status;
}
