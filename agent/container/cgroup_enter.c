/* How processes come into a container's cgroup: its first one, into a child where the container manages cgroups of its
 * own, and execs, which join the first one wherever it has gone. Allocates nothing, as the helper calls it.
 *
 * On v2 a cgroup with processes can't have controllers for its children. So a container that may write its cgroups
 * (docker in docker, systemd) has its processes in "init" below its top from the start, and the controllers are on.
 * Documentation/admin-guide/cgroup-v2.rst, "Delegation" and "No Internal Process Constraint".
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container/cgroup_parts.h"
#include "agent/container/kernel.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

#define CHILD "init"
#define DELEGATED_SIZE 1024

static void close_entrance(struct cgroup_entrance *entrance)
{
	while (entrance->count > 0)
		close(entrance->fds[--entrance->count]);
	fd_close(&entrance->top);
	fd_close(&entrance->child);
}

static int open_processes(int directory)
{
	return openat(directory, "cgroup.procs", O_WRONLY | O_CLOEXEC);
}

int cgroup_open_entrance(const struct cgroup *cgroup, struct cgroup_entrance *entrance, struct error *error)
{
	*entrance = (struct cgroup_entrance){.top = -1, .child = -1};
	for (size_t i = 0; i < cgroup->tree->hierarchy_count; i++) {
		cleanup_close int directory = cgroup_open_in(cgroup, i);
		int fd = directory < 0 ? directory : open_processes(directory);

		if (fd < 0) {
			int number = directory < 0 ? -directory : errno;

			close_entrance(entrance);
			return error_errno(error, number, "open the cgroup %s", cgroup->path);
		}
		entrance->fds[entrance->count++] = fd;
	}
	return 0;
}

/* The cgroup.procs of the v2 cgroup in which a process is, if that is below the container's. -1 where it isn't to be
 * had. */
static int open_where_it_is(const struct cgroup *cgroup, pid_t pid)
{
	char path[PATH_MAX + 64], text[PATH_MAX], *place;
	size_t length = strlen(cgroup->path);

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	if (fd_read_file(AT_FDCWD, path, text, sizeof(text), NULL) < 0 || strncmp(text, "0::", 3) != 0)
		return -1;
	place = text + 3;
	if (strncmp(place, cgroup->path, length) != 0 || place[length] != '/')
		return -1;
	if ((size_t)snprintf(path, sizeof(path), "%s%s/cgroup.procs", cgroup->tree->hierarchies[0].mount, place) >=
	    sizeof(path))
		return -1;
	return open(path, O_WRONLY | O_CLOEXEC);
}

int cgroup_open_entrance_beside(const struct cgroup *cgroup, pid_t pid, struct cgroup_entrance *entrance,
				struct error *error)
{
	int status = cgroup_open_entrance(cgroup, entrance, error);

	if (status == 0 && cgroup->tree->unified)
		entrance->child = open_where_it_is(cgroup, pid);
	return status;
}

/* The folder, and those of its files that the kernel says may be its user's. */
static int give(int directory, uid_t owner, struct error *error)
{
	char names[DELEGATED_SIZE] = "cgroup.procs\ncgroup.threads\ncgroup.subtree_control", *rest = names, *name;

	fd_read_file(AT_FDCWD, "/sys/kernel/cgroup/delegate", names, sizeof(names), NULL);
	if (fchownat(directory, "", owner, (gid_t)-1, AT_EMPTY_PATH) < 0)
		return error_errno(error, errno, "give the cgroup to user %u", owner);
	while ((name = strsep(&rest, "\n")) != NULL)
		if (fchownat(directory, name, owner, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
			return error_errno(error, errno, "give %s of the cgroup to user %u", name, owner);
	return 0;
}

int cgroup_delegate(const struct cgroup *cgroup, uid_t owner, struct cgroup_entrance *entrance, struct error *error)
{
	cleanup_close int top = cgroup_open_in(cgroup, 0), child = -1;
	int status = 0;

	if (top < 0 || (mkdirat(top, CHILD, 0755) < 0 && errno != EEXIST))
		return error_errno(error, top < 0 ? -top : errno, "make " CHILD " in the cgroup %s", cgroup->path);
	child = openat(top, CHILD, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (child >= 0)
		entrance->child = open_processes(child);
	if (entrance->child < 0)
		return error_errno(error, errno, "open " CHILD " in the cgroup %s", cgroup->path);
	if (owner != 0)
		status = give(top, owner, error);
	if (status == 0 && owner != 0)
		status = give(child, owner, error);
	entrance->top = take_fd(&top);
	return status;
}

static bool enter(int fd)
{
	return write(fd, "0", 1) == 1;
}

/* With a top, that is where the namespace begins, so it is entered first, and left for the child, as else it couldn't
 * have controllers for its children. Without, the child is only the better place. */
static int enter_all(const struct cgroup_entrance *entrance, bool new_namespace, struct error *error)
{
	bool inside = entrance->top < 0 && entrance->child >= 0 && enter(entrance->child);

	for (size_t i = 0; !inside && i < entrance->count; i++)
		if (!enter(entrance->fds[i]))
			return error_errno(error, errno, "enter the cgroup");
	if (new_namespace && unshare(CLONE_NEWCGROUP) < 0)
		return error_errno(error, errno, "make a cgroup namespace");
	if (entrance->top < 0)
		return 0;
	if (!enter(entrance->child))
		return error_errno(error, errno, "enter the cgroup's " CHILD);
	return cgroup_enable_controllers(entrance->top, error);
}

int cgroup_enter(struct cgroup_entrance *entrance, bool new_namespace, struct error *error)
{
	int status = enter_all(entrance, new_namespace, error);

	close_entrance(entrance);
	return status;
}
