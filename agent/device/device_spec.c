/* The spec names devices as the host has them, in linux.devices and in the rules of linux.resources; both become the guest's.
 * All rules are looked at once, with the host's numbers, as a guest's number may be another device's on the host. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "agent/device/device.h"

static const char *type_name(mode_t type)
{
	return type == S_IFBLK ? "b" : "c";
}

/* "u" is another word for "c". */
static bool is_type(const char *text, char type)
{
	return text[0] && text[1] == '\0' && (text[0] == 'u' ? 'c' : text[0]) == type;
}

int device_spec_grow(void *array, size_t count, struct arena *arena, struct error *error)
{
	void **from = *(void ***)array, **to = arena_array(arena, count + 1, sizeof(*to));

	if (!to)
		return error_errno(error, ENOMEM, "the spec");
	if (count > 0)
		memcpy(to, from, count * sizeof(*to));
	*(void ***)array = to;
	return 0;
}

static Grpc__LinuxDevice *find_entry(const Grpc__Spec *spec, const char *path)
{
	for (size_t i = 0; spec->linux && i < spec->linux->n_devices; i++)
		if (strcmp(spec->linux->devices[i]->path, path) == 0)
			return spec->linux->devices[i];
	return NULL;
}

/* A rule that allows a device what it is for. */
static int allow(Grpc__Linux *linux, const struct device_found *found, struct arena *arena, struct error *error)
{
	Grpc__LinuxDeviceCgroup *rule = arena_alloc(arena, sizeof(*rule));

	if (!linux->resources) {
		linux->resources = arena_alloc(arena, sizeof(*linux->resources));
		if (!linux->resources)
			return error_errno(error, ENOMEM, "the spec");
		grpc__linux_resources__init(linux->resources);
	}
	if (!rule || device_spec_grow(&linux->resources->devices, linux->resources->n_devices, arena, error) < 0)
		return error_errno(error, ENOMEM, "the spec");
	grpc__linux_device_cgroup__init(rule);
	rule->allow = true;
	rule->type = (char *)type_name(found->type);
	rule->major = major(found->number);
	rule->minor = minor(found->number);
	rule->access = (char *)(found->access ? found->access : "rwm");
	linux->resources->devices[linux->resources->n_devices++] = rule;
	return 0;
}

/* What one device changes: its entry, and the rules with the numbers that this had. */
struct change {
	const struct device_found *found;
	Grpc__LinuxDevice *entry;
	char type;
	int64_t major, minor;
};

/* The changes, with the host's numbers; *count says how many. */
static int plan_changes(const Grpc__Spec *spec, struct change *changes, size_t *count, const struct device_found *found,
			size_t found_count, struct error *error)
{
	for (size_t i = *count = 0; i < found_count; i++) {
		struct change *change = &changes[*count];

		if (!found[i].container_path)
			continue;
		change->found = &found[i];
		change->entry = find_entry(spec, found[i].container_path);
		if (!change->entry)
			return error_set(error, EIO, "Missing devices in OCI spec: there is no %.128s",
					 found[i].container_path);
		change->type = is_type(change->entry->type, 'c') ? 'c' : *change->entry->type;
		change->major = change->entry->major;
		change->minor = change->entry->minor;
		for (size_t j = 0; j < *count; j++) {
			if (changes[j].entry == change->entry)
				return error_set(error, EINVAL, "two devices for %.128s", found[i].container_path);
			if (changes[j].type == change->type && changes[j].major == change->major &&
			    changes[j].minor == change->minor)
				return error_set(error, EINVAL, "two devices for the host's %lld:%lld: %.128s and %.128s",
						 (long long)change->major, (long long)change->minor,
						 changes[j].entry->path, change->entry->path);
		}
		++*count;
	}
	return 0;
}

static void change_rule(Grpc__LinuxDeviceCgroup *rule, const struct change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!is_type(rule->type, changes[i].type) || rule->major != changes[i].major ||
		    rule->minor != changes[i].minor)
			continue;
		rule->type = (char *)type_name(changes[i].found->type);
		rule->major = major(changes[i].found->number);
		rule->minor = minor(changes[i].found->number);
		return;
	}
}

static void change_entry(const struct change *change)
{
	change->entry->path = (char *)change->found->path;
	change->entry->type = (char *)type_name(change->found->type);
	change->entry->major = major(change->found->number);
	change->entry->minor = minor(change->found->number);
}

int device_spec_check(const Grpc__Spec *spec, const struct device_found *found, size_t found_count, struct arena *arena,
		      struct error *error)
{
	struct change *changes = arena_array(arena, found_count + 1, sizeof(*changes));
	size_t count;

	if (!changes)
		return error_errno(error, ENOMEM, "the spec");
	return plan_changes(spec, changes, &count, found, found_count, error);
}

int device_spec_update(Grpc__Spec *spec, const struct device_found *found, size_t found_count, struct arena *arena,
		       struct error *error)
{
	struct change *changes = arena_array(arena, found_count + 1, sizeof(*changes));
	size_t count;
	int status;

	if (!changes)
		return error_errno(error, ENOMEM, "the spec");
	status = plan_changes(spec, changes, &count, found, found_count, error);
	if (status < 0 || count == 0)
		return status;
	for (size_t i = 0; spec->linux->resources && i < spec->linux->resources->n_devices; i++)
		change_rule(spec->linux->resources->devices[i], changes, count);
	for (size_t i = 0; i < count && status == 0; i++) {
		change_entry(&changes[i]);
		status = allow(spec->linux, changes[i].found, arena, error);
	}
	return status;
}

int device_spec_add(Grpc__Spec *spec, const struct device_found *found, Grpc__LinuxDevice **entry, struct arena *arena,
		    struct error *error)
{
	*entry = find_entry(spec, found->path);
	if (!spec->linux) {
		spec->linux = arena_alloc(arena, sizeof(*spec->linux));
		if (!spec->linux)
			return error_errno(error, ENOMEM, "the spec");
		grpc__linux__init(spec->linux);
	}
	if (!*entry) {
		*entry = arena_alloc(arena, sizeof(**entry));
		if (!*entry || device_spec_grow(&spec->linux->devices, spec->linux->n_devices, arena, error) < 0)
			return error_errno(error, ENOMEM, "the spec");
		grpc__linux_device__init(*entry);
		spec->linux->devices[spec->linux->n_devices++] = *entry;
	}
	change_entry(&(struct change){.found = found, .entry = *entry});
	return allow(spec->linux, found, arena, error);
}
