/* Mounts of the spec: option words to flags, and what kind of mount each is. See OCI config.md "Mounts". */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/container/kernel.h"
#include "agent/container/plan_parts.h"
#include "lib/cleanup.h"

#define MOUNT_DATA_MAX 4095 /* mount(2) takes a page */

#define ATIME_FLAGS (MS_NOATIME | MS_RELATIME | MS_STRICTATIME)

enum option_kind { OPTION_SET, OPTION_CLEAR, OPTION_PROPAGATION, OPTION_BIND, OPTION_RECURSIVE_READONLY };

struct option {
	const char *word;
	enum option_kind kind;
	unsigned long flags;
};

static const struct option options[] = {
	{"defaults", OPTION_SET, 0},
	{"ro", OPTION_SET, MS_RDONLY},
	{"rw", OPTION_CLEAR, MS_RDONLY},
	{"nosuid", OPTION_SET, MS_NOSUID},
	{"suid", OPTION_CLEAR, MS_NOSUID},
	{"nodev", OPTION_SET, MS_NODEV},
	{"dev", OPTION_CLEAR, MS_NODEV},
	{"noexec", OPTION_SET, MS_NOEXEC},
	{"exec", OPTION_CLEAR, MS_NOEXEC},
	{"sync", OPTION_SET, MS_SYNCHRONOUS},
	{"async", OPTION_CLEAR, MS_SYNCHRONOUS},
	{"dirsync", OPTION_SET, MS_DIRSYNC},
	{"mand", OPTION_SET, MS_MANDLOCK},
	{"nomand", OPTION_CLEAR, MS_MANDLOCK},
	{"noatime", OPTION_SET, MS_NOATIME},
	{"atime", OPTION_CLEAR, MS_NOATIME},
	{"nodiratime", OPTION_SET, MS_NODIRATIME},
	{"diratime", OPTION_CLEAR, MS_NODIRATIME},
	{"relatime", OPTION_SET, MS_RELATIME},
	{"norelatime", OPTION_CLEAR, MS_RELATIME},
	{"strictatime", OPTION_SET, MS_STRICTATIME},
	{"nostrictatime", OPTION_CLEAR, MS_STRICTATIME},
	{"nosymfollow", OPTION_SET, MS_NOSYMFOLLOW},
	{"symfollow", OPTION_CLEAR, MS_NOSYMFOLLOW},
	{"iversion", OPTION_SET, MS_I_VERSION},
	{"noiversion", OPTION_CLEAR, MS_I_VERSION},
	{"silent", OPTION_SET, MS_SILENT},
	{"loud", OPTION_CLEAR, MS_SILENT},
	{"bind", OPTION_BIND, 0},
	{"rbind", OPTION_BIND, MS_REC},
	{"rro", OPTION_RECURSIVE_READONLY, MS_RDONLY},
	{"shared", OPTION_PROPAGATION, MS_SHARED},
	{"rshared", OPTION_PROPAGATION, MS_SHARED | MS_REC},
	{"slave", OPTION_PROPAGATION, MS_SLAVE},
	{"rslave", OPTION_PROPAGATION, MS_SLAVE | MS_REC},
	{"private", OPTION_PROPAGATION, MS_PRIVATE},
	{"rprivate", OPTION_PROPAGATION, MS_PRIVATE | MS_REC},
	{"unbindable", OPTION_PROPAGATION, MS_UNBINDABLE},
	{"runbindable", OPTION_PROPAGATION, MS_UNBINDABLE | MS_REC},
};

/* What can't be done, and must not be passed over. */
static const char *const refused_options[] = {"remount", "idmap", "ridmap"};

/* What may be bound below /proc (fakes of the resources that a container has). */
static const char *const proc_files[] = {
	"/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat",
	"/proc/swaps",	 "/proc/uptime",    "/proc/loadavg", "/proc/net/dev",
};

static const struct option *find_option(const char *word)
{
	for (size_t i = 0; i < array_size(options); i++)
		if (strcmp(options[i].word, word) == 0)
			return &options[i];
	return NULL;
}

int plan_propagation(const char *word, unsigned long silent, unsigned long *flags, struct error *error)
{
	const struct option *option = find_option(word);

	if (*word && (!option || option->kind != OPTION_PROPAGATION))
		return error_set(error, EINVAL, "unknown propagation \"%.64s\"", word);
	*flags = *word ? option->flags : silent;
	return 0;
}

static int append_data(char data[MOUNT_DATA_MAX + 1], const char *word, struct error *error)
{
	size_t length = strlen(data);
	int added = snprintf(data + length, MOUNT_DATA_MAX + 1 - length, "%s%s", length > 0 ? "," : "", word);

	if (added < 0 || length + (size_t)added > MOUNT_DATA_MAX)
		return error_set(error, EINVAL, "the mount's options are longer than %d bytes", MOUNT_DATA_MAX);
	return 0;
}

static void apply_option(struct plan_mount *mount, const struct option *option)
{
	switch (option->kind) {
	case OPTION_SET:
		/* The kinds of atime exclude each other, and the last word wins. */
		if (option->flags & ATIME_FLAGS)
			mount->flags &= ~(unsigned long)ATIME_FLAGS;
		mount->flags |= option->flags;
		mount->clear &= ~option->flags;
		break;
	case OPTION_CLEAR:
		mount->flags &= ~option->flags;
		mount->clear |= option->flags;
		break;
	case OPTION_PROPAGATION:
		mount->propagation = option->flags;
		break;
	case OPTION_BIND:
		mount->kind = PLAN_MOUNT_BIND;
		mount->recursive |= option->flags & MS_REC;
		break;
	case OPTION_RECURSIVE_READONLY:
		mount->flags |= option->flags;
		mount->recursive_readonly = true;
		break;
	}
}

static int resolve_options(struct plan_mount *mount, const Grpc__Mount *given, struct arena *arena,
			   struct error *error)
{
	char data[MOUNT_DATA_MAX + 1] = "";

	for (size_t i = 0; i < given->n_options; i++) {
		const char *word = given->options[i];
		const struct option *option = find_option(word);
		int status = 0;

		for (size_t j = 0; j < array_size(refused_options); j++)
			if (strcmp(word, refused_options[j]) == 0)
				return error_set(error, EINVAL, "mount option \"%s\" isn't supported", word);
		if (option)
			apply_option(mount, option);
		else if (*word)
			status = append_data(data, word, error);
		if (status < 0)
			return status;
	}
	if (*data) {
		mount->data = plan_text(arena, data, error);
		if (!mount->data)
			return -ENOMEM;
	}
	return 0;
}

static enum plan_mount_kind kind_of(const struct plan_mount *mount)
{
	if (mount->kind == PLAN_MOUNT_BIND || strcmp(mount->type, "bind") == 0)
		return PLAN_MOUNT_BIND;
	if (strcmp(mount->type, "proc") == 0)
		return PLAN_MOUNT_PROC;
	if (strcmp(mount->type, "cgroup") == 0 || strcmp(mount->type, "cgroup2") == 0)
		return PLAN_MOUNT_CGROUP;
	return PLAN_MOUNT_FILESYSTEM;
}

/* Nothing may cover procfs, or labels and sysctls would be written elsewhere than they seem to be. What is bound at
 * "/proc" itself is looked at when it is open: it must be a procfs. */
static int check_proc(const struct plan_mount *mount, struct error *error)
{
	if (strcmp(mount->target, "/proc") == 0 && (mount->kind == PLAN_MOUNT_PROC || mount->kind == PLAN_MOUNT_BIND))
		return 0;
	if (strcmp(mount->target, "/proc") != 0 && strncmp(mount->target, "/proc/", 6) != 0)
		return 0;
	for (size_t i = 0; mount->kind == PLAN_MOUNT_BIND && i < array_size(proc_files); i++)
		if (strcmp(mount->target, proc_files[i]) == 0)
			return 0;
	return error_set(error, EINVAL, "\"%.128s\" cannot be mounted because it is inside /proc", mount->target);
}

static int resolve_mount(struct plan_mount *mount, const Grpc__Mount *given, struct arena *arena, struct error *error)
{
	int status = resolve_options(mount, given, arena, error);

	if (status < 0)
		return error_wrap(error, "mount at \"%.128s\"", given->destination);
	mount->target = plan_path(arena, given->destination, "mount destination", error);
	mount->source = plan_text(arena, given->source, error);
	mount->type = plan_text(arena, given->type, error);
	if (!mount->target || !mount->source || !mount->type)
		return -error->number;
	mount->kind = kind_of(mount);
	if (strcmp(mount->target, "/") == 0)
		return error_set(error, EINVAL, "a mount can't take the place of the root");
	if (mount->kind == PLAN_MOUNT_BIND && *mount->source != '/')
		return error_set(error, EINVAL, "mount source \"%.128s\" must be an absolute path", mount->source);
	if (mount->kind == PLAN_MOUNT_FILESYSTEM && !*mount->type)
		return error_set(error, EINVAL, "mount at \"%.128s\" has no type", mount->target);
	return check_proc(mount, error);
}

int plan_mounts(struct plan *plan, const Grpc__Spec *spec, struct error *error)
{
	struct plan_mount *mounts = plan_array(plan->arena, spec->n_mounts, sizeof(*mounts), error);

	if (!mounts)
		return -ENOMEM;
	for (size_t i = 0; i < spec->n_mounts; i++) {
		struct plan_mount *mount = &mounts[i];
		int status = resolve_mount(mount, spec->mounts[i], plan->arena, error);

		if (status < 0)
			return status;
		if (strcmp(mount->target, "/dev") != 0)
			continue;
		plan->dev_is_bind = mount->kind == PLAN_MOUNT_BIND;
		/* Written to while it is set up; read-only afterwards. */
		if (!plan->dev_is_bind && mount->flags & MS_RDONLY) {
			plan->dev_readonly = true;
			mount->flags &= ~(unsigned long)MS_RDONLY;
		}
	}
	plan->mounts = mounts;
	plan->mount_count = spec->n_mounts;
	return 0;
}
