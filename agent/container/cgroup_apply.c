/* Writes limits: those of a new cgroup, and other ones to one that is in use. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/container/cgroup_parts.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

#define VALUE_MAX 4096
#define DEVICES_TIMEOUT 1000 /* milliseconds */

static bool passed_over(const struct cgroup_setting *setting, int status)
{
	switch (setting->need) {
	case CGROUP_IF_PRESENT:
		return status == -ENOENT || status == -EOPNOTSUPP;
	case CGROUP_IF_POSSIBLE:
		return true;
	case CGROUP_REQUIRED:
		break;
	}
	return false;
}

/* `error` is of what fails, and of numbers that are passed over because the kernel refuses them: they aren't in force. */
static int write_setting(const struct cgroup *cgroup, const struct cgroup_setting *setting, struct error *error)
{
	struct error reason;
	cleanup_close int directory = cgroup_open(cgroup, setting->controller, &reason);
	int status = directory < 0 ? directory : fd_write_file(directory, setting->file, setting->value, &reason);

	if (status == 0)
		return 0;
	if (passed_over(setting, status)) {
		if (setting->need == CGROUP_IF_POSSIBLE && status != -ENOENT)
			*error = reason;
		return 0;
	}
	*error = reason;
	if (status == -ENOENT)
		return error_set(error, ENOENT, "%s can't be limited: the guest has no %s here", setting->controller,
				 setting->file);
	return error_wrap(error, "limit of %s", setting->controller);
}

/* Some pairs depend on each other (v1: memory never above memory and swap), and which one must come first depends on
 * what is there: what is refused is tried again after the rest. */
static int write_settings(const struct cgroup *cgroup, const struct cgroup_limits *limits, struct error *error)
{
	bool refused = false;
	int status;

	for (size_t i = 0; i < limits->setting_count; i++) {
		status = write_setting(cgroup, &limits->settings[i], error);
		if (status < 0 && status != -EINVAL)
			return status;
		refused |= status < 0;
	}
	if (refused)
		*error = (struct error){0};
	for (size_t i = 0; refused && i < limits->setting_count; i++) {
		status = write_setting(cgroup, &limits->settings[i], error);
		if (status < 0)
			return status;
	}
	return 0;
}

static int apply_devices(const struct cgroup *cgroup, const struct cgroup_limits *limits, struct error *error)
{
	cleanup_close int directory = cgroup_open(cgroup, "devices", error);

	if (directory < 0)
		return directory;
	return cgroup->tree->unified ? device_filter_attach(directory, limits, error) :
				       device_rules_write(directory, limits, error);
}

/* v1's rules are written one by one, beginning with none at all: nobody may run meanwhile. */
static int update_devices(const struct cgroup *cgroup, const struct cgroup_limits *limits, struct error *error)
{
	bool thaw = !cgroup->tree->unified && cgroup_pause(cgroup, DEVICES_TIMEOUT, NULL) == 0;
	int status = apply_devices(cgroup, limits, error);

	if (thaw)
		cgroup_resume(cgroup, NULL);
	return status;
}

/* Some files have a line for each device, and one for all others: "8:0 rbps=1", "default 100". The length of such a line's
 * name in a value, or 0. */
static size_t name_length(const char *value)
{
	size_t length = strcspn(value, " ");

	return memchr(value, ':', length) || strncmp(value, "default ", length + 1) == 0 ? length : 0;
}

/* What stands for no limit of a device's, in a file that doesn't have it. */
static const char *no_limit(const char *file)
{
	if (strcmp(file, "io.max") == 0)
		return "rbps=max wbps=max riops=max wiops=max";
	return strstr(file, "weight") ? "default" : "0";
}

static char *read_line(const char *text, const struct cgroup_setting *setting, size_t length)
{
	char *line;

	for (; *text; text += strcspn(text, "\n"), text += *text == '\n')
		if (strncmp(text, setting->value, length + 1) == 0)
			return strndup(text, strcspn(text, "\n"));
	return asprintf(&line, "%.*s %s", (int)length, setting->value, no_limit(setting->file)) < 0 ? NULL : line;
}

/* What is to be written to have again what the setting's file says now; NULL where it says nothing. */
static char *read_setting(const struct cgroup *cgroup, const struct cgroup_setting *setting)
{
	cleanup_close int directory = cgroup_open(cgroup, setting->controller, NULL);
	size_t length = name_length(setting->value);
	char text[VALUE_MAX];

	if (directory < 0 || fd_read_file(directory, setting->file, text, sizeof(text), NULL) < 0)
		return NULL;
	if (length > 0)
		return read_line(text, setting, length);
	return *text ? strdup(text) : NULL;
}

/* Twice, as one may only be taken after another. */
static void take_back(const struct cgroup *cgroup, const struct cgroup_limits *limits, char *const *before)
{
	struct error unread;

	for (size_t i = 2 * limits->setting_count; i-- > 0;) {
		struct cgroup_setting setting = limits->settings[i % limits->setting_count];

		setting.value = before[i % limits->setting_count];
		if (setting.value)
			write_setting(cgroup, &setting, &unread);
	}
}

int cgroup_update(const struct cgroup *cgroup, const struct cgroup_limits *limits, struct error *error)
{
	cleanup_free char **before = calloc(limits->setting_count + 1, sizeof(*before));
	struct error unread;
	int status;

	if (!error)
		error = &unread;
	if (!before)
		return error_errno(error, ENOMEM, "read the limits of the cgroup %s", cgroup->path);
	for (size_t i = 0; i < limits->setting_count; i++)
		before[i] = read_setting(cgroup, &limits->settings[i]);
	status = write_settings(cgroup, limits, error);
	if (status == 0 && limits->devices_given)
		status = update_devices(cgroup, limits, error);
	if (status < 0)
		take_back(cgroup, limits, before);
	for (size_t i = 0; i < limits->setting_count; i++)
		free(before[i]);
	return status;
}

int cgroup_apply(const struct cgroup *cgroup, const struct cgroup_limits *limits, struct error *error)
{
	struct error unread;
	int status;

	if (!error)
		error = &unread;
	status = write_settings(cgroup, limits, error);
	return status < 0 ? status : apply_devices(cgroup, limits, error);
}
