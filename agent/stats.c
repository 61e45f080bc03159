/* Cgroup files turned into messages. A file that isn't there, or says what it shouldn't, counts as 0: statistics must
 * never be the reason why something fails. */
#include "agent/stats.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/stats_parts.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

#define ENTRIES_MAX 512 /* lines of memory.stat, processors */
#define PAGE_SIZES_MAX 16
#define NANOSECONDS 1000 /* of a microsecond */

bool stats_read_text(struct stats_reader *reader, const char *file)
{
	return fd_read_file(reader->directory, file, reader->text, STATS_TEXT_SIZE, NULL) >= 0;
}

/* A file with one number; `word` stands for "max" (no limit). */
static uint64_t read_number(struct stats_reader *reader, const char *file, uint64_t word)
{
	if (!stats_read_text(reader, file))
		return 0;
	return strcmp(reader->text, "max") == 0 ? word : strtoull(reader->text, NULL, 10);
}

/* The number behind `key` in reader->text, whose lines are "key number". */
static uint64_t find_number(const struct stats_reader *reader, const char *key)
{
	size_t length = strlen(key);

	for (const char *line = reader->text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, length) == 0 && line[length] == ' ')
			return strtoull(line + length + 1, NULL, 10);
	}
	return 0;
}

static uint64_t ticks_to_nanoseconds(uint64_t ticks)
{
	return ticks * (UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* Numbers separated by spaces. */
static void read_percpu(struct stats_reader *reader, Grpc__CpuUsage *usage)
{
	char *rest = reader->text, *word;

	usage->percpu_usage = arena_array(reader->arena, ENTRIES_MAX, sizeof(*usage->percpu_usage));
	if (!usage->percpu_usage || !stats_read_text(reader, "cpuacct.usage_percpu"))
		return;
	while ((word = strsep(&rest, " \n")) && usage->n_percpu_usage < ENTRIES_MAX)
		if (*word)
			usage->percpu_usage[usage->n_percpu_usage++] = strtoull(word, NULL, 10);
}

static int read_cpu(struct stats_reader *reader, Grpc__CgroupStats *stats)
{
	Grpc__CpuStats *cpu = new_part(reader, grpc__cpu_stats__init, Grpc__CpuStats);
	Grpc__CpuUsage *usage = new_part(reader, grpc__cpu_usage__init, Grpc__CpuUsage);
	Grpc__ThrottlingData *throttling = new_part(reader, grpc__throttling_data__init, Grpc__ThrottlingData);

	if (!cpu || !usage || !throttling)
		return -ENOMEM;
	if (stats_read_text(reader, "cpu.stat")) {
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
static int read_cpuacct(struct stats_reader *reader, Grpc__CgroupStats *stats)
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
	if (stats_read_text(reader, "cpuacct.stat")) {
		usage->usage_in_usermode = ticks_to_nanoseconds(find_number(reader, "user"));
		usage->usage_in_kernelmode = ticks_to_nanoseconds(find_number(reader, "system"));
	}
	return 0;
}

/* The whole of memory.stat as a map. */
static int read_memory_map(struct stats_reader *reader, Grpc__MemoryStats *memory)
{
	char *rest = reader->text, *line;

	memory->stats = arena_array(reader->arena, ENTRIES_MAX, sizeof(*memory->stats));
	if (!memory->stats)
		return -ENOMEM;
	if (!stats_read_text(reader, "memory.stat"))
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
		if (reader->unified && strcmp(line, "kernel") == 0)
			memory->kernel_usage->usage = entry->value;
		memory->stats[memory->n_stats++] = entry;
	}
	return 0;
}

/* The four files of one kind of memory. */
static Grpc__MemoryData *read_memory_data(struct stats_reader *reader, const char *const files[4])
{
	Grpc__MemoryData *data = new_part(reader, grpc__memory_data__init, Grpc__MemoryData);

	if (!data)
		return NULL;
	data->usage = read_number(reader, files[0], 0);
	data->max_usage = read_number(reader, files[1], 0);
	data->limit = read_number(reader, files[2], UINT64_MAX);
	/* v2 has it among other events: how often the limit was met. */
	if (reader->unified && stats_read_text(reader, files[3]))
		data->failcnt = find_number(reader, "max");
	else if (!reader->unified)
		data->failcnt = read_number(reader, files[3], 0);
	return data;
}

static int read_memory(struct stats_reader *reader, Grpc__CgroupStats *stats)
{
	static const char *const files_v1[3][4] = {
		{"memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.limit_in_bytes", "memory.failcnt"},
		{"memory.memsw.usage_in_bytes", "memory.memsw.max_usage_in_bytes", "memory.memsw.limit_in_bytes",
		 "memory.memsw.failcnt"},
		{"memory.kmem.usage_in_bytes", "memory.kmem.max_usage_in_bytes", "memory.kmem.limit_in_bytes",
		 "memory.kmem.failcnt"},
	};
	static const char *const files_v2[2][4] = {
		{"memory.current", "memory.peak", "memory.max", "memory.events"},
		{"memory.swap.current", "memory.swap.peak", "memory.swap.max", "memory.swap.events"},
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

static int read_pids(struct stats_reader *reader, Grpc__CgroupStats *stats)
{
	Grpc__PidsStats *pids = new_part(reader, grpc__pids_stats__init, Grpc__PidsStats);

	if (!pids)
		return -ENOMEM;
	pids->current = read_number(reader, "pids.current", 0);
	pids->limit = read_number(reader, "pids.max", 0);
	stats->pids_stats = pids;
	return 0;
}

/* Figures of one size of huge pages: "2MB". */
static int add_hugetlb(struct stats_reader *reader, Grpc__CgroupStats *stats, const char *size)
{
	Grpc__CgroupStats__HugetlbStatsEntry *entry =
		new_part(reader, grpc__cgroup_stats__hugetlb_stats_entry__init, Grpc__CgroupStats__HugetlbStatsEntry);
	Grpc__HugetlbStats *value = new_part(reader, grpc__hugetlb_stats__init, Grpc__HugetlbStats);
	char file[64];

	if (!entry || !value)
		return -ENOMEM;
	entry->key = arena_strdup(reader->arena, size);
	entry->value = value;
	if (!entry->key)
		return -ENOMEM;
	snprintf(file, sizeof(file), "hugetlb.%s.%s", size, reader->unified ? "current" : "usage_in_bytes");
	value->usage = read_number(reader, file, 0);
	snprintf(file, sizeof(file), "hugetlb.%s.max_usage_in_bytes", size);
	value->max_usage = read_number(reader, file, 0);
	snprintf(file, sizeof(file), "hugetlb.%s.%s", size, reader->unified ? "events" : "failcnt");
	if (reader->unified)
		value->failcnt = stats_read_text(reader, file) ? find_number(reader, "max") : 0;
	else
		value->failcnt = read_number(reader, file, 0);
	stats->hugetlb_stats[stats->n_hugetlb_stats++] = entry;
	return 0;
}

static int read_hugetlb(struct stats_reader *reader, Grpc__CgroupStats *stats)
{
	cleanup_close int directory = openat(reader->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = directory < 0 ? NULL : fdopendir(directory);
	struct dirent *entry;
	int status = 0;

	if (!stream)
		return 0;
	take_fd(&directory);
	stats->hugetlb_stats = arena_array(reader->arena, PAGE_SIZES_MAX, sizeof(*stats->hugetlb_stats));
	if (!stats->hugetlb_stats)
		status = -ENOMEM;
	while (status == 0 && stats->n_hugetlb_stats < PAGE_SIZES_MAX && (entry = readdir(stream))) {
		char *rest = entry->d_name, *size;

		if (strcmp(strsep(&rest, "."), "hugetlb") == 0 && (size = strsep(&rest, ".")) && rest &&
		    strcmp(rest, reader->unified ? "current" : "usage_in_bytes") == 0)
			status = add_hugetlb(reader, stats, size);
	}
	closedir(stream);
	return status;
}

/* `file` is there where the controller is: on v2 the folder is one for all. */
static const struct part {
	const char *controller, *file;
	int (*read)(struct stats_reader *reader, Grpc__CgroupStats *stats);
} parts_v1[] = {{"cpu", "cpu.stat", read_cpu},	 {"cpuacct", "cpuacct.usage", read_cpuacct},
		{"memory", "memory.stat", read_memory}, {"pids", "pids.current", read_pids},
		{"blkio", ".", stats_read_io}, {"hugetlb", ".", read_hugetlb}, {0}},
  parts_v2[] = {{"cpu", "cpu.stat", read_cpu},	  {"memory", "memory.current", read_memory},
		{"pids", "pids.current", read_pids}, {"io", "io.stat", stats_read_io},
		{"hugetlb", ".", read_hugetlb},	  {0}};

int stats_read(Grpc__CgroupStats *stats, struct arena *arena, const struct cgroup *cgroup, struct error *error)
{
	struct stats_reader reader = {.arena = arena, .cgroup = cgroup, .unified = cgroup->tree->unified};
	int status = 0;

	grpc__cgroup_stats__init(stats);
	reader.text = arena_alloc(arena, STATS_TEXT_SIZE);
	if (!reader.text)
		return error_errno(error, ENOMEM, "statistics");
	for (const struct part *part = reader.unified ? parts_v2 : parts_v1; part->read && status == 0; part++) {
		cleanup_close int directory = cgroup_open(cgroup, part->controller, NULL);

		if (directory < 0 && directory != -ENOENT)
			return error_errno(error, -directory, "open the cgroup %s", cgroup->path);
		if (directory < 0 || faccessat(directory, part->file, F_OK, 0) < 0)
			continue;
		reader.directory = directory;
		status = part->read(&reader, stats);
	}
	return status < 0 ? error_errno(error, -status, "statistics") : 0;
}
