/* Metrics of file systems. */
#include <stdbool.h>
#include <string.h>
#include <sys/statvfs.h>

#include "agent/metrics.h"
#include "lib/cleanup.h"
#include "lib/utf8.h"

#define LINE_SIZE 8192
#define DEVICES_MAX 256
#define DEVICE_SIZE 24 /* "4095:1048575" */

static const char *const types[] = {"ext4", "xfs", "btrfs", "vfat", "overlay"};

/* The fields of a line of mountinfo that matter, cut out of it: proc_pid_mountinfo(5). */
struct mounted {
	char *device, *point, *options, *type, *source;
};

static bool parse(char *line, struct mounted *mounted)
{
	char *rest = strstr(line, " - "), **const fields[] = {NULL, NULL, &mounted->device, NULL, &mounted->point,
							      &mounted->options};

	if (!rest)
		return false;
	*rest = '\0';
	rest += 3;
	for (size_t i = 0; i < array_size(fields); i++) {
		char *word = strsep(&line, " ");

		if (!word)
			return false;
		if (fields[i])
			*fields[i] = word;
	}
	mounted->type = strsep(&rest, " ");
	mounted->source = strsep(&rest, " ");
	return mounted->source != NULL;
}

/* "\040" is a space there. */
static void decode(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (text[0] == '\\' && strspn(text + 1, "01234567") >= 3) {
			*to++ = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0'));
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

/* A label's value, in which three characters are escaped. */
static void put_label(FILE *file, const char *name, const char *value)
{
	char text[UTF8_COPY_SIZE(LINE_SIZE)];

	utf8_copy(text, value, strlen(value));
	fprintf(file, "%s=\"", name);
	for (const char *letter = text; *letter; letter++) {
		if (*letter == '\n')
			fputs("\\n", file);
		else
			fprintf(file, *letter == '"' || *letter == '\\' ? "\\%c" : "%c", *letter);
	}
	fputs("\",", file);
}

static bool is_wanted(const struct mounted *mounted)
{
	for (size_t i = 0; i < array_size(types); i++)
		if (strcmp(mounted->type, types[i]) == 0)
			return strncmp(mounted->options, "rw", 2) == 0;
	return false;
}

static void put_samples(FILE *file, const char *name, const struct mounted *mounted, const unsigned long long values[3])
{
	static const char *const items[] = {"total", "used", "available"};

	for (size_t i = 0; i < array_size(items); i++) {
		fprintf(file, "kata_%s{", name);
		put_label(file, "mount", mounted->point);
		put_label(file, "device", mounted->source);
		fprintf(file, "item=\"%s\"} %llu\n", items[i], values[i]);
	}
}

static void put_file_system(FILE *file, bool inodes, struct mounted *mounted)
{
	struct statvfs state;

	decode(mounted->point);
	decode(mounted->source);
	if (statvfs(mounted->point, &state) < 0)
		return;
	if (inodes)
		put_samples(file, "guest_filesystem_inodes", mounted,
			    (const unsigned long long[]){state.f_files, state.f_files - state.f_ffree, state.f_favail});
	else
		put_samples(file, "guest_filesystem_bytes", mounted,
			    (const unsigned long long[]){state.f_blocks * (unsigned long long)state.f_frsize,
							 (state.f_blocks - state.f_bfree) *
								 (unsigned long long)state.f_frsize,
							 state.f_bavail * (unsigned long long)state.f_frsize});
}

static void put_all(FILE *file, bool inodes, const char *mountinfo)
{
	char line[LINE_SIZE], devices[DEVICES_MAX][DEVICE_SIZE];
	FILE *mounts = fopen(mountinfo, "re");
	struct mounted mounted;
	size_t count = 0, seen;

	while (mounts && count < DEVICES_MAX && fgets(line, sizeof(line), mounts)) {
		if (!parse(line, &mounted) || !is_wanted(&mounted) || strlen(mounted.device) >= DEVICE_SIZE)
			continue;
		for (seen = 0; seen < count && strcmp(devices[seen], mounted.device) != 0; seen++)
			;
		if (seen < count)
			continue;
		strcpy(devices[count++], mounted.device);
		put_file_system(file, inodes, &mounted);
	}
	if (mounts)
		fclose(mounts);
}

void metrics_write_file_systems(FILE *file, const char *mountinfo)
{
	metrics_family(file, "guest_filesystem_bytes", "gauge", "Room of the guest's file systems, in bytes.");
	put_all(file, false, mountinfo);
	metrics_family(file, "guest_filesystem_inodes", "gauge", "Inodes of the guest's file systems.");
	put_all(file, true, mountinfo);
}
