// uses: runtime/stats.c runtime/quantity.c runtime/table.c runtime/metrics_text.c lib/error.c
/* What is made of a guest's figures: shares, texts, tables, and metrics that Prometheus takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "runtime/metrics_text.h"
#include "runtime/quantity.h"
#include "runtime/stats.h"
#include "runtime/table.h"

static void bytes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{0, "0B"}, {1023, "1023B"}, {1024, "1KiB"}, {1536, "1.5KiB"}, {UINT64_C(1) << 20, "1MiB"},
		{268435456, "256MiB"}, {1234567890, "1.15GiB"}, {UINT64_MAX, "16EiB"},
	};
	char text[QUANTITY_SIZE];

	(void)state;
	for (size_t i = 0; i < array_size(cases); i++) {
		quantity_format_bytes(cases[i].bytes, text);
		assert_string_equal(text, cases[i].text);
	}
}

static void answers(void **state)
{
	Grpc__CpuUsage usage = GRPC__CPU_USAGE__INIT;
	Grpc__CpuStats cpu = GRPC__CPU_STATS__INIT;
	Grpc__MemoryData data = GRPC__MEMORY_DATA__INIT;
	Grpc__MemoryStats memory = GRPC__MEMORY_STATS__INIT;
	Grpc__MemoryStats__StatsEntry inactive = GRPC__MEMORY_STATS__STATS_ENTRY__INIT, *map[] = {&inactive};
	Grpc__PidsStats pids = GRPC__PIDS_STATS__INIT;
	Grpc__BlkioStats io = GRPC__BLKIO_STATS__INIT;
	Grpc__BlkioStatsEntry entries[3] = {GRPC__BLKIO_STATS_ENTRY__INIT, GRPC__BLKIO_STATS_ENTRY__INIT,
					    GRPC__BLKIO_STATS_ENTRY__INIT};
	Grpc__BlkioStatsEntry *list[] = {&entries[0], &entries[1], &entries[2]};
	Grpc__CgroupStats cgroup = GRPC__CGROUP_STATS__INIT;
	Grpc__StatsContainerResponse response = GRPC__STATS_CONTAINER_RESPONSE__INIT;
	struct stats stats;

	(void)state;
	/* Nothing is told of anything. */
	stats_take(&stats, &response, 5);
	assert_int_equal(stats.time, 5);
	assert_int_equal(stats.memory, 0);
	response.cgroup_stats = &cgroup;
	cgroup.memory_stats = &memory;
	cgroup.cpu_stats = &cpu;
	stats_take(&stats, &response, 5);
	assert_int_equal(stats.cpu, 0);

	cpu.cpu_usage = &usage;
	usage.total_usage = 7000;
	memory.usage = &data;
	data.usage = 1000;
	data.limit = UINT64_MAX;
	inactive.key = (char *)"inactive_file";
	inactive.value = 400;
	memory.stats = map;
	memory.n_stats = 1;
	pids.current = 3;
	pids.limit = 10;
	cgroup.pids_stats = &pids;
	entries[0].op = (char *)"Read";
	entries[0].value = 10;
	entries[1].op = (char *)"write";
	entries[1].value = 20;
	entries[2].op = (char *)"total";
	entries[2].value = 40;
	io.io_service_bytes_recursive = list;
	io.n_io_service_bytes_recursive = 3;
	cgroup.blkio_stats = &io;
	stats_take(&stats, &response, 6);
	assert_int_equal(stats.cpu, 7000);
	assert_int_equal(stats.memory, 600);
	assert_int_equal(stats.memory_limit, 0);
	assert_int_equal(stats.pids, 3);
	assert_int_equal(stats.pids_limit, 10);
	assert_int_equal(stats.read, 10);
	assert_int_equal(stats.written, 20);
	/* More cached than there is: a lie, or another moment. */
	inactive.value = 2000;
	data.limit = 4096;
	stats_take(&stats, &response, 6);
	assert_int_equal(stats.memory, 1000);
	assert_int_equal(stats.memory_limit, 4096);
}

static void shares(void **state)
{
	struct stats before = {.time = 1000, .cpu = 500}, after = {.time = 3000, .cpu = 2500};
	char text[STATS_CELL_SIZE];

	(void)state;
	assert_true(stats_cpu_percent(&before, &after) == 100);
	after.cpu = 4500;
	assert_true(stats_cpu_percent(&before, &after) == 200);
	stats_describe(STATS_CPU, &before, &after, text);
	assert_string_equal(text, "200.00%");
	/* Another container by now, the same moment, no first look. */
	after.cpu = 100;
	assert_true(stats_cpu_percent(&before, &after) == 0);
	after = (struct stats){.time = 1000, .cpu = 900};
	assert_true(stats_cpu_percent(&before, &after) == 0);
	before.time = 0;
	assert_true(stats_cpu_percent(&before, &after) == 0);
	stats_describe(STATS_CPU, &before, &after, text);
	assert_string_equal(text, "--");
	stats_describe(STATS_MEMORY, &before, &after, text);
	assert_string_equal(text, "0B / --");
	after.memory = 128;
	after.memory_limit = 512;
	stats_describe(STATS_MEMORY_PERCENT, &before, &after, text);
	assert_string_equal(text, "25.00%");
	/* The longest that there can be fit. */
	after = (struct stats){.time = 1, .cpu = UINT64_MAX, .memory = UINT64_MAX, .memory_limit = 1, .pids = UINT64_MAX};
	before = (struct stats){.time = 0};
	for (unsigned i = 0; i < STATS_COLUMNS; i++)
		stats_describe(i, &before, &after, text);
	after.time = 0;
	stats_describe(STATS_PIDS, &before, &after, text);
	assert_string_equal(text, "--");
}

static const char *cell(const void *data, size_t row, unsigned column)
{
	const char *const(*cells)[2] = data;

	return cells[row][column];
}

static void tables(void **state)
{
	static const char *const titles[] = {"NAME", "X"}, *const cells[][2] = {{"a-long-one", "1"}, {"b", "twenty"}};
	struct table table = {.titles = titles, .columns = 2, .rows = 2, .cell = cell, .data = cells};
	char line[64], little[8];

	(void)state;
	table_measure(&table);
	table_line(&table, TABLE_TITLES, line, sizeof(line));
	assert_string_equal(line, "NAME         X");
	table_line(&table, 1, line, sizeof(line));
	assert_string_equal(line, "b            twenty");
	table_line(&table, 0, little, sizeof(little));
	assert_string_equal(little, "a-long-");
}

static void passes(const char *text, const char *expected, size_t dropped)
{
	char *out = NULL;
	size_t size, count;
	FILE *file = open_memstream(&out, &size);

	count = metrics_text_pass(file, text);
	fclose(file);
	assert_string_equal(out, expected);
	assert_int_equal(count, dropped);
	free(out);
}

static void metrics(void **state)
{
	static const char *const good[] = {
		"# HELP kata_a Some words \\\\ of\\n help\n# TYPE kata_a gauge\nkata_a 1\nkata_a{x=\"1\"} 2.5e3\n",
		"kata_a NaN\nkata_b +Inf\nkata_c -Inf 1700000000000\nkata_d{} -1\n",
		"kata_a{x=\"a\\\"b\\\\c\\nd\",y=\"\",} 0\n",
		"kata_a:b{_z1=\"{},\"} 0.1\n",
	};
	static const char *const bad[] = {
		"kata_a", "kata_a ", "kata_a x", "kata_a 1 2 3", "kata_a 1 x", "kata_a  1", "kata_a 1 ", "kata_a 1e999",
		"kata_a 0x10", "kata_a nan(1)", "kata_a inf", "kata_a{x} 1", "kata_a{x=} 1", "kata_a{x=\"} 1",
		"kata_a{x=\"\\t\"} 1", "kata_a{x=\"1\"y=\"2\"} 1", "kata_a{x=\"1\",x=\"2\"} 1", "kata_a{1=\"\"} 1",
		"kata_a{x:y=\"\"} 1", "kata_a{__name__=\"nacre_agent_up\"} 1", "kata_a{,} 1", "kata_a{x=\"1\"", "kata_ 1",
		"nacre_agent_up 1", "# TYPE nacre_agent_up counter", "# HELP nacre_agent_up x", "# anything",
		"# TYPE kata_a histogram", "# TYPE kata_a gauges", "# HELP kata_a \\t", "#", " kata_a 1", "1kata_a 1",
		"kata_a 1 1234567890123456789", "kata_a 1\r", "kata_a{x=\"\\",
	};

	(void)state;
	for (size_t i = 0; i < array_size(good); i++)
		passes(good[i], good[i], 0);
	for (size_t i = 0; i < array_size(bad); i++)
		passes(bad[i], "", 1);
	/* What is only wrong the second time, or too late. */
	passes("# HELP kata_a x\n# HELP kata_a y\n", "# HELP kata_a x\n", 1);
	passes("# TYPE kata_a gauge\n# TYPE kata_a gauge\n", "# TYPE kata_a gauge\n", 1);
	passes("kata_a 1\n# TYPE kata_a gauge\nkata_a 2", "kata_a 1\nkata_a 2\n", 1);
	/* Terminals. */
	passes("# HELP kata_a \033[2J\303\244\n\n\nkata_a{x=\"\033\"} 1\n", "# HELP kata_a ?[2J??\nkata_a{x=\"?\"} 1\n", 0);
}

static void many_families(void **state)
{
	char *text = malloc(2000 * 16), *end = text, *out = NULL;
	size_t size;
	FILE *file = open_memstream(&out, &size);

	(void)state;
	for (unsigned i = 0; i < 2000; i++)
		end += sprintf(end, "kata_%u 1\n", i);
	assert_int_equal(metrics_text_pass(file, text), 2000 - 1024);
	fclose(file);
	free(out);
	free(text);
}

static void values(void **state)
{
	char *out = NULL;
	size_t size;
	FILE *file = open_memstream(&out, &size);

	(void)state;
	metrics_text_value(file, "a\"b\\c\nd\033");
	fclose(file);
	assert_string_equal(out, "\"a\\\"b\\\\c?d?\"");
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes), cmocka_unit_test(answers), cmocka_unit_test(shares), cmocka_unit_test(tables),
		cmocka_unit_test(metrics), cmocka_unit_test(many_families), cmocka_unit_test(values),
	};

	return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
