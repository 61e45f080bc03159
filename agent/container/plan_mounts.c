/* Mounts of the spec: option words to flags, and what kind of mount each is. See OCI config.md "Mounts". */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "agent/container/kernel.h"
#include "agent/container/plan_parts.h"
#include "lib/cleanup.h"

#define MOUNT_DATA_MAX 4095 /* mount(2) takes a page */

#define ATIME_FLAGS (MS_NOATIME | MS_RELATIME | MS_STRICTATIME)

/* What mount_setattr(2) can change of the mounts below as well: the word with an "r" in front. */
#define RECURSIVE_FLAGS \
	(MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NODIRATIME | MS_NOSYMFOLLOW | ATIME_FLAGS)

enum option_kind {
	OPTION_SET,
	OPTION_CLEAR,
	OPTION_PROPAGATION,
	OPTION_BIND,
	OPTION_REMOUNT,
	OPTION_IDMAP,
	OPTION_COPY_UP,
};

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
	{"lazytime", OPTION_SET, MS_LAZYTIME},
	{"nolazytime", OPTION_CLEAR, MS_LAZYTIME},
	{"iversion", OPTION_SET, MS_I_VERSION},
	{"noiversion", OPTION_CLEAR, MS_I_VERSION},
	{"silent", OPTION_SET, MS_SILENT},
	{"loud", OPTION_CLEAR, MS_SILENT},
	{"bind", OPTION_BIND, 0},
	{"rbind", OPTION_BIND, MS_REC},
	{"remount", OPTION_REMOUNT, 0},
	{"idmap", OPTION_IDMAP, 0},
	{"ridmap", OPTION_IDMAP, MS_REC},
	{"tmpcopyup", OPTION_COPY_UP, 0},
	{"shared", OPTION_PROPAGATION, MS_SHARED},
	{"rshared", OPTION_PROPAGATION, MS_SHARED | MS_REC},
	{"slave", OPTION_PROPAGATION, MS_SLAVE},
	{"rslave", OPTION_PROPAGATION, MS_SLAVE | MS_REC},
	{"private", OPTION_PROPAGATION, MS_PRIVATE},
	{"rprivate", OPTION_PROPAGATION, MS_PRIVATE | MS_REC},
	{"unbindable", OPTION_PROPAGATION, MS_UNBINDABLE},
	{"runbindable", OPTION_PROPAGATION, MS_UNBINDABLE | MS_REC},
};

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

/* The kinds of atime exclude each other, and the last word wins. */
static void change_flags(unsigned long *set, unsigned long *clear, const struct option *option)
{
	if (option->kind == OPTION_CLEAR) {
		*set &= ~option->flags;
		*clear |= option->flags;
		return;
	}
	if (option->flags & ATIME_FLAGS)
		*set &= ~(unsigned long)ATIME_FLAGS;
	*set |= option->flags;
	*clear &= ~option->flags;
}

/* What a mount's words say beside flags. */
struct words {
	bool bind, remount, idmap;
};

static void apply_option(struct plan_mount *mount, const struct option *option, struct words *words)
{
	switch (option->kind) {
	case OPTION_SET:
	case OPTION_CLEAR:
		change_flags(&mount->flags, &mount->clear, option);
		break;
	case OPTION_PROPAGATION:
		mount->propagation = option->flags;
		break;
	case OPTION_BIND:
		words->bind = true;
		mount->recursive |= option->flags & MS_REC;
		break;
	case OPTION_REMOUNT:
		words->remount = true;
		break;
	case OPTION_IDMAP:
		words->idmap = true;
		mount->idmap_recursive = option->flags & MS_REC;
		break;
	case OPTION_COPY_UP:
		mount->copy_up = true;
		break;
	}
}

/* "rro" is "ro" for everything below. */
static const struct option *find_recursive(const char *word)
{
	const struct option *option = *word == 'r' ? find_option(word + 1) : NULL;

	if (!option || (option->kind != OPTION_SET && option->kind != OPTION_CLEAR) ||
	    !(option->flags & RECURSIVE_FLAGS))
		return NULL;
	return option;
}

static enum plan_mount_kind kind_of(const struct plan_mount *mount, const struct words *words)
{
	if (words->remount)
		return words->bind ? PLAN_MOUNT_REMOUNT_BIND : PLAN_MOUNT_REMOUNT;
	if (words->bind || strcmp(mount->type, "bind") == 0)
		return PLAN_MOUNT_BIND;
	if (strcmp(mount->type, "proc") == 0)
		return PLAN_MOUNT_PROC;
	if (strcmp(mount->type, "cgroup") == 0 || strcmp(mount->type, "cgroup2") == 0)
		return PLAN_MOUNT_CGROUP;
	return PLAN_MOUNT_FILESYSTEM;
}

static int resolve_options(struct plan_mount *mount, const Grpc__Mount *given, struct words *words, struct arena *arena,
			   struct error *error)
{
	char data[MOUNT_DATA_MAX + 1] = "";

	for (size_t i = 0; i < given->n_options; i++) {
		const char *word = given->options[i];
		const struct option *option = find_option(word), *recursive = option ? NULL : find_recursive(word);
		int status = 0;

		if (option)
			apply_option(mount, option, words);
		else if (recursive)
			change_flags(&mount->recursive_flags, &mount->recursive_clear, recursive);
		else if (*word)
			status = append_data(data, word, error);
		if (status < 0)
			return status;
	}
	mount->kind = kind_of(mount, words);
	if (mount->copy_up && (mount->kind != PLAN_MOUNT_FILESYSTEM || strcmp(mount->type, "tmpfs") != 0))
		return error_set(error, EINVAL, "tmpcopyup is for a tmpfs");
	if (*data) {
		mount->data = plan_text(arena, data, error);
		if (!mount->data)
			return -ENOMEM;
	}
	return 0;
}

/* Its tree is made before the container's user namespace is entered, as nobody in it may do that. */
static int make_early(struct plan *plan, struct plan_mount *mount, struct error *error)
{
	if (plan->early_count == PLAN_EARLY_MAX)
		return error_set(error, EINVAL, "more than %d mounts are idmapped, or a shared pid namespace's procfs", PLAN_EARLY_MAX);
	mount->early = ++plan->early_count;
	return 0;
}

static int resolve_idmap(struct plan *plan, struct plan_mount *mount, const struct plan_mount_extras *extras,
			 bool asked_for, struct error *error)
{
	static const struct plan_mount_extras none;
	int status;

	if (!extras)
		extras = &none;
	if (!asked_for && extras->uid_mapping_count == 0 && extras->gid_mapping_count == 0)
		return 0;
	if (mount->kind != PLAN_MOUNT_BIND)
		return error_set(error, EINVAL, "only a bind mount can have id mappings");
	if ((extras->uid_mapping_count == 0) != (extras->gid_mapping_count == 0))
		return error_set(error, EINVAL, "id mappings of users and of groups go together");
	if (extras->uid_mapping_count == 0 && plan->namespaces[PLAN_USER].mode == PLAN_NAMESPACE_KEEP)
		return error_set(error, EINVAL, "an idmapped mount needs mappings, or a user namespace");
	mount->idmap = true;
	status = make_early(plan, mount, error);
	if (status < 0)
		return status;
	status = plan_mappings_copy(plan, &mount->uid_mappings, &mount->uid_mapping_count, extras->uid_mappings,
				    extras->uid_mapping_count, error);
	if (status < 0)
		return status;
	return plan_mappings_copy(plan, &mount->gid_mappings, &mount->gid_mapping_count, extras->gid_mappings,
				  extras->gid_mapping_count, error);
}

/* SELinux's label of a filesystem's files. */
static int add_label(struct plan_mount *mount, const char *label, struct arena *arena, struct error *error)
{
	char data[MOUNT_DATA_MAX + 1];
	int length;

	if (!*label || mount->kind != PLAN_MOUNT_FILESYSTEM || strcmp(mount->type, "sysfs") == 0 ||
	    strcmp(mount->type, "mqueue") == 0)
		return 0;
	length = snprintf(data, sizeof(data), "%s%scontext=\"%s\"", mount->data ? mount->data : "",
			  mount->data ? "," : "", label);
	if (length < 0 || (size_t)length >= sizeof(data))
		return error_set(error, EINVAL, "the mount's options are longer than %d bytes", MOUNT_DATA_MAX);
	mount->data = plan_text(arena, data, error);
	return mount->data ? 0 : -ENOMEM;
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

/* A relative destination is one of old configurations, from the root. */
static const char *resolve_target(const char *given, struct arena *arena, struct error *error)
{
	char path[PATH_MAX];

	if (*given == '/' || !*given || strlen(given) >= sizeof(path) - 1)
		return plan_path(arena, given, "mount destination", error);
	snprintf(path, sizeof(path), "/%s", given);
	return plan_path(arena, path, "mount destination", error);
}

static int resolve_mount(struct plan *plan, struct plan_mount *mount, const Grpc__Mount *given,
			 const struct plan_mount_extras *extras, const char *label, struct error *error)
{
	struct arena *arena = plan->arena;
	struct words words = {0};
	int status;

	mount->target = resolve_target(given->destination, arena, error);
	mount->source = plan_text(arena, given->source, error);
	mount->type = plan_text(arena, given->type, error);
	if (!mount->target || !mount->source || !mount->type)
		return -error->number;
	status = resolve_options(mount, given, &words, arena, error);
	if (status == 0)
		status = resolve_idmap(plan, mount, extras, words.idmap, error);
	if (status == 0 && mount->kind == PLAN_MOUNT_PROC && plan->namespaces[PLAN_PID].mode == PLAN_NAMESPACE_JOIN)
		status = make_early(plan, mount, error);
	if (status == 0)
		status = add_label(mount, label, arena, error);
	if (status < 0)
		return error_wrap(error, "mount at \"%.128s\"", given->destination);
	if (mount->kind == PLAN_MOUNT_REMOUNT || mount->kind == PLAN_MOUNT_REMOUNT_BIND)
		return 0;
	if (strcmp(mount->target, "/") == 0)
		return error_set(error, EINVAL, "a mount can't take the place of the root");
	if (mount->kind == PLAN_MOUNT_BIND && *mount->source != '/')
		return error_set(error, EINVAL, "mount source \"%.128s\" must be an absolute path", mount->source);
	if (mount->kind == PLAN_MOUNT_FILESYSTEM && !*mount->type)
		return error_set(error, EINVAL, "mount at \"%.128s\" has no type", mount->target);
	return check_proc(mount, error);
}

int plan_mounts(struct plan *plan, const Grpc__Spec *spec, const struct plan_extras *extras, struct error *error)
{
	struct plan_mount *mounts = plan_array(plan->arena, spec->n_mounts, sizeof(*mounts), error);

	if (!mounts)
		return -ENOMEM;
	for (size_t i = 0; i < spec->n_mounts; i++) {
		struct plan_mount *mount = &mounts[i];
		const struct plan_mount_extras *more = extras && extras->mounts ? &extras->mounts[i] : NULL;
		int status = resolve_mount(plan, mount, spec->mounts[i], more, spec->linux->mountlabel, error);

		if (status < 0)
			return status;
		if (strcmp(mount->target, "/dev") != 0)
			continue;
		plan->dev_is_bind |= mount->kind == PLAN_MOUNT_BIND;
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
