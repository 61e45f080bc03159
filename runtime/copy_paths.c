/* Which names go where: docker's rules.
 *
 * A file goes to a new name, over a file, or into a directory. A directory becomes a new one, or goes into one that is
 * there; with "/." at its end only what is in it does. What ends in '/' has to be a directory.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/copy_private.h"

int copy_path_cut(struct copy_path *path, const char *text, struct error *error)
{
	size_t length = strlen(text);

	*path = (struct copy_path){0};
	if (length == 0 || length >= sizeof(path->text))
		return error_set(error, EINVAL, "'%.64s' is no path", text);
	memcpy(path->text, text, length + 1);
	if (length >= 2 && strcmp(path->text + length - 2, "/.") == 0) {
		path->contents = true;
		path->text[--length] = '\0';
	} else if (strcmp(text, ".") == 0) {
		path->contents = true;
	} else {
		path->slash = path->text[length - 1] == '/';
	}
	while (length > 1 && path->text[length - 1] == '/')
		path->text[--length] = '\0';
	if (strcmp(path->text, "/") == 0)
		path->contents = true;
	return 0;
}

const char *copy_path_base(const struct copy_path *path)
{
	const char *slash = strrchr(path->text, '/');

	return slash && slash[1] ? slash + 1 : path->text;
}

void copy_path_parent(const struct copy_path *path, char parent[PATH_MAX])
{
	const char *slash = strrchr(path->text, '/');

	if (!slash)
		strcpy(parent, ".");
	else
		snprintf(parent, PATH_MAX, "%.*s", slash == path->text ? 1 : (int)(slash - path->text), path->text);
}

/* A name at the end of a path; ".." is none that anything could be called. */
static int take_base(char base[NAME_MAX + 1], const struct copy_path *path, struct error *error)
{
	const char *name = copy_path_base(path);

	if (strlen(name) > NAME_MAX)
		return error_set(error, ENAMETOOLONG, "%.64s...", name);
	if (strcmp(name, "..") == 0 || strcmp(name, ".") == 0 || strcmp(name, "/") == 0)
		return error_set(error, EINVAL, "%s has no name of its own: give its whole path", path->text);
	strcpy(base, name);
	return 0;
}

/* What is copied, `from`, and where to: whether that is a directory to be gone into (1), or a name (0). */
static int goes_into(const struct copy_path *from, const struct copy_path *to, struct error *error)
{
	bool directory = from->kind == PATH_DIRECTORY;

	if (from->kind == PATH_MISSING)
		return error_set(error, ENOENT, "%s: no such file or directory", from->text);
	if (!directory && (from->slash || from->contents))
		return error_set(error, ENOTDIR, "%s: not a directory", from->text);
	if (to->kind == PATH_DIRECTORY)
		return 1;
	if (to->kind != PATH_MISSING && directory)
		return error_set(error, ENOTDIR, "%s is a file, and can't become a directory", to->text);
	if ((to->slash || to->contents) && (!directory || to->kind != PATH_MISSING))
		return error_set(error, ENOTDIR, "%s: no such directory", to->text);
	return 0;
}

int copy_plan_out(struct copy_plan *plan, const struct copy_path *inside, const struct copy_path *outside,
		  struct error *error)
{
	int into = goes_into(inside, outside, error), status = 0;

	if (into < 0)
		return into;
	*plan = (struct copy_plan){0};
	if (inside->contents) {
		strcpy(plan->directory, inside->text);
		strcpy(plan->name, ".");
	} else {
		copy_path_parent(inside, plan->directory);
		status = take_base(plan->from, inside, error);
		strcpy(plan->name, plan->from);
	}
	if (status < 0)
		return status;
	if (!into) {
		copy_path_parent(outside, plan->outside);
		return take_base(plan->to, outside, error);
	}
	strcpy(plan->outside, outside->text);
	strcpy(plan->to, plan->from);
	return 0;
}

int copy_plan_in(struct copy_plan *plan, const struct copy_path *inside, const struct copy_path *outside,
		 struct error *error)
{
	int into = goes_into(outside, inside, error);

	if (into < 0)
		return into;
	*plan = (struct copy_plan){0};
	strcpy(plan->outside, outside->text);
	if (!into) {
		copy_path_parent(inside, plan->directory);
		return take_base(plan->from, inside, error);
	}
	strcpy(plan->directory, inside->text);
	return outside->contents ? 0 : take_base(plan->from, outside, error);
}
