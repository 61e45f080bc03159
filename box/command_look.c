/* nacre-box state, list, ps and features. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/container/cgroup.h"
#include "box/box.h"
#include "box/state.h"
#include "lib/cleanup.h"

#define PIDS_MAX 32768

static int print_json(json_t *document)
{
	char *text = json_dumps(document, JSON_INDENT(2));

	json_decref(document);
	if (!text)
		return BOX_FAILED;
	puts(text);
	free(text);
	return 0;
}

int command_state(int argc, const char *argv[])
{
	const struct poptOption table[] = {{"help", 'h', POPT_ARG_NONE, NULL, 'h', "show this", NULL}, POPT_TABLEEND};
	struct state state = {0};
	struct error error;
	poptContext context;
	int status = 0;
	const char **arguments = box_line_read(&context, argc, argv, table, "ID", 1, &status);

	if (arguments)
		status = state_read(&state, arguments[0], &error) < 0 ? box_fail(&error) : print_json(state_json(&state));
	state_free(&state);
	poptFreeContext(context);
	return status;
}

/* list ----------------------------------------------------------------------------------------------------------- */

static json_t *list_entry(const struct state *state)
{
	json_t *entry = state_json(state);
	time_t created = (time_t)state->created;
	char when[32];

	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime(&created));
	json_object_set_new(entry, "created", json_string(when));
	return entry;
}

static void print_table(const json_t *list)
{
	size_t index;
	json_t *entry;

	printf("%-24s %-8s %-10s %s\n", "ID", "PID", "STATUS", "BUNDLE");
	json_array_foreach((json_t *)list, index, entry) {
		printf("%-24s %-8lld %-10s %s\n", json_string_value(json_object_get(entry, "id")),
		       (long long)json_integer_value(json_object_get(entry, "pid")),
		       json_string_value(json_object_get(entry, "status")),
		       json_string_value(json_object_get(entry, "bundle")));
	}
}

static json_t *read_all(void)
{
	json_t *list = json_array();
	struct dirent **entries = NULL;
	int count = scandir(box_settings.root, &entries, NULL, alphasort);

	for (int i = 0; i < count; i++) {
		struct state state = {0};

		/* Others may be deleted meanwhile. */
		if (*entries[i]->d_name != '.' && state_read(&state, entries[i]->d_name, NULL) == 0)
			json_array_append_new(list, list_entry(&state));
		state_free(&state);
		free(entries[i]);
	}
	free(entries);
	return list;
}

int command_list(int argc, const char *argv[])
{
	int quiet = 0, status = 0;
	char *format = NULL;
	const struct poptOption table[] = {
		{"format", 'f', POPT_ARG_STRING, &format, 0, "json or table", "FORMAT"},
		{"quiet", 'q', POPT_ARG_NONE, &quiet, 0, "ids alone", NULL},
		{"help", 'h', POPT_ARG_NONE, NULL, 'h', "show this", NULL},
		POPT_TABLEEND,
	};
	poptContext context;
	size_t index;
	json_t *entry;

	if (box_line_read(&context, argc, argv, table, "[OPTION...]", 0, &status)) {
		json_t *list = read_all();

		if (format && strcmp(format, "json") == 0) {
			status = print_json(json_incref(list));
		} else if (quiet) {
			json_array_foreach(list, index, entry)
				puts(json_string_value(json_object_get(entry, "id")));
		} else {
			print_table(list);
		}
		json_decref(list);
	}
	free(format);
	poptFreeContext(context);
	return status;
}

/* ps ------------------------------------------------------------------------------------------------------------- */

static int print_processes(const char *id, bool as_json, struct error *error)
{
	static pid_t pids[PIDS_MAX];
	struct state state = {0};
	struct cgroup_tree tree;
	struct cgroup cgroup;
	size_t count = PIDS_MAX;
	json_t *list = json_array();
	int status = state_read(&state, id, error);

	if (status == 0)
		status = cgroup_tree_find(&tree, error);
	if (status == 0)
		status = cgroup_init(&cgroup, &tree, state.cgroup, state.id, error);
	if (status == 0)
		status = cgroup_processes(&cgroup, pids, &count, error);
	for (size_t i = 0; status == 0 && i < count && i < PIDS_MAX; i++) {
		json_array_append_new(list, json_integer(pids[i]));
		if (!as_json)
			printf("%d\n", pids[i]);
	}
	if (status == 0 && as_json)
		print_json(json_incref(list));
	json_decref(list);
	state_free(&state);
	return status;
}

int command_ps(int argc, const char *argv[])
{
	int status = 0;
	char *format = NULL;
	const struct poptOption table[] = {
		{"format", 'f', POPT_ARG_STRING, &format, 0, "json, or pids one a line", "FORMAT"},
		{"help", 'h', POPT_ARG_NONE, NULL, 'h', "show this", NULL},
		POPT_TABLEEND,
	};
	struct error error;
	poptContext context;
	const char **arguments = box_line_read(&context, argc, argv, table, "[OPTION...] ID", 1, &status);

	if (arguments)
		status = print_processes(arguments[0], format && strcmp(format, "json") == 0, &error) < 0 ? box_fail(&error) : 0;
	free(format);
	poptFreeContext(context);
	return status;
}

/* What OCI's features.md calls "features", as far as it is certain by construction. */
int command_features(int argc, const char *argv[])
{
	const struct poptOption table[] = {{"help", 'h', POPT_ARG_NONE, NULL, 'h', "show this", NULL}, POPT_TABLEEND};
	poptContext context;
	int status = 0;

	if (box_line_read(&context, argc, argv, table, "", 0, &status))
		status = print_json(json_pack("{s:s, s:s, s:[s,s,s,s,s,s], s:{s:[s,s,s,s,s,s,s], s:{s:b, s:b}}}", "ociVersionMin",
					      "1.0.0", "ociVersionMax", BOX_OCI_VERSION, "hooks", "prestart",
					      "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
					      "linux", "namespaces", "cgroup", "ipc", "mount", "network", "pid", "user",
					      "uts", "cgroup", "v1", 1, "v2", 1));
	poptFreeContext(context);
	return status;
}
