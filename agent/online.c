/* By writing to files of sysfs. */
#include "agent/online.h"

#include <dirent.h>
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

#define CPUS "/sys/devices/system/cpu"
#define MEMORY "/sys/devices/system/memory"

/* As often, and as long, as the Kata agent does it: a processor's event comes before it can be brought up. */
#define TRIES 100
#define TRY_INTERVAL (50 * LOOP_MILLISECOND)

static void close_directory(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

/* Writes "1" to the file `online` of every NAME123 of the folder that is off, as long as `more` says so (NULL: of all).
 * 0, or the last failure, after which the rest has been tried. */
static int online_each(const char *folder, const char *name, bool (*more)(const void *wanted), const void *wanted,
		       struct error *error)
{
	DIR *directory __attribute__((cleanup(close_directory))) = opendir(folder);
	size_t length = strlen(name);
	struct dirent *entry;
	int status = 0;

	while (directory && (entry = readdir(directory))) {
		char path[64], text[8];
		int written;

		if (strncmp(entry->d_name, name, length) != 0 || entry->d_name[length] < '0' || entry->d_name[length] > '9' ||
		    snprintf(path, sizeof(path), "%.20s/online", entry->d_name) >= (int)sizeof(path))
			continue;
		/* The first processor has no such file. */
		if (fd_read_file(dirfd(directory), path, text, sizeof(text), NULL) < 0 || strcmp(text, "0") != 0)
			continue;
		if (more && !more(wanted))
			break;
		written = fd_write_file(dirfd(directory), path, "1", error);
		if (written < 0)
			status = written;
	}
	return status;
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

	for (int i = 0; i < TRIES && too_few(&count); i++) {
		if (i > 0)
			nanosleep(&interval, NULL);
		online_each(CPUS, "cpu", too_few, &count, &last);
	}
	if (!too_few(&count))
		return 0;
	return error_set(error, EIO, "%u of %u processors are online%s%s", online_count(), count,
			 *last.text ? ": " : ", and no more came", last.text);
}

int online_memory(struct error *error)
{
	return online_each(MEMORY, "memory", NULL, NULL, error);
}

void online_memory_as_it_comes(void)
{
	char text[32];

	/* A guest's own choice of another kind ("online_movable") stays. */
	if (fd_read_file(AT_FDCWD, MEMORY "/auto_online_blocks", text, sizeof(text), NULL) > 0 &&
	    strcmp(text, "offline") == 0)
		fd_write_file(AT_FDCWD, MEMORY "/auto_online_blocks", "online", NULL);
}

int online_probe_memory(const uint64_t *addresses, size_t count, struct error *error)
{
	int status = 0;

	if (count > 0 && access(MEMORY "/probe", F_OK) < 0)
		return error_set(error, ENODEV, "this kernel can't be told about memory: it has no " MEMORY "/probe");
	for (size_t i = 0; i < count && status == 0; i++) {
		char text[32];

		snprintf(text, sizeof(text), "0x%" PRIX64, addresses[i]);
		status = fd_write_file(AT_FDCWD, MEMORY "/probe", text, error);
		if (status < 0)
			error_wrap(error, "memory at %s", text);
	}
	return status;
}
