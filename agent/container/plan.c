/* Planning: the checks of the spec as a whole, and the order of its parts. */
#include "agent/container/plan.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "agent/container/capabilities.h"
#include "agent/container/kernel.h"
#include "agent/container/plan_parts.h"
#include "agent/container/seccomp.h"
#include "lib/cleanup.h"

#define OOM_SCORE_ADJUST_MAX 1000
#define HOSTNAME_MAX 64
#define TIME_OFFSETS_MAX 2

struct namespace_name {
	const char *name;
	enum plan_namespace_kind kind;
};

/* The Rust runtime sends the kernel's own names, "mnt" and "net", and not the specification's. */
static const struct namespace_name namespace_names[] = {
	{"user", PLAN_USER}, {"ipc", PLAN_IPC},	    {"uts", PLAN_UTS}, {"network", PLAN_NETWORK}, {"cgroup", PLAN_CGROUP},
	{"time", PLAN_TIME}, {"pid", PLAN_PID},	    {"mount", PLAN_MOUNT}, {"mnt", PLAN_MOUNT}, {"net", PLAN_NETWORK},
};

static int resolve_namespace(struct plan *plan, const Grpc__LinuxNamespace *given, unsigned *seen,
			     struct error *error)
{
	struct plan_namespace *namespace;

	for (size_t i = 0; i < array_size(namespace_names); i++) {
		enum plan_namespace_kind kind = namespace_names[i].kind;

		if (strcmp(given->type, namespace_names[i].name) != 0)
			continue;
		if (*seen >> kind & 1)
			return error_set(error, EINVAL, "namespace \"%s\" is there twice", given->type);
		*seen |= 1u << kind;
		namespace = &plan->namespaces[kind];
		namespace->mode = *given->path ? PLAN_NAMESPACE_JOIN : PLAN_NAMESPACE_NEW;
		namespace->path = plan_path(plan->arena, *given->path ? given->path : "/", "namespace path", error);
		return namespace->path ? 0 : -error->number;
	}
	return error_set(error, EINVAL, "namespace type \"%.32s\" isn't supported", given->type);
}

/* The sandbox's namespaces, or new ones where it has none, take the place of what the runtime said (Kata's rule). */
static void take_shared(struct plan_namespace *namespace, int fd)
{
	if (namespace->mode == PLAN_NAMESPACE_KEEP)
		return;
	namespace->mode = fd < 0 ? PLAN_NAMESPACE_NEW : PLAN_NAMESPACE_JOIN;
	namespace->fd = fd;
}

static int plan_namespaces(struct plan *plan, const Grpc__Linux *linux, const struct plan_parameters *parameters,
			   struct error *error)
{
	unsigned seen = 0;
	bool literal = parameters->extras && parameters->extras->namespaces_literal;

	for (size_t i = 0; i < PLAN_NAMESPACES; i++)
		plan->namespaces[i].fd = -1;
	if (!linux || linux->n_namespaces == 0)
		return error_set(error, EINVAL, "cannot find the pid ns: the spec lists no namespaces");
	for (size_t i = 0; i < linux->n_namespaces; i++) {
		int status = resolve_namespace(plan, linux->namespaces[i], &seen, error);

		if (status < 0)
			return status;
	}
	if (plan->namespaces[PLAN_MOUNT].mode != PLAN_NAMESPACE_NEW)
		return error_set(error, EINVAL, "a container needs a new mount namespace");
	if (literal) {
		plan->procfs_made = plan->namespaces[PLAN_PID].mode == PLAN_NAMESPACE_JOIN;
		return 0;
	}
	take_shared(&plan->namespaces[PLAN_IPC], parameters->ipc_namespace);
	take_shared(&plan->namespaces[PLAN_UTS], parameters->uts_namespace);
	/* Always one: the shared one, or a new one. */
	plan->namespaces[PLAN_PID].mode = PLAN_NAMESPACE_NEW;
	take_shared(&plan->namespaces[PLAN_PID], parameters->pid_namespace);
	if (plan->namespaces[PLAN_CGROUP].mode == PLAN_NAMESPACE_JOIN)
		return error_set(error, EINVAL, "a cgroup namespace can't be joined");
	/* On v2 there is always one, so that the container's cgroup is its own top. */
	if (plan->cgroup && plan->cgroup->tree->unified)
		plan->namespaces[PLAN_CGROUP].mode = PLAN_NAMESPACE_NEW;
	return 0;
}

static int resolve_mappings(struct plan *plan, const struct plan_mapping **result, size_t *result_count,
			    Grpc__LinuxIDMapping **given, size_t count, struct error *error)
{
	struct plan_mapping *mappings = plan_array(plan->arena, count, sizeof(*mappings), error);

	if (!mappings)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		mappings[i] = (struct plan_mapping){given[i]->containerid, given[i]->hostid, given[i]->size};
	return plan_mappings_copy(plan, result, result_count, mappings, count, error);
}

static int plan_mappings(struct plan *plan, const Grpc__Linux *linux, struct error *error)
{
	bool wanted = plan->namespaces[PLAN_USER].mode == PLAN_NAMESPACE_NEW;
	int status;

	if (!wanted && (linux->n_uidmappings > 0 || linux->n_gidmappings > 0))
		return error_set(error, EINVAL, "id mappings need a new user namespace");
	if (wanted && (linux->n_uidmappings == 0 || linux->n_gidmappings == 0))
		return error_set(error, EINVAL, "a new user namespace needs mappings of users and groups");
	status = resolve_mappings(plan, &plan->uid_mappings, &plan->uid_mapping_count, linux->uidmappings,
				  linux->n_uidmappings, error);
	if (status < 0)
		return status;
	return resolve_mappings(plan, &plan->gid_mappings, &plan->gid_mapping_count, linux->gidmappings,
				linux->n_gidmappings, error);
}

static int plan_paths(struct plan *plan, const char *const **result, size_t *result_count, char **given, size_t count,
		      const char *what, struct error *error)
{
	const char **paths = plan_array(plan->arena, count, sizeof(*paths), error);

	if (!paths)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		paths[i] = plan_path(plan->arena, given[i], what, error);
		if (!paths[i])
			return -error->number;
	}
	*result = paths;
	*result_count = count;
	return 0;
}

/* A name of a uts namespace: a new one's, or a joined one's where the spec's words are taken to the letter. */
static int plan_name(struct plan *plan, const char **result, const char *name, const char *what, bool literal,
		     struct error *error)
{
	if (!name || !*name)
		return 0;
	if (plan->namespaces[PLAN_UTS].mode == PLAN_NAMESPACE_KEEP)
		return error_set(error, EINVAL, "a %s needs a uts namespace", what);
	if (strlen(name) > HOSTNAME_MAX)
		return error_set(error, EINVAL, "%s \"%.80s\" is longer than %d bytes", what, name, HOSTNAME_MAX);
	/* A joined namespace has the sandbox's name. */
	if (plan->namespaces[PLAN_UTS].mode == PLAN_NAMESPACE_JOIN && !literal)
		return 0;
	*result = plan_text(plan->arena, name, error);
	return *result ? 0 : -ENOMEM;
}

static int plan_names(struct plan *plan, const Grpc__Spec *spec, const struct plan_extras *extras, struct error *error)
{
	bool literal = extras && extras->namespaces_literal;
	int status = plan_name(plan, &plan->hostname, spec->hostname, "hostname", literal, error);

	if (status == 0 && extras)
		status = plan_name(plan, &plan->domainname, extras->domainname, "domain name", literal, error);
	return status;
}

static int plan_time(struct plan *plan, const struct plan_extras *extras, struct error *error)
{
	struct plan_time_offset *offsets;

	if (!extras || extras->time_offset_count == 0)
		return 0;
	if (plan->namespaces[PLAN_TIME].mode != PLAN_NAMESPACE_NEW)
		return error_set(error, EINVAL, "time offsets need a new time namespace");
	if (extras->time_offset_count > TIME_OFFSETS_MAX)
		return error_set(error, EINVAL, "%zu time offsets are too many", extras->time_offset_count);
	offsets = plan_array(plan->arena, extras->time_offset_count, sizeof(*offsets), error);
	if (!offsets)
		return -ENOMEM;
	for (size_t i = 0; i < extras->time_offset_count; i++) {
		offsets[i] = extras->time_offsets[i];
		if (strcmp(offsets[i].clock, "monotonic") != 0 && strcmp(offsets[i].clock, "boottime") != 0)
			return error_set(error, EINVAL, "the clock \"%.32s\" has no offset", offsets[i].clock);
		if (offsets[i].nanoseconds > 999999999)
			return error_set(error, EINVAL, "%u nanoseconds are a second or more", offsets[i].nanoseconds);
		offsets[i].clock = plan_text(plan->arena, offsets[i].clock, error);
		if (!offsets[i].clock)
			return -ENOMEM;
	}
	plan->time_offsets = offsets;
	plan->time_offset_count = extras->time_offset_count;
	return 0;
}

static int plan_root(struct plan *plan, const Grpc__Spec *spec, const struct plan_parameters *parameters,
		     struct error *error)
{
	if (!spec->root || !*spec->root->path)
		return error_set(error, EINVAL, "the spec has no root");
	if (plan_check_selinux(spec->linux->mountlabel, error) < 0)
		return -EINVAL;
	plan->root_path = plan_path(plan->arena, spec->root->path, "root path", error);
	plan->bundle = plan_path(plan->arena, parameters->bundle, "bundle path", error);
	if (!plan->root_path || !plan->bundle)
		return -error->number;
	plan->root_readonly = spec->root->readonly;
	return plan_propagation(spec->linux->rootfspropagation, 0, &plan->root_propagation, error);
}

static int plan_filesystem(struct plan *plan, const Grpc__Spec *spec, const struct plan_extras *extras,
			   struct error *error)
{
	const Grpc__Linux *linux = spec->linux;
	int status = plan_mounts(plan, spec, extras, error);

	if (status == 0)
		status = plan_devices(plan, linux, error);
	if (status == 0)
		status = plan_sysctls(plan, linux, extras && extras->namespaces_literal, error);
	if (status == 0)
		status = plan_paths(plan, &plan->masked_paths, &plan->masked_count, linux->maskedpaths,
				    linux->n_maskedpaths, "masked path", error);
	if (status == 0)
		status = plan_paths(plan, &plan->readonly_paths, &plan->readonly_count, linux->readonlypaths,
				    linux->n_readonlypaths, "read-only path", error);
	return status;
}

static int plan_oom_score(struct plan *plan, const Grpc__Process *process, struct error *error)
{
	int64_t adjust = process ? process->oomscoreadj : 0;

	if (adjust < -OOM_SCORE_ADJUST_MAX || adjust > OOM_SCORE_ADJUST_MAX)
		return error_set(error, EINVAL, "oom score adjustment %lld is out of range", (long long)adjust);
	plan->process.oom_score_adjust = (int)adjust;
	return 0;
}

/* What an exec has in common with its container: rlimits, oom score, seccomp, all from `owner`. */
static int plan_confinement(struct plan *plan, const Grpc__Spec *owner, const Grpc__LinuxCapabilities *capabilities,
			    const struct boot_limits *limits, const struct plan_extras *extras, struct error *error)
{
	int status = plan_limits(plan, limits, owner->process, error);

	capabilities_plan(&plan->process.capabilities, capabilities, limits->capabilities, plan->id);
	if (status == 0)
		status = plan_oom_score(plan, owner->process, error);
	if (status == 0)
		status = seccomp_plan(&plan->process, plan->arena, owner->linux ? owner->linux->seccomp : NULL, extras, error);
	return status;
}

/* The helper has nothing of the agent's memory but the arena. */
static int copy_cgroup(struct plan *plan, const struct cgroup *given, struct error *error)
{
	struct cgroup *cgroup;
	struct cgroup_tree *tree;

	if (!given)
		return 0;
	cgroup = plan_array(plan->arena, 1, sizeof(*cgroup), error);
	tree = plan_array(plan->arena, 1, sizeof(*tree), error);
	if (!cgroup || !tree)
		return -ENOMEM;
	*tree = *given->tree;
	*cgroup = *given;
	cgroup->tree = tree;
	plan->cgroup = cgroup;
	return 0;
}

static int plan_resources(struct plan *plan, const Grpc__Linux *linux, const struct plan_extras *extras,
			  struct error *error)
{
	struct cgroup_limits *limits;
	int status;

	if (!plan->cgroup)
		return 0;
	limits = plan_array(plan->arena, 1, sizeof(*limits), error);
	if (!limits)
		return -ENOMEM;
	status = cgroup_limits_plan(limits, plan->arena, plan->cgroup->tree, linux->resources,
				    extras ? &extras->resources : NULL, error);
	plan->limits = limits;
	return status;
}

int plan_container(struct plan *plan, struct arena *arena, const Grpc__Spec *spec,
		   const struct plan_parameters *parameters, struct error *error)
{
	struct error unread;
	int status;

	if (!error)
		error = &unread;
	*plan = (struct plan){.arena = arena, .init_pidfd = -1};
	if (!spec->process)
		return error_set(error, EINVAL, "the spec has no process");
	plan->id = plan_text(arena, parameters->id, error);
	if (!plan->id)
		return -ENOMEM;
	status = copy_cgroup(plan, parameters->cgroup, error);
	if (status == 0)
		status = plan_namespaces(plan, spec->linux, parameters, error);
	if (status == 0)
		status = plan_mappings(plan, spec->linux, error);
	if (status == 0)
		status = plan_names(plan, spec, parameters->extras, error);
	if (status == 0)
		status = plan_time(plan, parameters->extras, error);
	if (status == 0)
		status = plan_root(plan, spec, parameters, error);
	if (status == 0)
		status = plan_filesystem(plan, spec, parameters->extras, error);
	if (status == 0)
		status = plan_workload(plan, spec->process, error);
	if (status == 0)
		status = plan_labels(plan, spec->process, NULL, parameters->apparmor_ignored, error);
	if (status == 0)
		status = plan_process_extras(plan, parameters->extras ? &parameters->extras->process : NULL,
					     parameters->extras, error);
	if (status == 0)
		status = plan_confinement(plan, spec, spec->process->capabilities, parameters->limits,
					  parameters->extras, error);
	if (status == 0)
		status = plan_resources(plan, spec->linux, parameters->extras, error);
	if (status == 0)
		status = hooks_plan(&plan->hooks, arena, spec, &parameters->hooks, error);
	if (status < 0)
		return status;
	plan->procfs_exported = parameters->procfs_exported;
	if (plan->namespaces[PLAN_PID].mode == PLAN_NAMESPACE_JOIN && parameters->procfs) {
		plan->procfs = plan_text(arena, parameters->procfs, error);
		return plan->procfs ? 0 : -ENOMEM;
	}
	return 0;
}

/* Only the kinds that setns(2) has to be told about: joining the same user namespace is an error, a kernel may have no
 * time namespaces, and the others do no harm where the container shares them with the guest. */
static void plan_joined(struct plan *plan, const Grpc__Linux *linux)
{
	for (size_t i = 0; i < PLAN_NAMESPACES; i++)
		plan->namespaces[i] = (struct plan_namespace){.mode = PLAN_NAMESPACE_JOIN, .fd = -1};
	plan->namespaces[PLAN_USER].mode = plan->namespaces[PLAN_TIME].mode = PLAN_NAMESPACE_KEEP;
	for (size_t i = 0; linux && i < linux->n_namespaces; i++) {
		if (strcmp(linux->namespaces[i]->type, "user") == 0)
			plan->namespaces[PLAN_USER].mode = PLAN_NAMESPACE_JOIN;
		if (strcmp(linux->namespaces[i]->type, "time") == 0)
			plan->namespaces[PLAN_TIME].mode = PLAN_NAMESPACE_JOIN;
	}
}

/* A name, and nothing that could be a path. */
static int plan_tool(struct plan *plan, const char *tool, struct error *error)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";

	if (!tool)
		return 0;
	if (!*tool || *tool == '.' || tool[strspn(tool, allowed)] || strlen(tool) > NAME_MAX)
		return error_set(error, EINVAL, "'%.80s' is no name of a tool", tool);
	plan->process.tool = plan_text(plan->arena, tool, error);
	return plan->process.tool ? 0 : -ENOMEM;
}

int plan_exec(struct plan *plan, struct arena *arena, const Grpc__Process *process, const Grpc__Spec *container,
	      const struct plan_exec_parameters *parameters, struct error *error)
{
	const Grpc__LinuxCapabilities *capabilities = process->capabilities;
	struct error unread;
	int status;

	if (!error)
		error = &unread;
	*plan = (struct plan){
		.arena = arena,
		.exec = true,
		.init_pidfd = parameters->init_pidfd,
		.init_pid = parameters->init_pid,
	};
	plan->id = plan_text(arena, parameters->id, error);
	if (!plan->id)
		return -ENOMEM;
	plan_joined(plan, container->linux);
	if (!capabilities && container->process)
		capabilities = container->process->capabilities;
	status = copy_cgroup(plan, parameters->cgroup, error);
	if (status == 0)
		status = plan_workload(plan, process, error);
	if (status == 0)
		status = plan_tool(plan, parameters->tool, error);
	if (status == 0)
		status = plan_labels(plan, process, container->process, parameters->apparmor_ignored, error);
	if (status == 0)
		status = plan_process_extras(plan, parameters->process_extras, parameters->extras, error);
	if (status < 0)
		return status;
	return plan_confinement(plan, container, capabilities, parameters->limits, parameters->extras, error);
}
