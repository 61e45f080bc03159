/* Limits: from OCI resources to a list of files to write. What each version's files are called is in cgroup_v1.c and
 * cgroup_v2.c; cgroup_apply.c writes them. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/container/cgroup_parts.h"
#include "agent/container/plan_extras.h"
#include "lib/cleanup.h"

#define SETTINGS_FIXED 32 /* more than one for each field of the resources that isn't a list */
#define VALUE_MAX 4096

void cgroup_collect_failure(struct cgroup_collector *collector, const char *format, ...)
{
	char text[ERROR_TEXT_SIZE];
	va_list arguments;

	if (collector->status < 0)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	collector->status = error_set(collector->error, EINVAL, "%s", text);
}

void cgroup_collect(struct cgroup_collector *collector, enum cgroup_need need, const char *controller,
		    const char *file, const char *format, ...)
{
	struct cgroup_setting setting = {.controller = controller, .need = need};
	char value[VALUE_MAX];
	va_list arguments;
	int length;

	if (collector->status < 0)
		return;
	va_start(arguments, format);
	length = vsnprintf(value, sizeof(value), format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= sizeof(value)) {
		cgroup_collect_failure(collector, "the value for %s is too long", file);
		return;
	}
	setting.file = arena_strdup(collector->arena, file);
	setting.value = arena_strdup(collector->arena, value);
	if (!setting.file || !setting.value || collector->count == collector->room) {
		collector->status = error_set(collector->error, ENOMEM, "the resource limits are too many");
		return;
	}
	collector->settings[collector->count++] = setting;
}

void cgroup_collect_limit(struct cgroup_collector *collector, enum cgroup_need need, const char *controller,
			  const char *file, int64_t limit, const char *unlimited)
{
	if (limit > 0)
		cgroup_collect(collector, need, controller, file, "%" PRId64, limit);
	else if (limit == CGROUP_UNLIMITED)
		cgroup_collect(collector, CGROUP_IF_PRESENT, controller, file, "%s", unlimited);
}

/* As cgroup files have it in their names: "2MB". */
static bool is_page_size(const char *size)
{
	size_t digits = strspn(size, "0123456789");

	return digits > 0 && digits < 8 && size[digits] && strchr("KMG", size[digits]) &&
	       strcmp(size + digits + 1, "B") == 0;
}

static void collect_huge_pages(struct cgroup_collector *collector, const Grpc__LinuxResources *resources,
			       const char *limit_file)
{
	static const char *const kinds[] = {"", "rsvd."};

	for (size_t i = 0; i < resources->n_hugepagelimits; i++) {
		const Grpc__LinuxHugepageLimit *limit = resources->hugepagelimits[i];
		char file[64];

		if (!is_page_size(limit->pagesize)) {
			cgroup_collect_failure(collector, "\"%.32s\" is no size of a huge page", limit->pagesize);
			return;
		}
		/* Pages in use and, where the kernel counts them, those reserved by an mmap. */
		for (size_t kind = 0; kind < array_size(kinds); kind++) {
			snprintf(file, sizeof(file), "hugetlb.%s.%s%s", limit->pagesize, kinds[kind], limit_file);
			cgroup_collect(collector, kind == 0 ? CGROUP_REQUIRED : CGROUP_IF_PRESENT, "hugetlb", file,
				       "%" PRIu64, limit->limit);
		}
	}
}

static void check_memory(struct cgroup_collector *collector, const Grpc__LinuxMemory *memory)
{
	if (memory->swap > 0 && memory->limit <= 0)
		cgroup_collect_failure(collector, "a limit of swap needs one of memory");
	if (memory->swap > 0 && memory->swap < memory->limit)
		cgroup_collect_failure(collector, "the limit of memory and swap is below that of memory");
}

/* What both versions have under the same names, or nearly. */
static void collect_common(struct cgroup_collector *collector, const Grpc__LinuxResources *resources, bool unified)
{
	const Grpc__LinuxCPU *cpu = resources->cpu;

	if (resources->memory)
		check_memory(collector, resources->memory);
	if (cpu && *cpu->cpus)
		cgroup_collect(collector, CGROUP_IF_POSSIBLE, "cpuset", "cpuset.cpus", "%s", cpu->cpus);
	if (cpu && *cpu->mems)
		cgroup_collect(collector, CGROUP_REQUIRED, "cpuset", "cpuset.mems", "%s", cpu->mems);
	if (resources->pids)
		cgroup_collect_limit(collector, CGROUP_REQUIRED, "pids", "pids.max", resources->pids->limit, "max");
	collect_huge_pages(collector, resources, unified ? "max" : "limit_in_bytes");
}

/* No more than this many settings can come of the resources. */
static size_t most_settings(const Grpc__LinuxResources *resources, const struct plan_resource_extras *extras)
{
	const Grpc__LinuxBlockIO *io = resources->blockio;
	size_t count = SETTINGS_FIXED + 2 * resources->n_hugepagelimits + cgroup_extras_count(extras);

	if (io)
		count += 2 * io->n_weightdevice + io->n_throttlereadbpsdevice + io->n_throttlewritebpsdevice +
			 io->n_throttlereadiopsdevice + io->n_throttlewriteiopsdevice;
	if (resources->network)
		count += resources->network->n_priorities;
	return count;
}

int cgroup_limits_plan(struct cgroup_limits *limits, struct arena *arena, const struct cgroup_tree *tree,
		       const Grpc__LinuxResources *resources, const struct plan_resource_extras *extras,
		       struct error *error)
{
	static const struct plan_resource_extras none;
	struct error unread;
	struct cgroup_collector collector = {
		.arena = arena,
		.extras = extras ? extras : &none,
		.error = error ? error : &unread,
	};

	memset(limits, 0, sizeof(*limits));
	if (resources) {
		collector.room = most_settings(resources, collector.extras);
		collector.settings = arena_array(arena, collector.room, sizeof(*collector.settings));
		if (!collector.settings)
			return error_set(error, ENOMEM, "the resource limits are too many");
		collect_common(&collector, resources, tree->unified);
		if (tree->unified)
			cgroup_collect_v2(&collector, resources);
		else
			cgroup_collect_v1(&collector, resources);
		cgroup_collect_extras(&collector, tree->unified);
	}
	if (collector.status < 0)
		return collector.status;
	limits->settings = collector.settings;
	limits->setting_count = collector.count;
	return device_rules_plan(limits, arena, tree, resources, error);
}
