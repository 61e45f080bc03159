/* The workload of a plan: arguments, environment, directory, user, rlimits. See OCI config.md "Process". */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/container/capabilities.h"
#include "agent/container/plan_parts.h"
#include "lib/cleanup.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define GROUPS_MAX 65536
#define BLANKS " \t\r\n\v\f"

struct limit_name {
	const char *name;
	int resource;
};

static const struct limit_name limit_names[] = {
	{"RLIMIT_AS", RLIMIT_AS},
	{"RLIMIT_CORE", RLIMIT_CORE},
	{"RLIMIT_CPU", RLIMIT_CPU},
	{"RLIMIT_DATA", RLIMIT_DATA},
	{"RLIMIT_FSIZE", RLIMIT_FSIZE},
	{"RLIMIT_LOCKS", RLIMIT_LOCKS},
	{"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
	{"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
	{"RLIMIT_NICE", RLIMIT_NICE},
	{"RLIMIT_NOFILE", RLIMIT_NOFILE},
	{"RLIMIT_NPROC", RLIMIT_NPROC},
	{"RLIMIT_RSS", RLIMIT_RSS},
	{"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
	{"RLIMIT_RTTIME", RLIMIT_RTTIME},
	{"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
	{"RLIMIT_STACK", RLIMIT_STACK},
};

_Static_assert(PLAN_LIMITS_MAX >= RLIM_NLIMITS, "every resource has its place");

void boot_limits_read(struct boot_limits *limits)
{
	for (size_t i = 0; i < array_size(limit_names); i++)
		getrlimit((unsigned)limit_names[i].resource, &limits->limits[limit_names[i].resource]);
	limits->capabilities = capabilities_available();
}

const char *plan_limit_name(int resource)
{
	for (size_t i = 0; i < array_size(limit_names); i++)
		if (limit_names[i].resource == resource)
			return limit_names[i].name;
	return "rlimit";
}

static int resolve_limit(const Grpc__POSIXRlimit *given, struct plan_limit *limits, unsigned *seen,
			 struct error *error)
{
	for (size_t i = 0; i < array_size(limit_names); i++) {
		int resource = limit_names[i].resource;

		if (strcmp(limit_names[i].name, given->type) != 0)
			continue;
		if (*seen >> resource & 1)
			return error_set(error, EINVAL, "rlimit %s is there twice", given->type);
		if (given->soft > given->hard)
			return error_set(error, EINVAL, "rlimit %s: the soft limit is above the hard one", given->type);
		*seen |= 1u << resource;
		limits[resource].value = (struct rlimit){.rlim_cur = given->soft, .rlim_max = given->hard};
		return 0;
	}
	return error_set(error, EINVAL, "unknown rlimit \"%.64s\"", given->type);
}

int plan_limits(struct plan *plan, const struct boot_limits *boot, const Grpc__Process *process, struct error *error)
{
	struct plan_limit *limits = plan_array(plan->arena, RLIM_NLIMITS, sizeof(*limits), error);
	unsigned seen = 0;

	if (!limits)
		return -ENOMEM;
	for (int resource = 0; resource < RLIM_NLIMITS; resource++) {
		limits[resource].resource = resource;
		limits[resource].value = boot->limits[resource];
	}
	for (size_t i = 0; process && i < process->n_rlimits; i++) {
		int status = resolve_limit(process->rlimits[i], limits, &seen, error);

		if (status < 0)
			return status;
	}
	plan->process.limits = limits;
	plan->process.limit_count = RLIM_NLIMITS;
	return 0;
}

static int resolve_arguments(struct plan *plan, const Grpc__Process *process, struct error *error)
{
	static char *shell[] = {"sh"};
	char **given = process->n_args > 0 ? process->args : shell; /* as Kata does without arguments */
	size_t count = process->n_args > 0 ? process->n_args : 1;
	char **arguments = plan_array(plan->arena, count + 1, sizeof(*arguments), error);

	if (!arguments)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		arguments[i] = plan_text(plan->arena, given[i], error);
		if (!arguments[i])
			return -ENOMEM;
	}
	plan->process.arguments = arguments;
	return 0;
}

struct variable {
	char *text;
	size_t name_length;
	size_t index;
};

static int compare_names(const void *left, const void *right)
{
	const struct variable *a = left, *b = right;
	size_t shorter = a->name_length < b->name_length ? a->name_length : b->name_length;
	int order = memcmp(a->text, b->text, shorter);

	if (order != 0)
		return order;
	if (a->name_length != b->name_length)
		return a->name_length < b->name_length ? -1 : 1;
	return a->index < b->index ? -1 : 1;
}

static bool same_name(const struct variable *a, const struct variable *b)
{
	return a->name_length == b->name_length && memcmp(a->text, b->text, a->name_length) == 0;
}

/* Trims an entry; false for one that isn't a variable, which is passed over. */
static bool trim_variable(char *text, struct variable *variable, size_t index)
{
	char *equals;
	size_t length;

	text += strspn(text, BLANKS);
	length = strlen(text);
	while (length > 0 && strchr(BLANKS, text[length - 1]))
		text[--length] = '\0';
	equals = strchr(text, '=');
	if (!equals || equals == text)
		return false;
	*variable = (struct variable){.text = text, .name_length = (size_t)(equals - text), .index = index};
	return true;
}

/* The environment in its order; of several entries with one name the last one counts, as with setenv(3). Sorting finds
 * them, so that a long hostile list costs no more than n log n. */
static int resolve_environment(struct plan *plan, const Grpc__Process *process, struct error *error)
{
	size_t count = 0, kept = 0;
	char **environment = plan_array(plan->arena, process->n_env + 2, sizeof(*environment), error);
	struct variable *variables = plan_array(plan->arena, process->n_env + 1, sizeof(*variables), error);

	if (!environment || !variables)
		return -ENOMEM;
	for (size_t i = 0; i < process->n_env; i++) {
		char *text = plan_text(plan->arena, process->env[i], error);

		if (!text)
			return -ENOMEM;
		if (trim_variable(text, &variables[count], count))
			count++;
	}
	qsort(variables, count, sizeof(*variables), compare_names);
	for (size_t i = 0; i < count; i++)
		if (i + 1 == count || !same_name(&variables[i], &variables[i + 1]))
			environment[variables[i].index] = variables[i].text;
	plan->process.home_wanted = true;
	plan->process.search_path = DEFAULT_PATH;
	for (size_t i = 0; i < count; i++) {
		char *text = environment[i];

		if (!text)
			continue;
		environment[kept++] = text;
		if (strncmp(text, "HOME=", 5) == 0)
			plan->process.home_wanted = false;
		if (strncmp(text, "PATH=", 5) == 0)
			plan->process.search_path = text + 5;
	}
	for (size_t i = kept; i < count; i++)
		environment[i] = NULL;
	plan->process.environment = environment;
	plan->process.environment_count = kept;
	return 0;
}

static int resolve_user(struct plan *plan, const Grpc__User *user, struct error *error)
{
	gid_t *groups;

	if (!user)
		return 0;
	if (user->n_additionalgids > GROUPS_MAX)
		return error_set(error, EINVAL, "%zu additional groups are too many", user->n_additionalgids);
	groups = plan_array(plan->arena, user->n_additionalgids, sizeof(*groups), error);
	if (!groups)
		return -ENOMEM;
	for (size_t i = 0; i < user->n_additionalgids; i++)
		groups[i] = user->additionalgids[i];
	if (user->uid == (uint32_t)-1 || user->gid == (uint32_t)-1)
		return error_set(error, EINVAL, "4294967295 is no user and no group");
	plan->process.uid = user->uid;
	plan->process.gid = user->gid;
	plan->process.groups = groups;
	plan->process.group_count = user->n_additionalgids;
	return 0;
}

int plan_workload(struct plan *plan, const Grpc__Process *process, struct error *error)
{
	struct plan_process *workload = &plan->process;
	int status;

	workload->directory = plan_path(plan->arena, *process->cwd ? process->cwd : "/", "cwd", error);
	if (!workload->directory)
		return -error->number;
	workload->no_new_privileges = process->nonewprivileges;
	workload->terminal = process->terminal;
	if (process->consolesize) {
		workload->terminal_rows = (uint16_t)process->consolesize->height;
		workload->terminal_columns = (uint16_t)process->consolesize->width;
	}
	status = resolve_arguments(plan, process, error);
	if (status == 0)
		status = resolve_environment(plan, process, error);
	return status < 0 ? status : resolve_user(plan, process->user, error);
}
