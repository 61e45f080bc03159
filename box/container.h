/* A bundle's config.json, ready to be planned. */
#ifndef NACRE_BOX_CONTAINER_H
#define NACRE_BOX_CONTAINER_H

#include "agent/container/plan.h"
#include "box/state.h"
#include "lib/arena.h"
#include "lib/error.h"

struct box_container {
	struct arena arena; /* holds the spec, and what is planned */
	char *text;	    /* config.json */
	json_t *document;
	Grpc__Spec *spec;
	struct plan_extras extras;
	struct cgroup_tree tree;
	struct cgroup cgroup;
	struct boot_limits limits;
	char folder[PATH_MAX + 16]; /* where its root is bound: the plan's bundle */
};

/* Reads the file `config` (a bundle's own, or the copy in the container's folder), for a container with `state`'s id and bundle.
 * 0 or -errno; box_container_free() in any case. */
int box_container_load(struct box_container *container, const struct state *state, const char *config,
		       struct error *error);
void box_container_free(struct box_container *container);

int box_container_plan(struct box_container *container, const struct state *state, struct plan *plan, struct error *error);

/* Hooks alone, for those that come after the launch. */
int box_container_plan_hooks(struct box_container *container, const struct state *state, struct hooks *hooks,
			     struct error *error);

/* Kills what is left, and removes cgroup and folder of what was launched. Blocks. 0 or -errno. */
int box_container_undo(struct box_container *container, struct error *error);

/* The last of all: removes ROOT/ID, and runs poststop. Their failures are told. */
int box_container_remove(struct box_container *container, const struct state *state, struct error *error);

void box_hook_failed(const struct hooks *hooks, const struct error *error);

#endif
