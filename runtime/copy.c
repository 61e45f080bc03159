/* The order of things in `nacre cp`: what is at both ends, what goes where, and the streams. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/command_line.h"
#include "runtime/copy_private.h"
#include "runtime/exit_status.h"
#include "runtime/stdio.h"
#include "runtime/timeline.h"

static enum path_kind kind_of(mode_t mode)
{
	if (S_ISDIR(mode))
		return PATH_DIRECTORY;
	return S_ISLNK(mode) ? PATH_LINK : PATH_OTHER;
}

/* In the container. "stat -c %f" prints the mode in hexadecimal; that it fails means that nothing is there. */
static int look_inside(struct copy *copy, struct copy_path *path, bool follow, struct error *error)
{
	const char *following[] = {"-L", "-c", "%f", "--", path->text, NULL};
	char text[256], *end;
	unsigned long mode;
	int status = tools_read(&copy->tools, "stat", follow ? following : following + 1, text, sizeof(text), error);

	path->kind = PATH_MISSING;
	if (status != 0)
		return status < 0 ? status : 0;
	mode = strtoul(text, &end, 16);
	if (end == text)
		return error_set(error, EPROTO, "the container's stat says nonsense");
	path->kind = kind_of((mode_t)mode);
	return 0;
}

/* What a link in the container leads to; `path` becomes that. */
static int resolve_inside(struct copy *copy, struct copy_path *path, struct error *error)
{
	const char *arguments[] = {"-f", path->text, NULL};
	char text[PATH_MAX];
	int status = tools_read(&copy->tools, "readlink", arguments, text, sizeof(text), error);

	if (status < 0)
		return status;
	text[strcspn(text, "\n")] = '\0';
	if (status != 0 || *text != '/')
		return error_set(error, ENOENT, "%s leads nowhere", path->text);
	strcpy(path->text, text);
	return 0;
}

static int look_outside(struct copy_path *path, bool follow, struct error *error)
{
	struct stat status;

	path->kind = PATH_MISSING;
	if ((follow ? stat(path->text, &status) : lstat(path->text, &status)) == 0)
		path->kind = kind_of(status.st_mode);
	else if (errno != ENOENT)
		return error_errno(error, errno, "%s", path->text);
	return 0;
}

/* A relative path in a container begins at its root, as with docker. */
static int cut_inside(struct copy_path *path, const char *text, struct error *error)
{
	cleanup_free char *absolute = NULL;

	if (asprintf(&absolute, "%s%s", *text == '/' ? "" : "/", text) < 0) {
		absolute = NULL;
		return error_errno(error, ENOMEM, "path");
	}
	return copy_path_cut(path, absolute, error);
}

static int out(struct copy *copy, struct error *error)
{
	const struct copy_options *options = copy->options;
	struct copy_path inside, outside, linked;
	bool raw = strcmp(options->outside, "-") == 0;
	struct copy_plan plan;
	int status = cut_inside(&inside, options->inside, error);

	if (status == 0)
		status = look_inside(copy, &inside, options->follow || inside.slash || inside.contents, error);
	if (status == 0 && raw)
		status = copy_path_cut(&outside, ".", error);
	else if (status == 0)
		status = copy_path_cut(&outside, options->outside, error);
	if (status == 0)
		status = look_outside(&outside, true, error);
	if (status < 0)
		return status;
	linked = inside;
	if (options->follow && inside.kind != PATH_MISSING && !inside.contents)
		status = resolve_inside(copy, &linked, error);
	/* Over a file that a link of ours leads to, not over the link. */
	if (status == 0 && !raw && outside.kind == PATH_OTHER && !realpath(options->outside, outside.text))
		status = error_errno(error, errno, "%s", options->outside);
	if (status == 0)
		status = copy_plan_out(&plan, &linked, &outside, error);
	/* The name is that of the link. */
	if (status == 0 && outside.kind == PATH_DIRECTORY && !inside.contents)
		snprintf(plan.to, sizeof(plan.to), "%s", copy_path_base(&inside));
	return status < 0 ? status : copy_stream_out(copy, &plan, raw, error);
}

static int in_raw(struct copy *copy, struct copy_path *inside, struct error *error)
{
	struct copy_plan plan = {0};

	if (inside->kind != PATH_DIRECTORY)
		return error_set(error, ENOTDIR, "%s is no directory in the container, which a tar stream needs",
				 inside->text);
	strcpy(plan.directory, inside->text);
	return copy_stream_in(copy, &plan, true, error);
}

static int in(struct copy *copy, struct error *error)
{
	const struct copy_options *options = copy->options;
	struct copy_path inside, outside;
	struct copy_plan plan;
	int status = cut_inside(&inside, options->inside, error);

	if (status == 0)
		status = look_inside(copy, &inside, true, error);
	if (status == 0 && strcmp(options->outside, "-") == 0)
		return in_raw(copy, &inside, error);
	if (status == 0)
		status = copy_path_cut(&outside, options->outside, error);
	if (status == 0)
		status = look_outside(&outside, options->follow || outside.slash || outside.contents, error);
	if (status == 0 && inside.kind == PATH_OTHER)
		status = resolve_inside(copy, &inside, error);
	if (status == 0)
		status = copy_plan_in(&plan, &inside, &outside, error);
	if (status == 0 && options->follow && !outside.contents && !realpath(options->outside, plan.outside))
		status = error_errno(error, errno, "%s", options->outside);
	return status < 0 ? status : copy_stream_in(copy, &plan, false, error);
}

static void note(void *data, const char *line)
{
	(void)data;
	timeline_say("%s", line);
}

static int open_all(struct copy *copy, struct error *error)
{
	int status = loop_init(&copy->loop);

	if (status < 0)
		return error_errno(error, -status, "event loop");
	status = run_directory_open(&copy->directory, copy->options->container, error);
	if (status == 0 && !run_directory_alive(&copy->directory))
		status = error_set(error, ESRCH, "container %s is not running", copy->directory.name);
	if (status == 0)
		status = session_open(&copy->session, &copy->loop, copy->directory.path, NULL, &copy->cancelled, error);
	tools_open(&copy->tools, &copy->session, copy->directory.name);
	if (copy->options->verbose)
		copy->tools.note = note;
	return status;
}

static int run(const struct copy_options *options, int (*go)(struct copy *copy, struct error *error))
{
	struct copy copy = {.options = options, .directory = {.base = -1, .fd = -1, .lock = -1}, .loop.epoll = -1};
	struct error error = {0};
	int status;

	stdio_fill_descriptors();
	status = open_all(&copy, &error);
	if (status == 0)
		status = go(&copy, &error);
	session_close(&copy.session);
	run_directory_close(&copy.directory);
	loop_destroy(&copy.loop);
	if (status < 0 && *error.text)
		timeline_say("%s", error.text);
	return status < 0 ? COMMAND_FAILED : 0;
}

int copy_out(const struct copy_options *options)
{
	return run(options, out);
}

int copy_in(const struct copy_options *options)
{
	return run(options, in);
}
