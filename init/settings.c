/* Parameters, one function a parameter. */
#define LOG_SUBSYSTEM "init"
#include "init/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/cmdline.h"
#include "lib/log.h"
#include "lib/loop.h"

#define STOP_TIMEOUT (10 * LOOP_SECOND)
#define STOP_SECONDS_MAX 3600

static bool set_systemd_hierarchy(struct settings *settings, const char *value)
{
	settings->cgroup_v1 = strcmp(value, "0") == 0 || strcmp(value, "false") == 0;
	return true;
}

/* The kernel's own parameter: where it takes v1 from all controllers, there is nothing else. */
static bool set_no_v1(struct settings *settings, const char *value)
{
	settings->no_v1 = settings->no_v1 || strcmp(value, "all") == 0;
	return true;
}

static bool set_cgroup(struct settings *settings, const char *value)
{
	settings->cgroup_v1 = strcmp(value, "v1") == 0;
	return settings->cgroup_v1 || strcmp(value, "v2") == 0;
}

static bool set_exit(struct settings *settings, const char *value)
{
	settings->exit_by_reboot = strcmp(value, "reboot") == 0;
	return settings->exit_by_reboot || strcmp(value, "poweroff") == 0;
}

/* The bare word, or a yes. */
static bool set_rescue(struct settings *settings, const char *value)
{
	settings->rescue = *value == '\0' || strcmp(value, "1") == 0 || strcmp(value, "true") == 0;
	return settings->rescue || strcmp(value, "0") == 0 || strcmp(value, "false") == 0;
}

/* A terminal in /dev, with or without that prefix; the bare word is the console. */
static bool set_shell(struct settings *settings, const char *value)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	const char *name = strncmp(value, "/dev/", 5) == 0 ? value + 5 : value;

	if (*value == '\0')
		name = "console";
	if (*name == '\0' || strspn(name, letters) != strlen(name) || strlen(name) + 6 > sizeof(settings->shell))
		return false;
	snprintf(settings->shell, sizeof(settings->shell), "/dev/%s", name);
	return true;
}

static bool set_modules(struct settings *settings, const char *value)
{
	if (strlen(value) >= sizeof(settings->modules))
		return false;
	strcpy(settings->modules, value);
	return true;
}

static bool parse_stop_timeout(struct settings *settings, const char *value)
{
	char *end;
	unsigned long seconds = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end || seconds > STOP_SECONDS_MAX)
		return false;
	settings->stop_timeout = seconds * LOOP_SECOND;
	return true;
}

bool settings_set_stop_timeout(struct settings *settings, const char *seconds)
{
	if (parse_stop_timeout(settings, seconds))
		return true;
	log_warning("'%.40s' is no stop timeout: it should be seconds, 0 to %d", seconds, STOP_SECONDS_MAX);
	return false;
}

static const struct {
	const char *key;
	bool (*set)(struct settings *settings, const char *value);
} parameters[] = {
	{"systemd.unified_cgroup_hierarchy", set_systemd_hierarchy},
	{"cgroup_no_v1", set_no_v1},
	{"nacre.cgroup", set_cgroup},
	{"nacre.exit", set_exit},
	{"nacre.rescue", set_rescue},
	{"nacre.shell", set_shell},
	{"nacre.modules", set_modules},
	{"nacre.stop_timeout", parse_stop_timeout},
};

void settings_init(struct settings *settings)
{
	*settings = (struct settings){.stop_timeout = STOP_TIMEOUT};
}

void settings_read(struct settings *settings, const char *command_line)
{
	struct cmdline_word word;

	while (cmdline_next(&command_line, &word))
		for (size_t i = 0; i < array_size(parameters); i++)
			if (strcmp(parameters[i].key, word.key) == 0 &&
			    !parameters[i].set(settings, word.value ? word.value : ""))
				log_warning("the parameter %s=%.80s makes no sense", word.key,
					    word.value ? word.value : "");
	settings->cgroup_v1 = settings->cgroup_v1 && !settings->no_v1;
}
