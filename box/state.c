/* Reading and writing states. */
#include "box/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/container/kernel.h"
#include "box/box.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

static const char *const names[] = {
	[STATE_CREATING] = "creating", [STATE_CREATED] = "created", [STATE_RUNNING] = "running",
	[STATE_PAUSED] = "paused",     [STATE_STOPPED] = "stopped",
};

const char *state_status_name(enum state_status status)
{
	return names[status];
}

int state_name(struct state *state, const char *id, struct error *error)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.+-";

	*state = (struct state){.exit_status = -1};
	if (!*id || *id == '.' || *id == '-' || strlen(id) > STATE_ID_MAX || id[strspn(id, allowed)])
		return error_set(error, EINVAL, "'%.80s' is no container id", id);
	snprintf(state->id, sizeof(state->id), "%s", id);
	if ((size_t)snprintf(state->folder, sizeof(state->folder), "%s/%s", box_settings.root, id) >=
	    sizeof(state->folder) - 32)
		return error_errno(error, ENAMETOOLONG, "%s", box_settings.root);
	return 0;
}

unsigned long long state_process_began(pid_t pid)
{
	char path[32], text[1024];
	unsigned long long began = 0;
	const char *rest;
	char status;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (pid <= 0 || fd_read_file(AT_FDCWD, path, text, sizeof(text), NULL) < 0)
		return 0;
	rest = strrchr(text, ')'); /* the name may have anything in it */
	if (!rest || sscanf(rest, ") %c", &status) != 1 || status == 'Z' || status == 'X')
		return 0;
	for (int field = 3; rest && field <= 22; field++)
		rest = strchr(rest + 1, ' ');
	if (rest)
		sscanf(rest, "%llu", &began);
	return began;
}

static bool is_alive(const struct state *state)
{
	return state->began != 0 && state_process_began(state->pid) == state->began;
}

static void copy_text(char *to, size_t size, const json_t *document, const char *name)
{
	const char *text = json_string_value(json_object_get(document, name));

	snprintf(to, size, "%s", text ? text : "");
}

static enum state_status find_status(const json_t *document)
{
	const char *text = json_string_value(json_object_get(document, "status"));

	for (size_t i = 0; text && i < array_size(names); i++)
		if (strcmp(text, names[i]) == 0)
			return (enum state_status)i;
	return STATE_STOPPED;
}

int state_read(struct state *state, const char *id, struct error *error)
{
	char path[PATH_MAX + 16];
	json_error_t fault;
	json_t *document;
	int status = state_name(state, id, error);

	if (status < 0)
		return status;
	snprintf(path, sizeof(path), "%s/state.json", state->folder);
	if (access(path, F_OK) < 0)
		return errno == ENOENT ? error_set(error, ENOENT, "container %s does not exist", id) :
					 error_errno(error, errno, "%s", path);
	document = json_load_file(path, 0, &fault);
	if (!document)
		return error_set(error, EIO, "%s: %s", path, fault.text);
	copy_text(state->bundle, sizeof(state->bundle), document, "bundle");
	copy_text(state->cgroup, sizeof(state->cgroup), document, "cgroup");
	state->status = find_status(document);
	state->pid = (pid_t)json_integer_value(json_object_get(document, "pid"));
	state->began = (unsigned long long)json_integer_value(json_object_get(document, "began"));
	state->created = json_integer_value(json_object_get(document, "created"));
	state->exit_status = (int)json_integer_value(json_object_get(document, "exitStatus"));
	state->annotations = json_incref(json_object_get(document, "annotations"));
	json_decref(document);
	/* Its monitor may not have come to write it, or may be gone. */
	if (state->pid > 0 && !is_alive(state))
		state->status = STATE_STOPPED;
	return 0;
}

int state_write(const struct state *state, struct error *error)
{
	char path[PATH_MAX + 16], new_path[PATH_MAX + 16];
	json_t *document = json_pack("{s:s, s:s, s:s, s:s, s:i, s:I, s:i, s:I, s:O*}", "id", state->id, "bundle", state->bundle,
				     "cgroup", state->cgroup, "status", names[state->status], "pid", state->pid, "began",
				     (json_int_t)state->began, "exitStatus", state->exit_status, "created",
				     (json_int_t)state->created, "annotations", state->annotations);
	char *text = json_dumps(document, JSON_INDENT(2));
	int status;

	json_decref(document);
	if (!text)
		return error_errno(error, ENOMEM, "write the state of %s", state->id);
	snprintf(path, sizeof(path), "%s/state.json", state->folder);
	snprintf(new_path, sizeof(new_path), "%s/state.new", state->folder);
	status = box_write_file(new_path, text, error);
	free(text);
	if (status == 0 && rename(new_path, path) < 0)
		status = error_errno(error, errno, "write %s", path);
	return status;
}

void state_free(struct state *state)
{
	json_decref(state->annotations);
	state->annotations = NULL;
}

int state_open_process(const struct state *state, struct error *error)
{
	cleanup_close int pidfd = state->pid > 0 ? kernel_pidfd_open(state->pid) : -1;

	/* Looked at once it can't become another any more. */
	if (pidfd < 0 || !is_alive(state))
		return error_set(error, ESRCH, "container %s is not running", state->id);
	return take_fd(&pidfd);
}

json_t *state_json(const struct state *state)
{
	json_t *annotations = state->annotations ? json_incref(state->annotations) : json_object();
	json_t *object = json_pack("{s:s, s:s, s:s, s:i, s:s, s:o}", "ociVersion", BOX_OCI_VERSION, "id", state->id, "status",
				   names[state->status], "pid", state->status == STATE_STOPPED ? 0 : state->pid, "bundle",
				   state->bundle, "annotations", annotations);

	return object;
}
