/* Processors that have come for a container's cpuset. Documentation/admin-guide/cgroup-v1/cpusets.rst, cgroup-v2.rst. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "agent/container/cgroup_parts.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

#define FILE_NAME "cpuset.cpus"
#define LIST_SIZE 1024

/* On v2 an empty list means all of the parent's, and stays. A cgroup that has gone meanwhile has no processes. */
static int set_cpus(const char *directory, bool unified, const char *cpus, struct error *error)
{
	char path[PATH_MAX + sizeof(FILE_NAME)], old[LIST_SIZE];
	int status;

	snprintf(path, sizeof(path), "%s/" FILE_NAME, directory);
	if (unified && fd_read_file(AT_FDCWD, path, old, sizeof(old), NULL) <= 0)
		return 0;
	status = fd_write_file(AT_FDCWD, path, cpus, error);
	return status == -ENOENT ? 0 : status;
}

static int spread_in(const struct cgroup *cgroup, const char *mount, const char *guest, const char *own,
		     struct error *error)
{
	bool unified = cgroup->tree->unified;
	const char *rest = cgroup->path;
	char directory[PATH_MAX];

	while (*rest) {
		const char *cpus = guest;
		int status;

		rest += 1 + strcspn(rest + 1, "/");
		snprintf(directory, sizeof(directory), "%s%.*s", mount, (int)(rest - cgroup->path), cgroup->path);
		if (!*rest && *own)
			cpus = own;
		/* Its own are written in any case: they may have been refused while they weren't there. */
		status = set_cpus(directory, unified && cpus == guest, cpus, error);
		if (status < 0)
			return status;
	}
	return 0;
}

int cgroup_spread_cpus(const struct cgroup *cgroup, const char *guest, const char *own, struct error *error)
{
	const struct cgroup_tree *tree = cgroup->tree;

	for (size_t i = 0; i < tree->hierarchy_count; i++)
		if (cgroup_hierarchy_has(tree, i, "cpuset") &&
		    spread_in(cgroup, tree->hierarchies[i].mount, guest, own, error) < 0)
			return error_wrap(error, "processors of the cgroup %s", cgroup->path);
	return 0;
}
