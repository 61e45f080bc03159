/* A controller is told to look ("0 ID LUN" in its scan file), as not every one announces what is plugged in. Runtimes number
 * targets of channel 0, and don't say of which controller: there is one with such a disk. */
#include "agent/device/scsi.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/device/wait.h"
#include "lib/fd.h"
#include "lib/match.h"

#define NUMBER_MAX 65535u

struct place {
	unsigned id, lun;
	char path[DISK_PATH_SIZE];
};

/* Decimal digits at *text, which moves on. False for none, or a number that no controller has. */
static bool take_number(const char **text, unsigned *number)
{
	const char *start = *text;

	for (*number = 0; **text >= '0' && **text <= '9' && *number <= NUMBER_MAX; ++*text)
		*number = *number * 10 + (unsigned)(**text - '0');
	return *text != start && *number <= NUMBER_MAX;
}

static bool parse(struct place *place, const char *text)
{
	return take_number(&text, &place->id) && *text++ == ':' && take_number(&text, &place->lun) && *text == '\0';
}

/* A host that refuses hasn't the disk. */
static int scan(const char *host, void *line)
{
	fd_write_file(-1, host, line, NULL);
	return 0;
}

static void scan_all(const struct place *place)
{
	char line[32];

	snprintf(line, sizeof(line), "0 %u %u", place->id, place->lun);
	match_each("/sys/class/scsi_host/*/scan", scan, line);
}

static int take_name(const char *path, void *data)
{
	struct place *place = data;

	snprintf(place->path, sizeof(place->path), "/dev/%s", strrchr(path, '/') + 1);
	return 1;
}

static bool place_is_taken(void *wanted)
{
	struct place *place = wanted;
	char pattern[64];

	snprintf(pattern, sizeof(pattern), "/sys/bus/scsi/devices/*:0:%u:%u/block/*", place->id, place->lun);
	return match_each(pattern, take_name, place) == 1 && disk_opens(place->path);
}

int scsi_wait(const char *text, uint64_t timeout, char path[DISK_PATH_SIZE], struct error *error)
{
	struct place place;
	int status;

	if (!parse(&place, text))
		return error_set(error, EINVAL, "'%.80s' is no place of a SCSI disk (ID:LUN)", text);
	scan_all(&place);
	status = device_wait_until(place_is_taken, &place, text, timeout, error);
	if (status == 0)
		memcpy(path, place.path, DISK_PATH_SIZE);
	return status;
}
