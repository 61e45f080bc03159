/* What the files of the cgroup code share. */
#ifndef NACRE_AGENT_CONTAINER_CGROUP_PARTS_H
#define NACRE_AGENT_CONTAINER_CGROUP_PARTS_H

#include "agent/container/cgroup.h"

/* cgroup.c: what a file like /proc/self/mountinfo says is mounted; the guest's disks aren't in it. 0 or -errno. */
int cgroup_tree_read(struct cgroup_tree *tree, const char *mountinfo, struct error *error);

/* cgroup.c: whether the tree's hierarchy number `index` has the controller (v2: always, it may be off there). */
bool cgroup_hierarchy_has(const struct cgroup_tree *tree, size_t index, const char *controller);

/* cgroup.c: the cgroup's directory in a hierarchy (O_PATH), or -errno. */
int cgroup_open_in(const struct cgroup *cgroup, size_t index);

/* cgroup_create.c: v2: hands every controller that `parent` has on to its children, one by one, so that one which can't be
 * doesn't keep the others back; whether a limit can then be set is seen when it is written. */
int cgroup_enable_controllers(int parent, struct error *error);

/* cgroup_limits.c: limits being collected. */
struct cgroup_collector {
	struct arena *arena;
	const struct plan_resource_extras *extras; /* never NULL */
	struct cgroup_setting *settings;
	size_t count, room;
	struct error *error;
	int status; /* of the first failure; later calls do nothing */
};

void cgroup_collect(struct cgroup_collector *collector, enum cgroup_need need, const char *controller,
		    const char *file, const char *format, ...) __attribute__((format(printf, 5, 6)));
/* A number of the wire, where -1 stands for no limit, and the others that aren't above 0 for nothing at all. */
#define CGROUP_UNLIMITED (-1)
void cgroup_collect_limit(struct cgroup_collector *collector, enum cgroup_need need, const char *controller,
			  const char *file, int64_t limit, const char *unlimited);
void cgroup_collect_failure(struct cgroup_collector *collector, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* cgroup_extras.c: what the protocol doesn't carry and both versions have alike, and files by their names. */
void cgroup_collect_extras(struct cgroup_collector *collector, bool unified);
/* How many settings these may be. */
size_t cgroup_extras_count(const struct plan_resource_extras *extras);

/* cgroup_v1.c, cgroup_v2.c: resources to files, but for what cgroup_limits.c does for both. */
void cgroup_collect_v1(struct cgroup_collector *collector, const Grpc__LinuxResources *resources);
void cgroup_collect_v2(struct cgroup_collector *collector, const Grpc__LinuxResources *resources);

/* device_rules.c: the rules of the spec, then the default devices, then the guest's own disks. */
int device_rules_plan(struct cgroup_limits *limits, struct arena *arena, const struct cgroup_tree *tree,
		      const Grpc__LinuxResources *resources, struct error *error);

/* device_rules.c: writes them to the v1 controller's files in `directory`. */
int device_rules_write(int directory, const struct cgroup_limits *limits, struct error *error);

/* device_filter.c: attaches a program that enforces them on v2 to the cgroup `directory`, in the place of the one
 * there. */
int device_filter_attach(int directory, const struct cgroup_limits *limits, struct error *error);

#endif
