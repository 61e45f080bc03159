/* Statistics of disks: blkio's files on v1, io.stat on v2. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/stats_parts.h"
#include "lib/cleanup.h"

#define IO_MAX 1536 /* six for each of 256 disks */

/* One "op value" of one device, appended to a list that has room for IO_MAX. */
static int add_io(struct stats_reader *reader, Grpc__BlkioStatsEntry **entries, size_t *count, uint64_t major, uint64_t minor,
		  const char *op, uint64_t value)
{
	Grpc__BlkioStatsEntry *entry = new_part(reader, grpc__blkio_stats_entry__init, Grpc__BlkioStatsEntry);

	if (!entry)
		return -ENOMEM;
	entry->major = major;
	entry->minor = minor;
	entry->op = arena_strdup(reader->arena, op);
	entry->value = value;
	if (!entry->op)
		return -ENOMEM;
	entries[(*count)++] = entry;
	return 0;
}

/* One "rbytes=N" of io.stat. */
static int add_word_v2(struct stats_reader *reader, Grpc__BlkioStats *io, uint64_t major, uint64_t minor, char *word)
{
	static const char *const names[][2] = {{"rbytes", "read"}, {"wbytes", "write"},	{"rios", "rios"},
					       {"wios", "wios"},   {"dbytes", "dbytes"}, {"dios", "dios"}};
	char *value = strchr(word, '=');

	if (!value)
		return 0;
	*value++ = '\0';
	for (size_t i = 0; i < array_size(names) && io->n_io_service_bytes_recursive < IO_MAX; i++)
		if (strcmp(word, names[i][0]) == 0)
			return add_io(reader, io->io_service_bytes_recursive, &io->n_io_service_bytes_recursive, major,
				      minor, names[i][1], strtoull(value, NULL, 10));
	return 0;
}

/* io.stat: "MAJOR:MINOR rbytes=N wbytes=N ..." a line. */
/* "MAJOR:MINOR" at the beginning of *text, which moves on. */
static bool take_device(char **text, uint64_t *major, uint64_t *minor)
{
	char *end;

	*major = strtoull(*text, &end, 10);
	if (end == *text || *end != ':')
		return false;
	*text = end + 1;
	*minor = strtoull(*text, &end, 10);
	if (end == *text)
		return false;
	*text = end;
	return true;
}

static int read_io_v2(struct stats_reader *reader, Grpc__BlkioStats *io)
{
	char *rest = reader->text, *line;
	int status = 0;

	io->io_service_bytes_recursive = arena_array(reader->arena, IO_MAX, sizeof(void *));
	if (!io->io_service_bytes_recursive)
		return -ENOMEM;
	if (!stats_read_text(reader, "io.stat"))
		return 0;
	while ((line = strsep(&rest, "\n")) && status == 0) {
		uint64_t major, minor;
		char *word;

		if (!take_device(&line, &major, &minor))
			continue;
		while ((word = strsep(&line, " ")) && status == 0)
			status = add_word_v2(reader, io, major, minor, word);
	}
	return status;
}

/* One file of v1: "MAJOR:MINOR Op N" a line, or without the operation; and its sum, which has no device. */
static int read_io_v1(struct stats_reader *reader, const char *file, Grpc__BlkioStatsEntry **entries, size_t *count)
{
	char *rest = reader->text, *line;
	int status = 0;

	if (!stats_read_text(reader, file))
		return 0;
	while ((line = strsep(&rest, "\n")) && status == 0 && *count < IO_MAX) {
		uint64_t major, minor;
		char *value = strrchr(line, ' '), *op;

		if (!value || !take_device(&line, &major, &minor))
			continue;
		*value++ = '\0';
		/* Without an operation `line` has come to its end. */
		op = line + strspn(line, " ");
		for (char *letter = op; *letter; letter++)
			*letter = (char)tolower((unsigned char)*letter);
		status = add_io(reader, entries, count, major, minor, op, strtoull(value, NULL, 10));
	}
	return status;
}

/* A list of the message, and where v1's numbers for it are: what the scheduler counts, or else what throttling does. */
struct io_list {
	const char *name;
	size_t count_offset, entries_offset;
	bool throttled;
};

#define IO_LIST(name, throttled)                                                                                         \
	{                                                                                                                \
		#name, offsetof(Grpc__BlkioStats, n_##name##_recursive), offsetof(Grpc__BlkioStats, name##_recursive),   \
			throttled                                                                                        \
	}

static int read_io_list(struct stats_reader *reader, Grpc__BlkioStats *io, const struct io_list *list)
{
	static const char *const formats[] = {"blkio.%s_recursive", "blkio.bfq.%s_recursive",
					      "blkio.throttle.%s_recursive", "blkio.throttle.%s"};
	Grpc__BlkioStatsEntry ***entries = (void *)((char *)io + list->entries_offset);
	size_t *count = (void *)((char *)io + list->count_offset);
	int status = 0;

	*entries = arena_array(reader->arena, IO_MAX, sizeof(void *));
	if (!*entries)
		return -ENOMEM;
	for (size_t i = 0; i < (list->throttled ? 4 : 2) && *count == 0 && status == 0; i++) {
		char file[64];

		snprintf(file, sizeof(file), formats[i], list->name);
		status = read_io_v1(reader, file, *entries, count);
	}
	return status;
}

int stats_read_io(struct stats_reader *reader, Grpc__CgroupStats *stats)
{
	static const struct io_list lists[] = {
		IO_LIST(io_service_bytes, true), IO_LIST(io_serviced, true),   IO_LIST(io_queued, false),
		IO_LIST(io_service_time, false), IO_LIST(io_wait_time, false), IO_LIST(io_merged, false),
		IO_LIST(io_time, false),	 IO_LIST(sectors, false),
	};
	Grpc__BlkioStats *io = new_part(reader, grpc__blkio_stats__init, Grpc__BlkioStats);
	int status = 0;

	if (!io)
		return -ENOMEM;
	stats->blkio_stats = io;
	if (reader->unified)
		return read_io_v2(reader, io);
	for (size_t i = 0; i < array_size(lists) && status == 0; i++)
		status = read_io_list(reader, io, &lists[i]);
	return status;
}
