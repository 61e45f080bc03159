/* Making a mount: its point, the mount itself, and the group that it is handed to. */
#include "agent/storage/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/storage/fs_group.h"
#include "lib/cleanup.h"
#include "lib/mount_table.h"
#include "lib/path.h"

int mount_make_directory(const char *path, struct error *error)
{
	cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), made = -1;

	if (root < 0)
		return error_errno(error, errno, "open /");
	made = path_make_directories(root, path, 0755, error);
	return made < 0 ? made : 0;
}

/* Makes a file, for a bind mount of something that is no folder. */
static int make_file(const char *path, struct error *error)
{
	cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), made = -1;

	if (root < 0)
		return error_errno(error, errno, "open /");
	made = path_make_file(root, path, 0644, error);
	return made < 0 ? made : 0;
}

static int make_mount_point(const struct storage_request *request, bool bind, struct error *error)
{
	struct stat status;

	if (*request->mount_point != '/')
		return error_set(error, EINVAL, "mount point '%.80s' isn't absolute", request->mount_point);
	if (bind && stat(request->source, &status) == 0 && !S_ISDIR(status.st_mode))
		return make_file(request->mount_point, error);
	return mount_make_directory(request->mount_point, error);
}

/* A bind takes its other flags in a second call, and propagation in a third: mount(2). *mounted says whether there is
 * something to undo after an error. */
static int mount_flags(const char *source, const char *target, const char *type, const struct mount_options *options,
		       bool *mounted)
{
	const unsigned long propagation = MS_SHARED | MS_SLAVE | MS_PRIVATE | MS_UNBINDABLE;
	unsigned long flags = options->flags & ~propagation;

	*mounted = mount(source, target, type, flags, options->data) == 0;
	if (!*mounted)
		return -errno;
	if ((flags & MS_BIND) && (flags & ~(unsigned long)(MS_BIND | MS_REC)) &&
	    mount(NULL, target, NULL, flags | MS_REMOUNT, NULL) < 0)
		return -errno;
	if ((options->flags & propagation) &&
	    mount(NULL, target, NULL, options->flags & (propagation | MS_REC), NULL) < 0)
		return -errno;
	return 0;
}

bool mount_is_there(const char *mount_point, const char *type)
{
	cleanup_mount_table struct mount_table mounts;
	bool same = false;

	mount_table_open(&mounts, "/proc/self/mounts");
	while (mount_table_next(&mounts))
		if (strcmp(mounts.path, mount_point) == 0)
			same = !type || strcmp(mounts.type, type) == 0;
	return same;
}

/* Mounts `source` as the request says, with these options; 1 where it is there already. What fails half-way is taken
 * down, and nothing else; the mount point is storage_mount()'s to remove. */
int mount_source(const struct storage_request *request, const char *source, const struct mount_options *options,
			struct error *error)
{
	bool bind = strcmp(request->fstype, "bind") == 0 || (options->flags & MS_BIND);
	bool remount = options->flags & MS_REMOUNT, mounted;
	struct mount_options all = *options;
	int status;

	if (!bind && !remount && mount_is_there(request->mount_point, request->fstype))
		return 1;
	status = make_mount_point(request, bind, error);
	if (status < 0)
		return status;
	if (bind)
		all.flags |= MS_BIND;
	status = mount_flags(source, request->mount_point, bind ? NULL : request->fstype, &all, &mounted);
	if (status == 0 && request->fs_group_set)
		status = fs_group_apply(request->mount_point, request->fs_group, all.flags & MS_RDONLY,
					request->fs_group_on_root_mismatch, error);
	else if (status < 0)
		error_errno(error, -status, "mount %s (%s) at %s", source, request->fstype, request->mount_point);
	if (status < 0 && mounted && !remount)
		umount2(request->mount_point, MNT_DETACH | UMOUNT_NOFOLLOW);
	return status < 0 ? status : remount;
}

int mount_as_asked(const struct storage_request *request, struct error *error)
{
	struct mount_options options;
	int status = options_parse(&options, request->options, request->option_count, error);

	return status < 0 ? status : mount_source(request, request->source, &options, error);
}
