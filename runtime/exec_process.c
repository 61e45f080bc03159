/* From process.json and options to a process. */
#include "runtime/exec_process.h"

#include <errno.h>
#include <string.h>

#include "lib/cleanup.h"
#include "runtime/process_file.h"
#include "runtime/spec.h"
#include "runtime/terminal.h"
#include "runtime/tool.h"
#include "runtime/user.h"

#define TABLE_LIMIT (1u << 20)

/* A file of the container's, read inside of it; NULL where it can't be had. */
static char *read_table(struct tools *tools, const char *path, struct arena *arena)
{
	const char *arguments[] = {path, NULL};
	char *text = arena_alloc(arena, TABLE_LIMIT);
	struct error error;

	return text && tools_read(tools, "cat", arguments, text, TABLE_LIMIT, &error) == 0 ? text : NULL;
}

static int resolve_user(Grpc__Process *process, const struct exec_options *options, const char *container,
			struct session *session, struct user *user, struct arena *arena, struct error *error)
{
	struct tools tools;
	uint32_t *groups;
	int status;

	tools_open(&tools, session, container);
	status = user_resolve_texts(user, read_table(&tools, "/etc/passwd", arena),
				    read_table(&tools, "/etc/group", arena), options->user, error);
	if (status < 0)
		return status;
	groups = arena_array(arena, user->group_count + 1, sizeof(*groups));
	process->user = SPEC_NEW(arena, Grpc__User, grpc__user__init);
	if (!groups || !process->user)
		return error_errno(error, ENOMEM, "the command's user");
	memcpy(groups, user->groups, user->group_count * sizeof(*groups));
	process->user->uid = user->uid;
	process->user->gid = user->gid;
	process->user->additionalgids = groups;
	process->user->n_additionalgids = user->group_count;
	return 0;
}

static bool names(const char *entry, const char *variable)
{
	size_t length = strcspn(variable, "=");

	return strncmp(entry, variable, length) == 0 && entry[length] == '=';
}

static void forget_variable(Grpc__Process *process, const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < process->n_env; i++)
		if (!names(process->env[i], name))
			process->env[kept++] = process->env[i];
	process->n_env = kept;
}

/* Puts a variable at the end of the list, which has room, and takes out what it replaces. */
static void set_variable(Grpc__Process *process, const char *variable)
{
	forget_variable(process, variable);
	process->env[process->n_env++] = (char *)variable;
}

/* The container's, then what another user or a terminal changes, then the options'. */
static int build_environment(Grpc__Process *process, const struct exec_options *options, const struct user *user,
			     struct arena *arena, struct error *error)
{
	const char *term = getenv("TERM");
	char **list = arena_array(arena, process->n_env + options->environment.count + 2, sizeof(char *));

	if (!list)
		return error_errno(error, ENOMEM, "the command's environment");
	memcpy(list, process->env, process->n_env * sizeof(*list));
	process->env = list;
	if (options->user)
		forget_variable(process, "HOME"); /* the agent finds one where passwd has none */
	if (options->user && *user->home)
		set_variable(process, arena_printf(arena, "HOME=%s", user->home));
	if (options->terminal)
		set_variable(process, arena_printf(arena, "TERM=%s", term ? term : "xterm"));
	if (arena->exhausted)
		return error_errno(error, ENOMEM, "the command's environment");
	for (size_t i = 0; i < options->environment.count; i++)
		set_variable(process, options->environment.list[i]);
	return 0;
}

/* As for a container's first process: only root has them from the start. */
static void set_capabilities(Grpc__Process *process)
{
	Grpc__LinuxCapabilities *sets = process->capabilities;

	if (process->user->uid != 0)
		return;
	sets->effective = sets->permitted = sets->bounding;
	sets->n_effective = sets->n_permitted = sets->n_bounding;
}

static int set_terminal(Grpc__Process *process, const struct exec_options *options, struct arena *arena)
{
	unsigned rows, columns;

	process->terminal = options->terminal;
	if (!options->terminal || !terminal_size(&rows, &columns))
		return 0;
	process->consolesize = SPEC_NEW(arena, Grpc__Box, grpc__box__init);
	if (!process->consolesize)
		return -ENOMEM;
	process->consolesize->height = rows;
	process->consolesize->width = columns;
	return 0;
}

Grpc__Process *exec_process_build(const struct exec_options *options, const struct run_directory *directory,
				  struct session *session, struct arena *arena, struct error *error)
{
	Grpc__Process *process = process_file_read(directory, arena, error);
	struct user user = {0};
	int status = 0;

	if (!process)
		return NULL;
	if (options->user)
		status = resolve_user(process, options, directory->name, session, &user, arena, error);
	if (status == 0)
		status = build_environment(process, options, &user, arena, error);
	if (status == 0 && set_terminal(process, options, arena) < 0)
		status = error_errno(error, ENOMEM, "the command's terminal");
	if (status < 0)
		return NULL;
	set_capabilities(process);
	if (options->directory)
		process->cwd = (char *)options->directory;
	process->args = (char **)options->command;
	while (process->args[process->n_args])
		process->n_args++;
	return process;
}
