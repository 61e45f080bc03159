/* From a bundle to a plan, and what is left of it in the end. */
#include "box/container.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "agent/container/bundle.h"
#include "box/box.h"
#include "box/extras.h"
#include "lib/cleanup.h"
#include "lib/path.h"
#include "oci/config.h"

#define MEMORY (64u << 20)
#define REMOVAL_TIME 10000 /* milliseconds for what is killed to end */

static char *below(struct arena *arena, const char *directory, const char *path)
{
	return *path == '/' ? (char *)path : arena_printf(arena, "%s/%s", directory, path);
}

static bool is_bind(const Grpc__Mount *mount)
{
	for (size_t i = 0; i < mount->n_options; i++)
		if (strcmp(mount->options[i], "bind") == 0 || strcmp(mount->options[i], "rbind") == 0)
			return true;
	return strcmp(mount->type, "bind") == 0;
}

/* Paths of the file are relative to the bundle, and the container code follows no links in them. */
static int make_absolute(struct box_container *container, const struct state *state, struct error *error)
{
	Grpc__Spec *spec = container->spec;
	char real[PATH_MAX];
	const char *path = below(&container->arena, state->bundle, spec->root->path);

	if (!*spec->root->path)
		return error_set(error, EINVAL, "config.json: root.path is missing");
	if (!path || !realpath(path, real))
		return error_errno(error, path ? errno : ENOMEM, "the root %s", path ? path : "");
	spec->root->path = arena_strdup(&container->arena, real);
	for (size_t i = 0; i < spec->n_mounts; i++)
		if (is_bind(spec->mounts[i])) {
			path = below(&container->arena, state->bundle, spec->mounts[i]->source);
			if (!path || !realpath(path, real))
				return error_errno(error, path ? errno : ENOMEM, "mount %s: %s", spec->mounts[i]->destination,
						   path ? path : "");
			spec->mounts[i]->source = arena_strdup(&container->arena, real);
		}
	return container->arena.exhausted ? error_errno(error, ENOMEM, "config.json") : 0;
}

static int check_version(const Grpc__Spec *spec, struct error *error)
{
	if (strncmp(spec->version, "1.", 2) != 0)
		return error_set(error, EINVAL, "config.json: ociVersion \"%.40s\" isn't one of version 1", spec->version);
	return 0;
}

int box_container_load(struct box_container *container, const struct state *state, const char *config,
		       struct error *error)
{
	const Grpc__Linux *settings;
	int status;

	*container = (struct box_container){0};
	arena_init(&container->arena, ARENA_FORK, MEMORY);
	boot_limits_read(&container->limits);
	snprintf(container->folder, sizeof(container->folder), "%s/bundle", state->folder);
	status = box_read_file(config, &container->text, error);
	if (status == 0)
		status = config_parse(container->text, &container->document, error);
	if (status == 0)
		status = config_read(container->document, CONFIG_FOR_HERE, &container->arena, &container->spec, NULL, error);
	if (status == 0)
		status = check_version(container->spec, error);
	if (status == 0)
		status = extras_read(&container->extras, container->document, &container->arena, error);
	if (status == 0)
		status = make_absolute(container, state, error);
	if (status == 0)
		status = cgroup_tree_find(&container->tree, error);
	if (status < 0)
		return status;
	settings = container->spec->linux;
	return cgroup_init(&container->cgroup, &container->tree, settings->cgroupspath, state->id, error);
}

void box_container_free(struct box_container *container)
{
	json_decref(container->document);
	free(container->text);
	arena_free(&container->arena);
}

static struct hooks_parameters hooks_parameters(const struct state *state)
{
	return (struct hooks_parameters){.id = state->id, .bundle = state->bundle};
}

int box_container_plan(struct box_container *container, const struct state *state, struct plan *plan, struct error *error)
{
	const struct plan_parameters parameters = {
		.id = state->id,
		.bundle = container->folder,
		.ipc_namespace = -1,
		.uts_namespace = -1,
		.pid_namespace = -1,
		.cgroup = &container->cgroup,
		.limits = &container->limits,
		.hooks = hooks_parameters(state),
		.extras = &container->extras,
	};

	return plan_container(plan, &container->arena, container->spec, &parameters, error);
}

int box_container_plan_hooks(struct box_container *container, const struct state *state, struct hooks *hooks,
			     struct error *error)
{
	const struct hooks_parameters parameters = hooks_parameters(state);

	return hooks_plan(hooks, &container->arena, container->spec, &parameters, error);
}

int box_container_undo(struct box_container *container, struct error *error)
{
	int status = cgroup_remove(&container->cgroup, REMOVAL_TIME, error);

	return status == 0 ? bundle_remove(container->folder, error) : status;
}

void box_hook_failed(const struct hooks *hooks, const struct error *error)
{
	(void)hooks;
	box_warn(error->text);
}

int box_container_remove(struct box_container *container, const struct state *state, struct error *error)
{
	struct hooks hooks;
	int status = path_remove_tree(AT_FDCWD, state->folder, error);

	if (status == 0)
		status = box_container_plan_hooks(container, state, &hooks, error);
	if (status == 0)
		hooks_run_each(&hooks, HOOK_POSTSTOP, 0, box_hook_failed);
	return status;
}
