/* What a guest tells of itself, before it reaches a terminal, a file or Prometheus: the text of its metrics, its statistics, and
 * what it has written, as entries of a log. The first byte chooses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/log_format.h"
#include "runtime/metrics_text.h"
#include "runtime/stats.h"
#include "tests/fuzz/fuzz.h"

#define TEXT_LIMIT (1u << 20)

static char *pass(const char *text, size_t *dropped)
{
	char *out = NULL;
	size_t size;
	FILE *file = open_memstream(&out, &size);

	promise(file);
	*dropped = metrics_text_pass(file, text);
	promise(fclose(file) == 0 && out);
	return out;
}

/* What is passed on is the guest's by name, fit for a terminal, and passes once more as it is. */
static void metrics(struct fuzz_input *input)
{
	char *text = fuzz_text(input, input->size), *first, *second;
	size_t dropped;

	first = pass(text, &dropped);
	for (const char *line = first; *line; line = strchr(line, '\n') + 1) {
		if (strncmp(line, "# HELP ", 7) == 0 || strncmp(line, "# TYPE ", 7) == 0)
			line += 7;
		promise(strncmp(line, METRICS_OF_GUEST, strlen(METRICS_OF_GUEST)) == 0);
		promise(strchr(line, '\n'));
	}
	for (const char *byte = first; *byte; byte++)
		promise(*byte == '\n' || (*byte >= ' ' && *byte <= '~'));
	second = pass(first, &dropped);
	promise(dropped == 0 && strcmp(first, second) == 0);
	free(first);
	free(second);
	free(text);
}

static void statistics(struct fuzz_input *input)
{
	Grpc__StatsContainerResponse *response =
		grpc__stats_container_response__unpack(NULL, input->size, input->data);
	struct stats before = {.time = 1, .cpu = 1}, stats;
	char text[STATS_CELL_SIZE];

	if (!response)
		return;
	stats_take(&stats, response, 2);
	promise(stats_cpu_percent(&before, &stats) >= 0);
	for (unsigned column = 0; column < STATS_COLUMNS; column++) {
		stats_describe(column, &before, &stats, text);
		promise(strlen(text) + 1 < STATS_CELL_SIZE);
		for (const char *byte = text; *byte; byte++)
			promise(*byte >= ' ' && *byte <= '~');
	}
	grpc__stats_container_response__free_unpacked(response, NULL);
}

/* The first format gives the bytes back; of the second each entry is a line. */
static void log_entries(struct fuzz_input *input)
{
	const char *rest = (const char *)input->data;
	size_t left = input->size;
	struct buffer text;

	buffer_init(&text, TEXT_LIMIT);
	while (left > 0) {
		struct log_entry entry = {.time = "T", .time_length = 1, .stream = left & 1}, again;
		size_t count = log_entry_cut(&entry, rest, left), length;

		promise(count > 0 && count <= left && count == entry.length + entry.whole);
		promise(log_format_cri(&text, &entry) == 0);
		length = buffer_length(&text);
		promise(log_entry_parse((const char *)buffer_bytes(&text), length - 1, &again) == 0);
		promise(again.stream == entry.stream && again.whole == entry.whole && again.length == entry.length &&
			memcmp(again.text, entry.text, entry.length) == 0);
		buffer_consume(&text, length);
		promise(log_format_json(&text, &entry) == 0);
		length = buffer_length(&text);
		promise(memchr(buffer_bytes(&text), '\n', length) == buffer_bytes(&text) + length - 1);
		buffer_consume(&text, length);
		rest += count;
		left -= count;
	}
	buffer_free(&text);
}

/* A line that says it is an entry. */
static void log_lines(struct fuzz_input *input)
{
	const char *line = (const char *)input->data;
	struct log_entry entry;

	if (log_entry_parse(line, input->size, &entry) == 0)
		promise(entry.text + entry.length == line + input->size && entry.stream <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {.data = data, .size = size};

	switch (fuzz_byte(&input) % 4) {
	case 0:
		metrics(&input);
		break;
	case 1:
		statistics(&input);
		break;
	case 2:
		log_entries(&input);
		break;
	default:
		log_lines(&input);
	}
	return 0;
}
