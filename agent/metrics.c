/* Metrics. The numbers are the kernel's own texts wherever they need no conversion. */
#include "agent/metrics.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define TEXT_SIZE 16384
#define NAME_SIZE 64
#define WORDS_MAX 64
#define KIBIBYTE 1024
#define CPU_TIMES 10

static uint64_t ticks_per_second(void)
{
	return (uint64_t)sysconf(_SC_CLK_TCK);
}

void metrics_family(FILE *file, const char *name, const char *type, const char *help)
{
	fprintf(file, "# HELP kata_%s %s\n# TYPE kata_%s %s\n", name, help, name, type);
}

static void put_gauge(FILE *file, const char *name, const char *help, double value)
{
	metrics_family(file, name, "gauge", help);
	fprintf(file, "kata_%s %.15g\n", name, value);
}

/* Names of interfaces and disks: without what would have to be escaped. */
static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~' || *text == '"' || *text == '\\')
			return false;
	return true;
}

/* One sample; `label`, beside that of the item, may be empty. */
static void put_item(FILE *file, const char *name, const char *label, const char *of, const char *item, const char *value)
{
	if (!is_plain(item) || !isdigit((unsigned char)*value) || !is_plain(of))
		return;
	fprintf(file, "kata_%s{", name);
	if (*label)
		fprintf(file, "%s=\"%s\",", label, of);
	fprintf(file, "item=\"%s\"} %s\n", item, value);
}

/* A value for each of `items`, names with a space between; as many as there are. */
static void put_items(FILE *file, const char *name, const char *label, const char *of, const char *items, char **values,
		      size_t count)
{
	char item[NAME_SIZE];

	for (size_t i = 0; *items && i < count; i++) {
		size_t length = strcspn(items, " ");

		snprintf(item, sizeof(item), "%.*s", (int)length, items);
		put_item(file, name, label, of, item, values[i]);
		items += length + (items[length] == ' ');
	}
}

/* The words of a line, which is cut into them. The count. */
static size_t split(char *line, char *words[WORDS_MAX])
{
	size_t count = 0;
	char *word;

	while (count < WORDS_MAX && (word = strsep(&line, " \t\n:")))
		if (*word)
			words[count++] = word;
	return count;
}

/* Calls `use` for the words of each line of a file. */
static void each_line(const char *path, FILE *file, void (*use)(FILE *file, char **words, size_t count))
{
	FILE *source = fopen(path, "re");
	char line[TEXT_SIZE], *words[WORDS_MAX + 1];

	while (source && fgets(line, sizeof(line), source)) {
		size_t count = split(line, words);

		words[count] = NULL;
		if (count > 0)
			use(file, words, count);
	}
	if (source)
		fclose(source);
}

/* The agent ---------------------------------------------------------------------------------------------------- */

/* Where the times are in /proc/PID/stat, counted from behind the name: see proc(5). */
enum { UTIME = 11, STIME, CUTIME, CSTIME, THREADS = 17, VSIZE = 20, RSS };

static void write_agent_stat(FILE *file, pid_t agent)
{
	char path[32], text[1024], *words[WORDS_MAX + 1] = {0}, *end;
	FILE *source;

	snprintf(path, sizeof(path), "/proc/%d/stat", agent);
	source = fopen(path, "re");
	end = source && fgets(text, sizeof(text), source) ? strrchr(text, ')') : NULL;
	if (source)
		fclose(source);
	if (!end || split(end + 1, words) <= RSS)
		return;
	put_gauge(file, "agent_threads", "Threads of the agent.", (double)strtoull(words[THREADS], NULL, 10));
	put_gauge(file, "agent_total_time", "Processor time that the agent has used, in seconds.",
		  (double)(strtoull(words[UTIME], NULL, 10) + strtoull(words[STIME], NULL, 10)) / (double)ticks_per_second());
	put_gauge(file, "agent_total_vm", "Virtual memory of the agent, in bytes.", (double)strtoull(words[VSIZE], NULL, 10));
	put_gauge(file, "agent_total_rss", "Resident memory of the agent, in bytes.",
		  (double)strtoull(words[RSS], NULL, 10) * (double)sysconf(_SC_PAGESIZE));
	metrics_family(file, "agent_proc_stat", "gauge", "Processor time of the agent and its children, in ticks.");
	put_items(file, "agent_proc_stat", "", "", "utime stime cutime cstime", words + UTIME, 4);
}

static void put_status(FILE *file, char **words, size_t count)
{
	static const char *const starts[] = {"Vm", "Rss", "Hugetlb", "voluntary", "nonvoluntary"};

	for (size_t i = 0; count > 1 && i < array_size(starts); i++) {
		if (strncmp(words[0], starts[i], strlen(starts[i])) != 0)
			continue;
		for (char *letter = words[0]; *letter; letter++)
			*letter = (char)tolower((unsigned char)*letter);
		put_item(file, "agent_proc_status", "", "", words[0], words[1]);
		return;
	}
}

static void put_io(FILE *file, char **words, size_t count)
{
	if (count > 1)
		put_item(file, "agent_io_stat", "", "", words[0], words[1]);
}

/* The guest ---------------------------------------------------------------------------------------------------- */

static void put_load(FILE *file, char **words, size_t count)
{
	char *tasks[] = {count > 3 ? words[3] : "", NULL};

	put_items(file, "guest_load", "", "", "load1 load5 load15", words, count);
	tasks[1] = strchr(tasks[0], '/');
	if (!tasks[1])
		return;
	*tasks[1]++ = '\0';
	metrics_family(file, "guest_tasks", "gauge", "Threads of the guest: those that run, and all.");
	put_items(file, "guest_tasks", "", "", "cur max", tasks, array_size(tasks));
}

static void put_cpu(FILE *file, char **words, size_t count)
{
	char numbers[CPU_TIMES][NAME_SIZE], *values[CPU_TIMES];
	size_t times = 0;

	if (strncmp(words[0], "cpu", 3) != 0)
		return;
	for (; times < CPU_TIMES && times + 1 < count; times++) {
		values[times] = numbers[times];
		snprintf(values[times], NAME_SIZE, "%" PRIu64,
			 (uint64_t)strtoull(words[times + 1], NULL, 10) * 1000 / ticks_per_second());
	}
	put_items(file, "guest_cpu_time", "cpu", words[0][3] ? words[0] + 3 : "total",
		  "user nice system idle iowait irq softirq steal guest guest_nice", values, times);
}

static void put_vm(FILE *file, char **words, size_t count)
{
	if (count > 1)
		put_item(file, "guest_vm_stat", "", "", words[0], words[1]);
}

/* The two lines of headings have no numbers. */
static void put_interface(FILE *file, char **words, size_t count)
{
	put_items(file, "guest_netdev_stat", "interface", words[0],
		  "recv_bytes recv_packets recv_errs recv_drop recv_fifo recv_frame recv_compressed recv_multicast "
		  "sent_bytes sent_packets sent_errs sent_drop sent_fifo sent_colls sent_carrier sent_compressed",
		  words + 1, count - 1);
}

static void put_disk(FILE *file, char **words, size_t count)
{
	if (count > 3)
		put_items(file, "guest_diskstat", "disk", words[2],
			  "reads merged sectors_read time_reading writes writes_merged sectors_written time_writing "
			  "in_progress time_in_progress weighted_time_in_progress discards discards_merged "
			  "sectors_discarded time_discarding flushes time_flushing",
			  words + 3, count - 3);
}

void metrics_item_name(const char *name, char *item, size_t size)
{
	size_t length = 0;

	if (strcmp(name, "Percpu") == 0)
		name = "PerCpu";
	for (size_t i = 0; name[i] && length + 3 < size; i++) {
		unsigned char letter = (unsigned char)name[i], before = i > 0 ? (unsigned char)name[i - 1] : '_';
		bool begins = isupper(letter) ? islower(before) || (isupper(before) && islower((unsigned char)name[i + 1])) :
			      isdigit(letter) ? isalpha(before) : letter == '(';

		if (letter == ')')
			continue;
		/* "HugePages" is one word there. */
		if (begins && !(i >= 4 && strncmp(name + i - 4, "HugePages", 9) == 0))
			item[length++] = '_';
		if (letter != '(')
			item[length++] = (char)(isdigit(before) ? letter : tolower(letter));
	}
	item[length] = '\0';
}

static void put_memory(FILE *file, char **words, size_t count)
{
	char item[NAME_SIZE], value[NAME_SIZE];

	if (count < 2)
		return;
	metrics_item_name(words[0], item, sizeof(item));
	snprintf(value, sizeof(value), "%" PRIu64,
		 (uint64_t)strtoull(words[1], NULL, 10) * (count > 2 && strcmp(words[2], "kB") == 0 ? KIBIBYTE : 1));
	put_item(file, "guest_meminfo", "", "", item, value);
}

static const struct {
	const char *path; /* "%d" is the agent's pid */
	const char *name;
	const char *help;
	void (*put)(FILE *file, char **words, size_t count);
} sources[] = {
	{"/proc/%d/status", "agent_proc_status", "Memory, in KiB, and context switches of the agent.", put_status},
	{"/proc/%d/io", "agent_io_stat", "What the agent has read and written.", put_io},
	{"/proc/stat", "guest_cpu_time", "Processor time of the guest, in milliseconds.", put_cpu},
	{"/proc/vmstat", "guest_vm_stat", "The guest's virtual memory.", put_vm},
	{"/proc/net/dev", "guest_netdev_stat", "The guest's network interfaces.", put_interface},
	{"/proc/diskstats", "guest_diskstat", "The guest's disks; times are in milliseconds.", put_disk},
	{"/proc/meminfo", "guest_meminfo", "Memory of the guest, in bytes.", put_memory},
	{"/proc/loadavg", "guest_load", "Load of the guest.", put_load},
};

void metrics_write(FILE *file, pid_t agent, uint64_t scrapes)
{
	/* Untyped: the checker of the format wants another name for a counter, and for a gauge too. */
	metrics_family(file, "agent_scrape_count", "untyped", "How often the agent's metrics have been asked for.");
	fprintf(file, "kata_agent_scrape_count %" PRIu64 "\n", scrapes);
	write_agent_stat(file, agent);
	for (size_t i = 0; i < array_size(sources); i++) {
		char path[64];

		snprintf(path, sizeof(path), sources[i].path, agent);
		if (access(path, R_OK) < 0)
			continue; /* a kernel without it */
		metrics_family(file, sources[i].name, "gauge", sources[i].help);
		each_line(path, file, sources[i].put);
	}
	metrics_write_file_systems(file, "/proc/self/mountinfo");
}
