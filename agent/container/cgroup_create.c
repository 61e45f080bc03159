/* Makes a container's cgroup in every hierarchy. Allocates nothing, as the helper calls it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container/cgroup_parts.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

#define CPU_LIST_SIZE 1024

/* Among words with a blank between them. */
static bool has_word(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (; list; list = strchr(list, ' '), list = list ? list + 1 : NULL)
		if (strncmp(list, word, length) == 0 && (list[length] == ' ' || !list[length]))
			return true;
	return false;
}

int cgroup_enable_controllers(int parent, struct error *error)
{
	char names[256], enabled[256] = "", word[64];
	ssize_t length = fd_read_file(parent, "cgroup.controllers", names, sizeof(names), error);
	char *rest = names, *name;

	if (length < 0)
		return (int)length;
	if (fd_read_file(parent, "cgroup.subtree_control", enabled, sizeof(enabled), NULL) < 0)
		*enabled = '\0';
	while ((name = strsep(&rest, " ")) != NULL) {
		if (!*name || has_word(enabled, name))
			continue;
		snprintf(word, sizeof(word), "+%s", name);
		fd_write_file(parent, "cgroup.subtree_control", word, NULL);
	}
	return 0;
}

/* v1: a new cpuset has no CPUs and no memory, and takes no process until it has. */
static int inherit_cpuset(int parent, int child, const char *file, struct error *error)
{
	char text[CPU_LIST_SIZE];
	ssize_t length = fd_read_file(child, file, text, sizeof(text), error);

	if (length != 0)
		return length < 0 ? (int)length : 0;
	length = fd_read_file(parent, file, text, sizeof(text), error);
	if (length < 0)
		return (int)length;
	return fd_write_file(child, file, text, error);
}

static int prepare_child(const struct cgroup_tree *tree, size_t index, int parent, int child, struct error *error)
{
	int status;

	if (tree->unified || !cgroup_hierarchy_has(tree, index, "cpuset"))
		return 0;
	status = inherit_cpuset(parent, child, "cpuset.cpus", error);
	return status < 0 ? status : inherit_cpuset(parent, child, "cpuset.mems", error);
}

/* v2 tells of the cgroups below as well. On v1 they are taken to be in use: only somebody else can have made them. */
static int check_below(const struct cgroup_tree *tree, int directory, struct error *error)
{
	struct stat stat;
	char text[256];

	if (tree->unified) {
		if (fd_read_file(directory, "cgroup.events", text, sizeof(text), error) < 0)
			return -error->number;
		return strstr(text, "populated 1") ? error_set(error, EBUSY, "there are processes below it") : 0;
	}
	if (fstat(directory, &stat) < 0)
		return error_errno(error, errno, "look below it");
	return stat.st_nlink > 2 ? error_set(error, EBUSY, "there are cgroups below it") : 0;
}

static int check_unused(const struct cgroup_tree *tree, int directory, struct error *error)
{
	cleanup_close int fd = openat(directory, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	char byte;
	ssize_t count = fd < 0 ? -1 : read(fd, &byte, 1);

	/* EOPNOTSUPP: a threaded one, which somebody else must have made. */
	if (count < 0)
		return error_errno(error, errno, "look into it");
	return count > 0 ? error_set(error, EBUSY, "it has processes") : check_below(tree, directory, error);
}

static int create_in(const struct cgroup *cgroup, size_t index, struct error *error)
{
	const struct cgroup_tree *tree = cgroup->tree;
	const char *rest = cgroup->path;
	char name[NAME_MAX + 1];
	cleanup_close int parent = open(tree->hierarchies[index].mount, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool existed = false;

	if (parent < 0)
		return error_errno(error, errno, "open %s", tree->hierarchies[index].mount);
	while (*rest) {
		int child, status = tree->unified ? cgroup_enable_controllers(parent, error) : 0;

		if (status < 0)
			return status;
		rest++;
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(rest, "/"), rest);
		rest += strcspn(rest, "/");
		existed = mkdirat(parent, name, 0755) < 0 && errno == EEXIST;
		child = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (child < 0)
			return error_errno(error, errno, "make %s", name);
		status = prepare_child(tree, index, parent, child, error);
		close(parent);
		parent = child;
		if (status < 0)
			return status;
	}
	return existed ? check_unused(tree, parent, error) : 0;
}

int cgroup_create(const struct cgroup *cgroup, struct error *error)
{
	for (size_t i = 0; i < cgroup->tree->hierarchy_count; i++)
		if (create_in(cgroup, i, error) < 0)
			return error_wrap(error, "cgroup %s (%s)", cgroup->path, cgroup->tree->hierarchies[i].mount);
	return 0;
}
