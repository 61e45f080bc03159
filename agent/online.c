/* By writing to files of sysfs. */
#include "agent/online.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/loop.h"
#include "lib/match.h"

#define CPUS "/sys/devices/system/cpu"
#define MEMORY "/sys/devices/system/memory"

/* As often, and as long, as the Kata agent does it: a processor's event comes before it can be brought up. */
#define TRIES 100
#define TRY_INTERVAL (50 * LOOP_MILLISECOND)

/* What is brought online, as long as `more` says so (NULL: all of it). */
struct bringing {
	bool (*more)(const void *wanted);
	const void *wanted;
	struct error *error;
	int status; /* the last failure */
};

/* A file `online` that is off. The first processor has none. */
static int bring(const char *path, void *data)
{
	struct bringing *bringing = data;
	char text[8];
	int written;

	if (fd_read_file(AT_FDCWD, path, text, sizeof(text), NULL) < 0 || strcmp(text, "0") != 0)
		return 0;
	if (bringing->more && !bringing->more(bringing->wanted))
		return 1;
	written = fd_write_file(AT_FDCWD, path, "1", bringing->error);
	if (written < 0)
		bringing->status = written;
	return 0;
}

int online_cpu_list(char list[ONLINE_CPUS_SIZE], struct error *error)
{
	ssize_t length = fd_read_file(AT_FDCWD, CPUS "/online", list, ONLINE_CPUS_SIZE, error);

	return length < 0 ? (int)length : 0;
}

/* How many numbers a list has: "0-3,6" has five. */
static uint32_t count_list(const char *list)
{
	uint32_t count = 0;

	while (*list >= '0' && *list <= '9') {
		char *end;
		unsigned long first = strtoul(list, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		count += (uint32_t)(last - first + 1);
		list = *end == ',' ? end + 1 : end;
	}
	return count;
}

static uint32_t online_count(void)
{
	char list[ONLINE_CPUS_SIZE];

	return online_cpu_list(list, NULL) < 0 ? 0 : count_list(list);
}

static bool too_few(const void *wanted)
{
	return online_count() < *(const uint32_t *)wanted;
}

int online_cpus(uint32_t count, struct error *error)
{
	static const struct timespec interval = {.tv_nsec = TRY_INTERVAL};
	struct error last = {0};
	struct bringing bringing = {.more = too_few, .wanted = &count, .error = &last};

	for (int i = 0; i < TRIES && too_few(&count); i++) {
		if (i > 0)
			nanosleep(&interval, NULL);
		match_each(CPUS "/cpu*/online", bring, &bringing);
	}
	if (!too_few(&count))
		return 0;
	return error_set(error, EIO, "%u of %u processors are online%s%s", online_count(), count,
			 *last.text ? ": " : ", and no more came", last.text);
}

int online_memory(struct error *error)
{
	struct bringing bringing = {.error = error};

	match_each(MEMORY "/memory*/online", bring, &bringing);
	return bringing.status;
}

void online_memory_as_it_comes(void)
{
	char text[32];

	/* A guest's own choice of another kind ("online_movable") stays. */
	if (fd_read_file(AT_FDCWD, MEMORY "/auto_online_blocks", text, sizeof(text), NULL) > 0 &&
	    strcmp(text, "offline") == 0)
		fd_write_file(AT_FDCWD, MEMORY "/auto_online_blocks", "online", NULL);
}

int online_probe_memory(const char *file, const uint64_t *addresses, size_t count, struct error *error)
{
	int status = 0;

	if (count > 0 && access(file, F_OK) < 0)
		return error_set(error, ENODEV, "this kernel can't be told about memory: it has no %s", file);
	for (size_t i = 0; i < count && status == 0; i++) {
		char text[32];

		snprintf(text, sizeof(text), "0x%" PRIX64, addresses[i]);
		status = fd_write_file(AT_FDCWD, file, text, error);
		if (status < 0)
			error_wrap(error, "memory at %s", text);
	}
	return status;
}
