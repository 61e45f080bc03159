/* Building the specification.
 *
 * The defaults are docker's: its capabilities, mounts, masked and read-only paths, device rules. Not its network
 * namespace: a VM has one container, and the guest's own network is that container's.
 *
 * Allocations are only checked in places where something would be written through a NULL; at the end arena.exhausted
 * tells whether all were made.
 */
#include "runtime/spec.h"

#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"

#define ENVIRONMENT_DEFAULTS 4
#define DEVICE_ANY (-1)

static const char *const capabilities[] = {
	"CAP_CHOWN",   "CAP_DAC_OVERRIDE",     "CAP_FSETID",	  "CAP_FOWNER", "CAP_MKNOD",
	"CAP_NET_RAW", "CAP_SETGID",	       "CAP_SETUID",	  "CAP_SETFCAP", "CAP_SETPCAP",
	"CAP_KILL",    "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_AUDIT_WRITE",
};

static const char *const namespaces[] = {"mount", "uts", "ipc", "pid", "cgroup"};

static const char *const masked_paths[] = {
	"/proc/acpi",	    "/proc/asound",	   "/proc/interrupts",	  "/proc/kcore", "/proc/keys",
	"/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",	  "/proc/timer_list", "/proc/timer_stats",
	"/sys/devices/virtual/powercap", "/sys/firmware",
};

static const char *const readonly_paths[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

static const struct {
	const char *destination, *type, *source, *options[7];
} mounts[] = {
	{"/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}},
	{"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}},
	{"/dev/pts", "devpts", "devpts", {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
	{"/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
	{"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}},
	{"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}},
	{"/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"}},
};

/* No device at all; then any node may be made, and these used. */
static const struct device_rule {
	bool allow;
	const char *type, *access;
	int major, minor;
} device_rules[] = {
	{false, "a", "rwm", DEVICE_ANY, DEVICE_ANY},
	{true, "c", "m", DEVICE_ANY, DEVICE_ANY},
	{true, "b", "m", DEVICE_ANY, DEVICE_ANY},
	{true, "c", "rwm", 1, 3},	     /* null */
	{true, "c", "rwm", 1, 5},	     /* zero */
	{true, "c", "rwm", 1, 7},	     /* full */
	{true, "c", "rwm", 1, 8},	     /* random */
	{true, "c", "rwm", 1, 9},	     /* urandom */
	{true, "c", "rwm", 5, 0},	     /* tty */
	{true, "c", "rwm", 5, 1},	     /* console */
	{true, "c", "rwm", 5, 2},	     /* ptmx */
	{true, "c", "rwm", 136, DEVICE_ANY}, /* pts */
};

/* A list of texts that stay where they are. */
static char **texts(struct arena *arena, const char *const *from, size_t count)
{
	char **list = arena_array(arena, count + 1, sizeof(char *));

	for (size_t i = 0; list && i < count; i++)
		list[i] = (char *)from[i];
	return list;
}

static size_t count_texts(const char *const *list)
{
	size_t count = 0;

	while (list[count])
		count++;
	return count;
}

static bool same_variable(const char *a, const char *b)
{
	size_t length = strcspn(a, "=");

	return strncmp(a, b, length) == 0 && b[length] == '=';
}

static void build_environment(Grpc__Process *process, const struct spec_options *options, struct arena *arena)
{
	const char *defaults[ENVIRONMENT_DEFAULTS];
	size_t count = 0, default_count = 0;
	char **list = arena_array(arena, ENVIRONMENT_DEFAULTS + options->environment_count + 1, sizeof(char *));

	defaults[default_count++] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	defaults[default_count++] = arena_printf(arena, "HOSTNAME=%s", options->name);
	/* Where passwd doesn't know the user, the agent finds a HOME. */
	if (*options->user->home)
		defaults[default_count++] = arena_printf(arena, "HOME=%s", options->user->home);
	if (options->terminal)
		defaults[default_count++] = arena_printf(arena, "TERM=%s", options->term ? options->term : "xterm");
	if (!list || arena->exhausted)
		return;
	for (size_t i = 0; i < default_count; i++) {
		bool replaced = false;

		for (size_t j = 0; j < options->environment_count && !replaced; j++)
			replaced = same_variable(defaults[i], options->environment[j]);
		if (!replaced)
			list[count++] = (char *)defaults[i];
	}
	for (size_t i = 0; i < options->environment_count; i++)
		list[count++] = options->environment[i];
	process->env = list;
	process->n_env = count;
}

/* Only root has them from the start; others may get them by set-user-ID programs, as the bounding set says. */
static Grpc__LinuxCapabilities *build_capabilities(const struct user *user, struct arena *arena)
{
	Grpc__LinuxCapabilities *sets = SPEC_NEW(arena, Grpc__LinuxCapabilities, grpc__linux_capabilities__init);

	if (!sets)
		return NULL;
	sets->bounding = texts(arena, capabilities, array_size(capabilities));
	sets->n_bounding = array_size(capabilities);
	if (user->uid != 0)
		return sets;
	sets->effective = sets->permitted = sets->bounding;
	sets->n_effective = sets->n_permitted = sets->n_bounding;
	return sets;
}

static Grpc__User *build_user(const struct user *user, struct arena *arena)
{
	Grpc__User *message = SPEC_NEW(arena, Grpc__User, grpc__user__init);

	if (!message)
		return NULL;
	message->uid = user->uid;
	message->gid = user->gid;
	message->additionalgids = (uint32_t *)user->groups;
	message->n_additionalgids = user->group_count;
	return message;
}

static Grpc__Process *build_process(const struct spec_options *options, struct arena *arena)
{
	Grpc__Process *process = SPEC_NEW(arena, Grpc__Process, grpc__process__init);

	if (!process)
		return NULL;
	process->terminal = options->terminal;
	if (options->terminal && options->rows > 0) {
		process->consolesize = SPEC_NEW(arena, Grpc__Box, grpc__box__init);
		if (!process->consolesize)
			return NULL;
		process->consolesize->height = options->rows;
		process->consolesize->width = options->columns;
	}
	process->user = build_user(options->user, arena);
	process->n_args = count_texts(options->command);
	process->args = texts(arena, options->command, process->n_args);
	process->cwd = (char *)options->directory;
	process->capabilities = build_capabilities(options->user, arena);
	build_environment(process, options, arena);
	return process;
}

static void build_mounts(Grpc__Spec *spec, struct arena *arena)
{
	spec->mounts = arena_array(arena, array_size(mounts), sizeof(*spec->mounts));
	for (size_t i = 0; spec->mounts && i < array_size(mounts); i++) {
		Grpc__Mount *mount = SPEC_NEW(arena, Grpc__Mount, grpc__mount__init);

		if (!mount)
			return;
		mount->destination = (char *)mounts[i].destination;
		mount->type = (char *)mounts[i].type;
		mount->source = (char *)mounts[i].source;
		mount->n_options = count_texts(mounts[i].options);
		mount->options = texts(arena, mounts[i].options, mount->n_options);
		spec->mounts[spec->n_mounts++] = mount;
	}
}

static Grpc__LinuxDeviceCgroup *build_rule(const struct device_rule *from, struct arena *arena)
{
	Grpc__LinuxDeviceCgroup *rule = SPEC_NEW(arena, Grpc__LinuxDeviceCgroup, grpc__linux_device_cgroup__init);

	if (!rule)
		return NULL;
	rule->allow = from->allow;
	rule->type = (char *)from->type;
	rule->access = (char *)from->access;
	rule->major = from->major;
	rule->minor = from->minor;
	return rule;
}

static Grpc__LinuxResources *build_resources(struct arena *arena)
{
	Grpc__LinuxResources *resources = SPEC_NEW(arena, Grpc__LinuxResources, grpc__linux_resources__init);

	if (!resources)
		return NULL;
	resources->devices = arena_array(arena, array_size(device_rules), sizeof(*resources->devices));
	for (size_t i = 0; resources->devices && i < array_size(device_rules); i++)
		resources->devices[resources->n_devices++] = build_rule(&device_rules[i], arena);
	return resources;
}

static Grpc__Linux *build_linux(const struct spec_options *options, struct arena *arena)
{
	Grpc__Linux *part = SPEC_NEW(arena, Grpc__Linux, grpc__linux__init);

	if (!part)
		return NULL;
	part->cgroupspath = arena_printf(arena, "/nacre/%s", options->name);
	part->namespaces = arena_array(arena, array_size(namespaces), sizeof(*part->namespaces));
	for (size_t i = 0; part->namespaces && i < array_size(namespaces); i++) {
		Grpc__LinuxNamespace *kind = SPEC_NEW(arena, Grpc__LinuxNamespace, grpc__linux_namespace__init);

		if (!kind)
			return NULL;
		kind->type = (char *)namespaces[i];
		part->namespaces[part->n_namespaces++] = kind;
	}
	part->resources = build_resources(arena);
	part->seccomp = spec_seccomp(arena);
	part->maskedpaths = texts(arena, masked_paths, array_size(masked_paths));
	part->n_maskedpaths = array_size(masked_paths);
	part->readonlypaths = texts(arena, readonly_paths, array_size(readonly_paths));
	part->n_readonlypaths = array_size(readonly_paths);
	return part;
}

Grpc__Spec *spec_build(const struct spec_options *options, struct arena *arena)
{
	Grpc__Spec *spec = SPEC_NEW(arena, Grpc__Spec, grpc__spec__init);

	if (!spec)
		return NULL;
	spec->root = SPEC_NEW(arena, Grpc__Root, grpc__root__init);
	if (!spec->root)
		return NULL;
	spec->version = (char *)"1.0.2";
	spec->root->path = (char *)options->root;
	spec->root->readonly = options->read_only;
	spec->hostname = (char *)options->name;
	spec->process = build_process(options, arena);
	build_mounts(spec, arena);
	spec->linux = build_linux(options, arena);
	return arena->exhausted ? NULL : spec;
}
