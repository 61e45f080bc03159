/* One function a kind of edits. */
#include "agent/device/cdi_edits.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "agent/device/device.h"
#include "lib/cleanup.h"

struct edit {
	Grpc__Spec *spec;
	struct arena *arena;
};

static Grpc__Process *process_of(struct edit *edit)
{
	if (!edit->spec->process) {
		edit->spec->process = arena_alloc(edit->arena, sizeof(*edit->spec->process));
		if (edit->spec->process)
			grpc__process__init(edit->spec->process);
	}
	return edit->spec->process;
}

static int add_variable(struct edit *edit, const struct json *item, struct error *error)
{
	Grpc__Process *process = process_of(edit);

	if (item->kind != JSON_TEXT || !strchr(item->text, '='))
		return error_set(error, EINVAL, "no NAME=VALUE");
	if (!process || device_spec_grow(&process->env, process->n_env, edit->arena, error) < 0)
		return error_errno(error, ENOMEM, "the spec");
	process->env[process->n_env++] = (char *)item->text;
	return 0;
}

/* The guest's own node says what the file doesn't. */
static int add_node(struct edit *edit, const struct json *item, struct error *error)
{
	const char *path = json_text(item, "path"), *guest_path = json_text(item, "hostPath");
	const char *type = json_text(item, "type");
	int64_t major_number = json_number(item, "major", -1), minor_number = json_number(item, "minor", -1);
	struct device_found found = {.path = path, .access = json_text(item, "permissions")};
	Grpc__LinuxDevice *entry;
	struct stat stat_of;
	int status;

	if (!path)
		return error_set(error, EINVAL, "no path");
	if (type && major_number >= 0 && minor_number >= 0) {
		found.type = *type == 'b' ? S_IFBLK : S_IFCHR;
		found.number = makedev((unsigned)major_number, (unsigned)minor_number);
	} else {
		guest_path = guest_path ? guest_path : path;
		if (stat(guest_path, &stat_of) < 0)
			return error_errno(error, errno, "look at %.128s", guest_path);
		if (!S_ISBLK(stat_of.st_mode) && !S_ISCHR(stat_of.st_mode))
			return error_set(error, EINVAL, "%.128s is no device", guest_path);
		found.type = stat_of.st_mode & S_IFMT;
		found.number = stat_of.st_rdev;
	}
	status = device_spec_add(edit->spec, &found, &entry, edit->arena, error);
	if (status < 0)
		return status;
	entry->filemode = (uint32_t)json_number(item, "fileMode", entry->filemode);
	entry->uid = (uint32_t)json_number(item, "uid", entry->uid);
	entry->gid = (uint32_t)json_number(item, "gid", entry->gid);
	return 0;
}

static int add_options(Grpc__Mount *mount, const struct json *options, struct arena *arena, struct error *error)
{
	for (const struct json *option = options ? options->first : NULL; option; option = option->next) {
		if (option->kind != JSON_TEXT)
			return error_set(error, EINVAL, "an option that is no text");
		if (device_spec_grow(&mount->options, mount->n_options, arena, error) < 0)
			return -error->number;
		mount->options[mount->n_options++] = (char *)option->text;
	}
	return 0;
}

/* Of the guest, like everything that such a file names: a bind mount where it doesn't say otherwise. */
static int add_mount(struct edit *edit, const struct json *item, struct error *error)
{
	static const struct json bind = {.kind = JSON_TEXT, .text = "bind"};
	static const struct json standard = {.kind = JSON_LIST, .first = &bind};
	const char *source = json_text(item, "hostPath"), *target = json_text(item, "containerPath");
	const char *type = json_text(item, "type");
	const struct json *options = json_find(item, "options");
	Grpc__Mount *mount = arena_alloc(edit->arena, sizeof(*mount));

	if (!source || !target)
		return error_set(error, EINVAL, "no hostPath, or no containerPath");
	if (!mount || device_spec_grow(&edit->spec->mounts, edit->spec->n_mounts, edit->arena, error) < 0)
		return error_errno(error, ENOMEM, "the spec");
	grpc__mount__init(mount);
	mount->source = (char *)source;
	mount->destination = (char *)target;
	mount->type = (char *)(type ? type : "bind");
	edit->spec->mounts[edit->spec->n_mounts++] = mount;
	return add_options(mount, options ? options : &standard, edit->arena, error);
}

static int add_group(struct edit *edit, const struct json *item, struct error *error)
{
	Grpc__Process *process = process_of(edit);
	Grpc__User *user = process ? process->user : NULL;
	uint32_t *groups;

	if (item->kind != JSON_NUMBER || item->number < 0 || item->number > UINT32_MAX)
		return error_set(error, EINVAL, "no number of a group");
	if (process && !user) {
		user = process->user = arena_alloc(edit->arena, sizeof(*user));
		if (user)
			grpc__user__init(user);
	}
	groups = user ? arena_array(edit->arena, user->n_additionalgids + 1, sizeof(*groups)) : NULL;
	if (!groups)
		return error_errno(error, ENOMEM, "the spec");
	if (user->n_additionalgids > 0)
		memcpy(groups, user->additionalgids, user->n_additionalgids * sizeof(*groups));
	groups[user->n_additionalgids++] = (uint32_t)item->number;
	user->additionalgids = groups;
	return 0;
}

static int copy_texts(char ***texts, size_t *count, const struct json *list, struct arena *arena, struct error *error)
{
	for (const struct json *item = list ? list->first : NULL; item; item = item->next) {
		if (item->kind != JSON_TEXT)
			return error_set(error, EINVAL, "an argument or a variable that is no text");
		if (device_spec_grow(texts, *count, arena, error) < 0)
			return -error->number;
		(*texts)[(*count)++] = (char *)item->text;
	}
	return 0;
}

static int add_hook(struct edit *edit, const struct json *item, struct error *error)
{
	const char *name = json_text(item, "hookName"), *path = json_text(item, "path");
	Grpc__Hook *hook = arena_alloc(edit->arena, sizeof(*hook));
	Grpc__Hooks *hooks = edit->spec->hooks ? edit->spec->hooks : arena_alloc(edit->arena, sizeof(*hooks));
	int status;

	if (!hook || !hooks)
		return error_errno(error, ENOMEM, "the spec");
	if (!edit->spec->hooks)
		grpc__hooks__init(hooks);
	edit->spec->hooks = hooks;
	grpc__hook__init(hook);
	const struct {
		const char *name;
		Grpc__Hook ***list;
		size_t *count;
	} lists[] = {
		{"prestart", &hooks->prestart, &hooks->n_prestart},
		{"createRuntime", &hooks->createruntime, &hooks->n_createruntime},
		{"createContainer", &hooks->createcontainer, &hooks->n_createcontainer},
		{"startContainer", &hooks->startcontainer, &hooks->n_startcontainer},
		{"poststart", &hooks->poststart, &hooks->n_poststart},
		{"poststop", &hooks->poststop, &hooks->n_poststop},
	};
	size_t kind = 0;

	while (name && kind < array_size(lists) && strcmp(lists[kind].name, name) != 0)
		kind++;
	if (!name || !path || kind == array_size(lists))
		return error_set(error, EINVAL, "no path, or no hookName that is known");
	hook->path = (char *)path;
	hook->timeout = json_number(item, "timeout", 0);
	status = copy_texts(&hook->args, &hook->n_args, json_find(item, "args"), edit->arena, error);
	if (status == 0)
		status = copy_texts(&hook->env, &hook->n_env, json_find(item, "env"), edit->arena, error);
	if (status == 0)
		status = device_spec_grow(lists[kind].list, *lists[kind].count, edit->arena, error);
	if (status == 0)
		(*lists[kind].list)[(*lists[kind].count)++] = hook;
	return status;
}

static int refuse(struct edit *edit, const struct json *item, struct error *error)
{
	(void)edit;
	(void)item;
	return error_set(error, EOPNOTSUPP, "this agent can't do that yet");
}

static const struct {
	const char *name;
	int (*add)(struct edit *edit, const struct json *item, struct error *error);
} kinds[] = {
	{"env", add_variable},	      {"deviceNodes", add_node}, {"mounts", add_mount},
	{"additionalGids", add_group}, {"hooks", add_hook},	 {"netDevices", refuse},
	{"intelRdt", refuse},
};

int cdi_edit(Grpc__Spec *spec, const struct json *edits, struct arena *arena, struct error *error)
{
	struct edit edit = {spec, arena};

	for (size_t i = 0; i < array_size(kinds); i++) {
		const struct json *list = json_find(edits, kinds[i].name);

		for (const struct json *item = list ? list->first : NULL; item; item = item->next)
			if (kinds[i].add(&edit, item, error) < 0)
				return error_wrap(error, "CDI: %s", kinds[i].name);
	}
	return 0;
}
