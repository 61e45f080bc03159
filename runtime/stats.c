/* Sums, shares, texts. */
#include "runtime/stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "runtime/quantity.h"

/* From here on it is no limit: v1's "none" is a little below 2^63, and another agent's may be 2^64 - 1. */
#define NO_LIMIT (UINT64_C(1) << 62)

const char *const stats_titles[STATS_COLUMNS] = {"NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "BLOCK I/O", "PIDS"};

static uint64_t limit_of(uint64_t limit)
{
	return limit < NO_LIMIT ? limit : 0;
}

/* Cached files that nobody has used lately go first when memory is wanted. v1 and v2 have other names for them. */
static uint64_t cached(const Grpc__MemoryStats *memory)
{
	for (size_t i = 0; i < memory->n_stats; i++)
		if (strcmp(memory->stats[i]->key, "total_inactive_file") == 0)
			return memory->stats[i]->value;
	for (size_t i = 0; i < memory->n_stats; i++)
		if (strcmp(memory->stats[i]->key, "inactive_file") == 0)
			return memory->stats[i]->value;
	return 0;
}

static void take_memory(struct stats *stats, const Grpc__MemoryStats *memory)
{
	uint64_t unused = cached(memory);

	if (!memory->usage)
		return;
	stats->memory = memory->usage->usage > unused ? memory->usage->usage - unused : memory->usage->usage;
	stats->memory_limit = limit_of(memory->usage->limit);
}

static void take_io(struct stats *stats, const Grpc__BlkioStats *io)
{
	for (size_t i = 0; i < io->n_io_service_bytes_recursive; i++) {
		const Grpc__BlkioStatsEntry *entry = io->io_service_bytes_recursive[i];

		if (strcasecmp(entry->op, "read") == 0)
			stats->read += entry->value;
		else if (strcasecmp(entry->op, "write") == 0)
			stats->written += entry->value;
	}
}

void stats_take(struct stats *stats, const Grpc__StatsContainerResponse *response, uint64_t now)
{
	const Grpc__CgroupStats *cgroup = response->cgroup_stats;

	*stats = (struct stats){.time = now};
	if (!cgroup)
		return;
	if (cgroup->cpu_stats && cgroup->cpu_stats->cpu_usage)
		stats->cpu = cgroup->cpu_stats->cpu_usage->total_usage;
	if (cgroup->memory_stats)
		take_memory(stats, cgroup->memory_stats);
	if (cgroup->blkio_stats)
		take_io(stats, cgroup->blkio_stats);
	if (cgroup->pids_stats) {
		stats->pids = cgroup->pids_stats->current;
		stats->pids_limit = limit_of(cgroup->pids_stats->limit);
	}
}

double stats_cpu_percent(const struct stats *before, const struct stats *after)
{
	if (before->time == 0 || after->time <= before->time || after->cpu < before->cpu)
		return 0;
	return 100 * (double)(after->cpu - before->cpu) / (double)(after->time - before->time);
}

double stats_memory_percent(const struct stats *stats)
{
	return stats->memory_limit > 0 ? 100 * (double)stats->memory / (double)stats->memory_limit : 0;
}

static void describe_pair(uint64_t first, uint64_t second, bool has_second, char text[STATS_CELL_SIZE])
{
	char one[QUANTITY_SIZE], other[QUANTITY_SIZE] = "--";

	quantity_format_bytes(first, one);
	if (has_second)
		quantity_format_bytes(second, other);
	snprintf(text, STATS_CELL_SIZE, "%s / %s", one, other);
}

void stats_describe(enum stats_column column, const struct stats *before, const struct stats *after,
		    char text[STATS_CELL_SIZE])
{
	snprintf(text, STATS_CELL_SIZE, "--");
	if (after->time == 0)
		return;
	if (column == STATS_CPU && before->time > 0)
		snprintf(text, STATS_CELL_SIZE, "%.2f%%", stats_cpu_percent(before, after));
	else if (column == STATS_MEMORY)
		describe_pair(after->memory, after->memory_limit, after->memory_limit > 0, text);
	else if (column == STATS_MEMORY_PERCENT && after->memory_limit > 0)
		snprintf(text, STATS_CELL_SIZE, "%.2f%%", stats_memory_percent(after));
	else if (column == STATS_IO)
		describe_pair(after->read, after->written, true, text);
	else if (column == STATS_PIDS)
		snprintf(text, STATS_CELL_SIZE, "%" PRIu64, after->pids);
}
