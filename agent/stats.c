/* Cgroup files turned into messages. A file that isn't there, or says what it shouldn't, counts as 0: statistics must
 * never be the reason why something fails. */
#include "agent/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"

#define TEXT_SIZE 65536 /* memory.stat and io.stat with many devices fit well */
#define ENTRIES_MAX 256
#define NANOSECONDS 1000 /* of a microsecond */

struct reader {
	struct arena *arena;
	const struct cgroup *cgroup;
	bool unified;
	int directory; /* of the controller that is being read */
	char *text;    /* TEXT_SIZE */
};

/* Reads a file of the current controller into reader->text. */
static bool read_text(struct reader *reader, const char *file)
{
	return fd_read_file(reader->directory, file, reader->text, TEXT_SIZE, NULL) >= 0;
}

/* A file with one number; `word` stands for "max" (no limit). */
static uint64_t read_number(struct reader *reader, const char *file, uint64_t word)
{
	if (!read_text(reader, file))
		return 0;
	return strcmp(reader->text, "max") == 0 ? word : strtoull(reader->text, NULL, 10);
}

/* The number behind `key` in reader->text, whose lines are "key number". */
static uint64_t find_number(const struct reader *reader, const char *key)
{
	size_t length = strlen(key);

	for (const char *line = reader->text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, length) == 0 && line[length] == ' ')
			return strtoull(line + length + 1, NULL, 10);
	}
	return 0;
}

/* Makes a message of a part in the arena. NULL without memory. */
#define new_part(reader, init, type)                                                       \
	({                                                                                 \
		type *part_ = arena_alloc((reader)->arena, sizeof(type));                  \
		if (part_)                                                                 \
			init(part_);                                                       \
		part_;                                                                     \
	})

static uint64_t ticks_to_nanoseconds(uint64_t ticks)
{
	return ticks * (UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* Numbers separated by spaces. */
static void read_percpu(struct reader *reader, Grpc__CpuUsage *usage)
{
	char *rest = reader->text, *word;

	usage->percpu_usage = arena_array(reader->arena, ENTRIES_MAX, sizeof(*usage->percpu_usage));
	if (!usage->percpu_usage || !read_text(reader, "cpuacct.usage_percpu"))
		return;
	while ((word = strsep(&rest, " \n")) && usage->n_percpu_usage < ENTRIES_MAX)
		if (*word)
			usage->percpu_usage[usage->n_percpu_usage++] = strtoull(word, NULL, 10);
}

static int read_cpu(struct reader *reader, Grpc__CgroupStats *stats)
{
	Grpc__CpuStats *cpu = new_part(reader, grpc__cpu_stats__init, Grpc__CpuStats);
	Grpc__CpuUsage *usage = new_part(reader, grpc__cpu_usage__init, Grpc__CpuUsage);
	Grpc__ThrottlingData *throttling = new_part(reader, grpc__throttling_data__init, Grpc__ThrottlingData);

	if (!cpu || !usage || !throttling)
		return -ENOMEM;
	if (read_text(reader, "cpu.stat")) {
		throttling->periods = find_number(reader, "nr_periods");
		throttling->throttled_periods = find_number(reader, "nr_throttled");
		throttling->throttled_time = reader->unified ? find_number(reader, "throttled_usec") * NANOSECONDS :
							       find_number(reader, "throttled_time");
		usage->total_usage = find_number(reader, "usage_usec") * NANOSECONDS;
		usage->usage_in_usermode = find_number(reader, "user_usec") * NANOSECONDS;
		usage->usage_in_kernelmode = find_number(reader, "system_usec") * NANOSECONDS;
	}
	cpu->throttling_data = throttling;
	cpu->cpu_usage = usage;
	stats->cpu_stats = cpu;
	return 0;
}

/* v1 accounts in a controller of its own. */
static int read_cpuacct(struct reader *reader, Grpc__CgroupStats *stats)
{
	Grpc__CpuUsage *usage;

	if (!stats->cpu_stats) {
		int status = read_cpu(reader, stats);

		if (status < 0)
			return status;
	}
	usage = stats->cpu_stats->cpu_usage;
	usage->total_usage = read_number(reader, "cpuacct.usage", 0);
	read_percpu(reader, usage);
	if (read_text(reader, "cpuacct.stat")) {
		usage->usage_in_usermode = ticks_to_nanoseconds(find_number(reader, "user"));
		usage->usage_in_kernelmode = ticks_to_nanoseconds(find_number(reader, "system"));
	}
	return 0;
}

/* The whole of memory.stat as a map. */
static int read_memory_map(struct reader *reader, Grpc__MemoryStats *memory)
{
	char *rest = reader->text, *line;

	memory->stats = arena_array(reader->arena, ENTRIES_MAX, sizeof(*memory->stats));
	if (!memory->stats)
		return -ENOMEM;
	if (!read_text(reader, "memory.stat"))
		return 0;
	while ((line = strsep(&rest, "\n")) && memory->n_stats < ENTRIES_MAX) {
		char *value = strchr(line, ' ');
		Grpc__MemoryStats__StatsEntry *entry;

		if (!value)
			continue;
		*value++ = '\0';
		entry = new_part(reader, grpc__memory_stats__stats_entry__init, Grpc__MemoryStats__StatsEntry);
		if (!entry)
			return -ENOMEM;
		entry->key = arena_strdup(reader->arena, line);
		entry->value = strtoull(value, NULL, 10);
		if (!entry->key)
			return -ENOMEM;
		if (strcmp(line, "cache") == 0)
			memory->cache = entry->value;
		memory->stats[memory->n_stats++] = entry;
	}
	return 0;
}

/* The four files of one kind of memory. */
static Grpc__MemoryData *read_memory_data(struct reader *reader, const char *const files[4])
{
	Grpc__MemoryData *data = new_part(reader, grpc__memory_data__init, Grpc__MemoryData);

	if (!data)
		return NULL;
	data->usage = read_number(reader, files[0], 0);
	data->max_usage = read_number(reader, files[1], 0);
	data->limit = read_number(reader, files[2], UINT64_MAX);
	if (files[3])
		data->failcnt = read_number(reader, files[3], 0);
	return data;
}

static int read_memory(struct reader *reader, Grpc__CgroupStats *stats)
{
	static const char *const files_v1[3][4] = {
		{"memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.limit_in_bytes", "memory.failcnt"},
		{"memory.memsw.usage_in_bytes", "memory.memsw.max_usage_in_bytes", "memory.memsw.limit_in_bytes",
		 "memory.memsw.failcnt"},
		{"memory.kmem.usage_in_bytes", "memory.kmem.max_usage_in_bytes", "memory.kmem.limit_in_bytes",
		 "memory.kmem.failcnt"},
	};
	static const char *const files_v2[2][4] = {
		{"memory.current", "memory.peak", "memory.max", NULL},
		{"memory.swap.current", "memory.swap.peak", "memory.swap.max", NULL},
	};
	Grpc__MemoryStats *memory = new_part(reader, grpc__memory_stats__init, Grpc__MemoryStats);

	if (!memory)
		return -ENOMEM;
	memory->usage = read_memory_data(reader, reader->unified ? files_v2[0] : files_v1[0]);
	memory->swap_usage = read_memory_data(reader, reader->unified ? files_v2[1] : files_v1[1]);
	if (reader->unified)
		memory->kernel_usage = new_part(reader, grpc__memory_data__init, Grpc__MemoryData);
	else
		memory->kernel_usage = read_memory_data(reader, files_v1[2]);
	if (!memory->usage || !memory->swap_usage || !memory->kernel_usage)
		return -ENOMEM;
	if (reader->unified)
		memory->kernel_usage->limit = UINT64_MAX;
	else
		memory->use_hierarchy = read_number(reader, "memory.use_hierarchy", 0) == 1;
	stats->memory_stats = memory;
	return read_memory_map(reader, memory);
}

static int read_pids(struct reader *reader, Grpc__CgroupStats *stats)
{
	Grpc__PidsStats *pids = new_part(reader, grpc__pids_stats__init, Grpc__PidsStats);

	if (!pids)
		return -ENOMEM;
	pids->current = read_number(reader, "pids.current", 0);
	pids->limit = read_number(reader, "pids.max", 0);
	stats->pids_stats = pids;
	return 0;
}

/* One "op value" of one device, appended to a list that has room for ENTRIES_MAX. */
static int add_io(struct reader *reader, Grpc__BlkioStatsEntry **entries, size_t *count, uint64_t major, uint64_t minor,
		  const char *op, uint64_t value)
{
	Grpc__BlkioStatsEntry *entry = new_part(reader, grpc__blkio_stats_entry__init, Grpc__BlkioStatsEntry);

	if (!entry)
		return -ENOMEM;
	*entry = (Grpc__BlkioStatsEntry)GRPC__BLKIO_STATS_ENTRY__INIT;
	entry->major = major;
	entry->minor = minor;
	entry->op = arena_strdup(reader->arena, op);
	entry->value = value;
	if (!entry->op)
		return -ENOMEM;
	entries[(*count)++] = entry;
	return 0;
}

/* io.stat: "MAJOR:MINOR rbytes=N wbytes=N ..." a line. */
static int read_io_v2(struct reader *reader, Grpc__BlkioStats *io)
{
	static const char *const names[][2] = {{"rbytes", "read"}, {"wbytes", "write"},	{"rios", "rios"},
					       {"wios", "wios"},   {"dbytes", "dbytes"}, {"dios", "dios"}};
	char *rest = reader->text, *line;
	int status = 0;

	if (!read_text(reader, "io.stat"))
		return 0;
	while ((line = strsep(&rest, "\n")) && status == 0) {
		uint64_t major, minor;
		char *word;

		if (sscanf(line, "%" SCNu64 ":%" SCNu64, &major, &minor) != 2)
			continue;
		while ((word = strsep(&line, " ")) && status == 0) {
			char *value = strchr(word, '=');

			for (size_t i = 0; value && i < array_size(names); i++)
				if (strncmp(word, names[i][0], (size_t)(value - word)) == 0 &&
				    names[i][0][value - word] == '\0' && status == 0 &&
				    io->n_io_service_bytes_recursive < ENTRIES_MAX)
					status = add_io(reader, io->io_service_bytes_recursive,
							&io->n_io_service_bytes_recursive, major, minor, names[i][1],
							strtoull(value + 1, NULL, 10));
		}
	}
	return status;
}

/* blkio files: "MAJOR:MINOR Op N" a line. */
static int read_io_v1(struct reader *reader, const char *file, Grpc__BlkioStatsEntry **entries, size_t *count)
{
	char *rest = reader->text, *line;
	int status = 0;

	if (!read_text(reader, file))
		return 0;
	while ((line = strsep(&rest, "\n")) && status == 0 && *count < ENTRIES_MAX) {
		uint64_t major, minor, value;
		char op[16];

		if (sscanf(line, "%" SCNu64 ":%" SCNu64 " %15s %" SCNu64, &major, &minor, op, &value) != 4)
			continue;
		for (char *letter = op; *letter; letter++)
			*letter = *letter >= 'A' && *letter <= 'Z' ? (char)(*letter + 'a' - 'A') : *letter;
		status = add_io(reader, entries, count, major, minor, op, value);
	}
	return status;
}

static int read_io(struct reader *reader, Grpc__CgroupStats *stats)
{
	Grpc__BlkioStats *io = new_part(reader, grpc__blkio_stats__init, Grpc__BlkioStats);
	int status;

	if (!io)
		return -ENOMEM;
	io->io_service_bytes_recursive = arena_array(reader->arena, ENTRIES_MAX, sizeof(void *));
	io->io_serviced_recursive = arena_array(reader->arena, ENTRIES_MAX, sizeof(void *));
	if (!io->io_service_bytes_recursive || !io->io_serviced_recursive)
		return -ENOMEM;
	stats->blkio_stats = io;
	if (reader->unified)
		return read_io_v2(reader, io);
	status = read_io_v1(reader, "blkio.throttle.io_service_bytes", io->io_service_bytes_recursive,
			    &io->n_io_service_bytes_recursive);
	if (status < 0)
		return status;
	return read_io_v1(reader, "blkio.throttle.io_serviced", io->io_serviced_recursive,
			  &io->n_io_serviced_recursive);
}

static const struct {
	const char *controller;
	int (*read)(struct reader *reader, Grpc__CgroupStats *stats);
} parts_v1[] = {{"cpu", read_cpu}, {"cpuacct", read_cpuacct}, {"memory", read_memory}, {"pids", read_pids},
		{"blkio", read_io}},
  parts_v2[] = {{"cpu", read_cpu}, {"memory", read_memory}, {"pids", read_pids}, {"io", read_io}};

int stats_read(Grpc__CgroupStats *stats, struct arena *arena, const struct cgroup *cgroup, struct error *error)
{
	struct reader reader = {.arena = arena, .cgroup = cgroup, .unified = cgroup->tree->unified};
	size_t count = reader.unified ? array_size(parts_v2) : array_size(parts_v1);
	int status = 0;

	grpc__cgroup_stats__init(stats);
	reader.text = arena_alloc(arena, TEXT_SIZE);
	if (!reader.text)
		return error_errno(error, ENOMEM, "statistics");
	for (size_t i = 0; i < count && status == 0; i++) {
		cleanup_close int directory = cgroup_open(cgroup, (reader.unified ? parts_v2 : parts_v1)[i].controller, error);

		if (directory == -ENOENT)
			continue;
		if (directory < 0)
			return directory;
		reader.directory = directory;
		status = (reader.unified ? parts_v2 : parts_v1)[i].read(&reader, stats);
	}
	return status < 0 ? error_errno(error, -status, "statistics") : 0;
}
