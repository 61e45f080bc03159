/* What plan_process_extras has of a process: words to the kernel's numbers. See OCI config.md "Linux Process", "User", and
 * config-linux.md "Personality"; sched_setattr(2), ioprio_set(2), personality(2), sched_setaffinity(2).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>

#include "agent/container/plan_parts.h"
#include "lib/cleanup.h"

#define UMASK_SILENT 022
#define IO_CLASS_SHIFT 13
#define IO_PRIORITY_MAX 7
#define PRESERVED_FDS_MAX 1024
#define NICE_MIN (-20)
#define NICE_MAX 19

struct word {
	const char *name;
	unsigned value;
};

static const struct word policies[] = {
	{"SCHED_OTHER", 0}, {"SCHED_FIFO", 1}, {"SCHED_RR", 2},	     {"SCHED_BATCH", 3},
	{"SCHED_ISO", 4},   {"SCHED_IDLE", 5}, {"SCHED_DEADLINE", 6}, {NULL, 0},
};

static const struct word scheduler_flags[] = {
	{"SCHED_FLAG_RESET_ON_FORK", 0x01},  {"SCHED_FLAG_RECLAIM", 0x02},	{"SCHED_FLAG_DL_OVERRUN", 0x04},
	{"SCHED_FLAG_KEEP_POLICY", 0x08},    {"SCHED_FLAG_KEEP_PARAMS", 0x10}, {"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
	{"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40}, {NULL, 0},
};

static const struct word io_classes[] = {
	{"IOPRIO_CLASS_RT", 1}, {"IOPRIO_CLASS_BE", 2}, {"IOPRIO_CLASS_IDLE", 3}, {NULL, 0},
};

static const struct word domains[] = {{"LINUX", PER_LINUX}, {"LINUX32", PER_LINUX32}, {NULL, 0}};

static int look_up(const struct word *words, const char *name, const char *what, unsigned *value, struct error *error)
{
	for (const struct word *word = words; word->name; word++) {
		if (strcmp(word->name, name) != 0)
			continue;
		*value = word->value;
		return 0;
	}
	return error_set(error, EINVAL, "unknown %s \"%.64s\"", what, name);
}

static int resolve_scheduler(struct plan *plan, const struct plan_scheduler_extras *given, struct error *error)
{
	struct plan_scheduler *scheduler = &plan->process.scheduler;
	unsigned value;
	int status;

	if (!given->policy)
		return 0;
	status = look_up(policies, given->policy, "scheduling policy", &value, error);
	if (status < 0)
		return status;
	if (given->nice < NICE_MIN || given->nice > NICE_MAX)
		return error_set(error, EINVAL, "nice value %d is out of range", given->nice);
	if (given->priority < 0)
		return error_set(error, EINVAL, "scheduling priority %d is out of range", given->priority);
	*scheduler = (struct plan_scheduler){
		.size = sizeof(*scheduler),
		.policy = value,
		.nice = given->nice,
		.priority = (uint32_t)given->priority,
		.runtime = given->runtime,
		.deadline = given->deadline,
		.period = given->period,
	};
	for (size_t i = 0; status == 0 && i < given->flag_count; i++) {
		status = look_up(scheduler_flags, given->flags[i], "scheduling flag", &value, error);
		if (status == 0)
			scheduler->flags |= value;
	}
	return status;
}

static int resolve_io_priority(struct plan *plan, const struct plan_process_extras *extras, struct error *error)
{
	unsigned class;
	int status;

	if (!extras->io_class)
		return 0;
	status = look_up(io_classes, extras->io_class, "io priority class", &class, error);
	if (status < 0)
		return status;
	if (extras->io_priority < 0 || extras->io_priority > IO_PRIORITY_MAX)
		return error_set(error, EINVAL, "io priority %d is out of range", extras->io_priority);
	plan->process.io_priority = (int)class << IO_CLASS_SHIFT | extras->io_priority;
	return 0;
}

/* "0-3,7" */
static int resolve_cpus(struct plan *plan, const char *text, const struct plan_cpus **result, struct error *error)
{
	const size_t bits = 8 * sizeof(unsigned long);
	struct plan_cpus *cpus;
	const char *rest = text;

	if (!text || !*text)
		return 0;
	cpus = plan_array(plan->arena, 1, sizeof(*cpus), error);
	if (!cpus)
		return -ENOMEM;
	memset(cpus, 0, sizeof(*cpus));
	do {
		char *end;
		unsigned long first, last;

		if (*rest < '0' || *rest > '9')
			break;
		first = last = strtoul(rest, &end, 10);
		if (*end == '-' && end[1] >= '0' && end[1] <= '9')
			last = strtoul(end + 1, &end, 10);
		if (first > last || last >= PLAN_CPUS_MAX)
			break;
		for (; first <= last; first++)
			cpus->mask[first / bits] |= 1ul << first % bits;
		rest = end;
		if (!*rest) {
			*result = cpus;
			return 0;
		}
	} while (*rest++ == ',');
	return error_set(error, EINVAL, "\"%.64s\" is no list of processors", text);
}

static int resolve_personality(struct plan *plan, const struct plan_extras *extras, struct error *error)
{
	unsigned domain;
	int status;

	if (!extras->personality)
		return 0;
	status = look_up(domains, extras->personality, "personality", &domain, error);
	if (status < 0)
		return status;
	if (extras->personality_flag_count > 0)
		return error_set(error, EINVAL, "a personality has no flags");
	plan->process.personality = domain;
	return 0;
}

int plan_process_extras(struct plan *plan, const struct plan_process_extras *extras, const struct plan_extras *container,
			struct error *error)
{
	static const struct plan_process_extras none;
	struct plan_process *process = &plan->process;
	int status = 0;

	if (!extras)
		extras = &none;
	process->umask = extras->umask_given ? extras->umask : UMASK_SILENT;
	process->personality = PLAN_PERSONALITY_KEEP;
	process->oom_score_kept = container && container->process.oom_score_kept;
	process->preserved_fds = extras->preserved_fds;
	if (process->umask & ~0777u)
		return error_set(error, EINVAL, "umask %#o is out of range", process->umask);
	if (process->preserved_fds > PRESERVED_FDS_MAX)
		return error_set(error, EINVAL, "%u descriptors are too many", process->preserved_fds);
	if (container)
		status = resolve_personality(plan, container, error);
	if (status == 0)
		status = resolve_scheduler(plan, &extras->scheduler, error);
	if (status == 0)
		status = resolve_io_priority(plan, extras, error);
	if (status == 0 && plan->exec)
		status = resolve_cpus(plan, extras->cpus_initial, &process->cpus_initial, error);
	if (status == 0 && plan->exec)
		status = resolve_cpus(plan, extras->cpus_final, &process->cpus_final, error);
	return status;
}
