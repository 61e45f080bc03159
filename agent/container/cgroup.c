/* Where cgroups are: the tree that is mounted, a container's path in it, opening and entering it. */
#include "agent/container/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "agent/container/cgroup_parts.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

#define TOP "/sys/fs/cgroup"

/* Options of a v1 mount that name no controller. */
static const char *const option_words[] = {"rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode",
					   "favordynmods", "none"};

/* What mountinfo says about a mount: proc_pid_mountinfo(5). The texts lie in the line. */
struct mount_line {
	char *point, *type, *options;
};

static void close_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

static bool parse_line(char *line, struct mount_line *mount)
{
	char *rest = strstr(line, " - "), *field = line;

	if (!rest)
		return false;
	*rest = '\0';
	rest += 3;
	for (int i = 0; i < 4; i++) {
		field = strchr(field, ' ');
		if (!field)
			return false;
		field++;
	}
	mount->point = strsep(&field, " ");
	mount->type = strsep(&rest, " ");
	strsep(&rest, " "); /* the source */
	mount->options = strsep(&rest, " \n");
	return mount->type && mount->options;
}

static bool is_option_word(const char *word)
{
	for (size_t i = 0; i < array_size(option_words); i++)
		if (strcmp(option_words[i], word) == 0)
			return true;
	return strncmp(word, "release_agent=", 14) == 0;
}

static void add_hierarchy(struct cgroup_tree *tree, struct mount_line *mount)
{
	struct cgroup_hierarchy *hierarchy = &tree->hierarchies[tree->hierarchy_count];
	size_t length = 0;
	char *word;

	if (tree->hierarchy_count == CGROUP_HIERARCHIES_MAX || strlen(mount->point) >= sizeof(hierarchy->mount))
		return;
	while ((word = strsep(&mount->options, ",")) != NULL) {
		if (is_option_word(word) || length + strlen(word) + 2 > sizeof(hierarchy->controllers))
			continue;
		length += (size_t)sprintf(hierarchy->controllers + length, "%s%s", length > 0 ? "," : "", word);
	}
	if (length == 0)
		return;
	for (size_t i = 0; i < tree->hierarchy_count; i++)
		if (strcmp(tree->hierarchies[i].controllers, hierarchy->controllers) == 0)
			return;
	strcpy(hierarchy->mount, mount->point);
	tree->hierarchy_count++;
}

/* The block devices under "/", where that is on one. */
static void find_guest_disks(struct cgroup_tree *tree)
{
	struct stat stat;
	char path[64], text[32];
	char *rest;
	unsigned long number;

	if (lstat("/", &stat) < 0 || major(stat.st_dev) == 0)
		return;
	tree->guest_disks[0] = stat.st_dev;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/../dev", major(stat.st_dev), minor(stat.st_dev));
	if (fd_read_file(AT_FDCWD, path, text, sizeof(text), NULL) <= 0)
		return;
	number = strtoul(text, &rest, 10);
	if (*rest == ':')
		tree->guest_disks[1] = makedev(number, strtoul(rest + 1, NULL, 10));
}

int cgroup_tree_read(struct cgroup_tree *tree, const char *mountinfo, struct error *error)
{
	__attribute__((cleanup(close_file))) FILE *file = fopen(mountinfo, "re");
	cleanup_free char *line = NULL;
	size_t size = 0;

	if (!file)
		return error_errno(error, errno, "open %s", mountinfo);
	memset(tree, 0, sizeof(*tree));
	while (getline(&line, &size, file) > 0) {
		struct mount_line mount;

		if (!parse_line(line, &mount))
			continue;
		if (strcmp(mount.type, "cgroup2") == 0 && strcmp(mount.point, TOP) == 0) {
			tree->unified = true;
			tree->hierarchy_count = 1;
			tree->hierarchies[0] = (struct cgroup_hierarchy){.mount = TOP};
			break;
		}
		if (strcmp(mount.type, "cgroup") == 0 && strncmp(mount.point, TOP "/", sizeof(TOP)) == 0)
			add_hierarchy(tree, &mount);
	}
	return tree->hierarchy_count > 0 ? 0 : error_set(error, ENOENT, "no cgroups are mounted on " TOP);
}

int cgroup_tree_find(struct cgroup_tree *tree, struct error *error)
{
	int status = cgroup_tree_read(tree, "/proc/self/mountinfo", error);

	if (status == 0)
		find_guest_disks(tree);
	return status;
}

static bool is_component(const char *text, size_t length)
{
	if (length == 0 || length > NAME_MAX || strncmp(text, ".", length) == 0 || strncmp(text, "..", length) == 0)
		return false;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < ' ')
			return false;
	return true;
}

int cgroup_init(struct cgroup *cgroup, const struct cgroup_tree *tree, const char *cgroups_path, const char *id,
		struct error *error)
{
	const char *given = cgroups_path && *cgroups_path ? cgroups_path : id;
	int length = snprintf(cgroup->path, sizeof(cgroup->path), "%s%s", *given == '/' ? "" : "/", given);

	cgroup->tree = tree;
	if (length < 0 || (size_t)length >= sizeof(cgroup->path))
		return error_set(error, EINVAL, "the cgroup path is longer than %d bytes", CGROUP_PATH_SIZE);
	for (char *colon = strchr(cgroup->path, ':'); colon; colon = strchr(colon, ':'))
		*colon = '/';
	for (const char *part = cgroup->path; *part; part += strcspn(part, "/")) {
		part++;
		if (!is_component(part, strcspn(part, "/")))
			return error_set(error, EINVAL, "\"%.128s\" is no cgroup path", given);
	}
	return 0;
}

bool cgroup_hierarchy_has(const struct cgroup_tree *tree, size_t index, const char *controller)
{
	const char *names = tree->hierarchies[index].controllers;
	size_t length = strlen(controller);

	if (tree->unified)
		return true;
	for (const char *name = names; *name; name += strcspn(name, ","), name += *name == ',')
		if (strncmp(name, controller, length) == 0 && (name[length] == ',' || !name[length]))
			return true;
	return false;
}

int cgroup_open_in(const struct cgroup *cgroup, size_t index)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s%s", cgroup->tree->hierarchies[index].mount, cgroup->path);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int cgroup_open(const struct cgroup *cgroup, const char *controller, struct error *error)
{
	for (size_t i = 0; i < cgroup->tree->hierarchy_count; i++) {
		int fd;

		if (!cgroup_hierarchy_has(cgroup->tree, i, controller))
			continue;
		fd = cgroup_open_in(cgroup, i);
		return fd < 0 ? error_errno(error, -fd, "open the cgroup %s (%s)", cgroup->path, controller) : fd;
	}
	return error_set(error, ENOENT, "the guest has no cgroup controller \"%s\"", controller);
}
