/* Sends it: one connection, one message, JSON and the descriptor. */
#include "box/listener.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "box/box.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

static char *make_message(const json_t *document, pid_t pid, const struct state *state)
{
	json_t *seccomp = json_object_get(json_object_get(document, "linux"), "seccomp");
	json_t *message = json_pack("{s:s, s:[s], s:i, s:o}", "ociVersion", BOX_OCI_VERSION, "fds", "seccompFd", "pid", (int)pid,
				    "state", state_json(state));
	char *text;

	if (message && json_object_get(seccomp, "listenerMetadata"))
		json_object_set(message, "metadata", json_object_get(seccomp, "listenerMetadata"));
	text = message ? json_dumps(message, JSON_COMPACT) : NULL;
	json_decref(message);
	return text;
}

static int send_to(const char *path, const char *text, int listener, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	cleanup_close int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int status;

	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(error, ENAMETOOLONG, "linux.seccomp.listenerPath is longer than a socket's path can be");
	strcpy(address.sun_path, path);
	if (connection < 0 || connect(connection, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_errno(error, errno, "connect to the seccomp agent at %s", path);
	status = fd_send(connection, text, strlen(text), &listener, 1);
	return status < 0 ? error_errno(error, -status, "send the listener to %s", path) : 0;
}

/* Takes the listener. */
static int pass_on(struct launch *launch, const struct state *state, struct error *error)
{
	pid_t pid = launch->pid ? launch->pid : launch->helper_pid;
	char config[PATH_MAX + 16];
	cleanup_free char *text = NULL;
	const char *path;
	json_t *document;
	int status;

	snprintf(config, sizeof(config), "%s/config.json", state->folder);
	document = json_load_file(config, 0, NULL);
	path = json_string_value(
		json_object_get(json_object_get(json_object_get(document, "linux"), "seccomp"), "listenerPath"));
	text = path ? make_message(document, pid, state) : NULL;
	status = text ? send_to(path, text, launch->seccomp_listener, error) :
			error_set(error, EIO, "the seccomp listener's state can't be made");
	fd_close(&launch->seccomp_listener);
	json_decref(document);
	return status;
}

/* Whose it is, is known with the process: it can come before that, from the helper that is to make it. But that waits for
 * an answer if the filter notifies of a call of its own. */
static bool is_due(const struct launch *launch)
{
	struct pollfd asked = {.fd = launch->seccomp_listener, .events = POLLIN};

	return launch->seccomp_listener >= 0 && (launch->pid > 0 || poll(&asked, 1, 0) == 1);
}

int listener_next_event(struct launch *launch, const struct state *state, struct error *error)
{
	for (;;) {
		int event, status = is_due(launch) ? pass_on(launch, state, error) : 0;

		if (status < 0)
			return status;
		event = launch_receive(launch);
		if (event != -EAGAIN && event != LAUNCH_LISTENER)
			return event;
		if (event == -EAGAIN) {
			struct pollfd waiting[] = {{.fd = launch->report_fd, .events = POLLIN},
						   {.fd = launch->seccomp_listener, .events = POLLIN}};

			poll(waiting, array_size(waiting), -1);
		}
	}
}
