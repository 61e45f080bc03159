/* Building the specification.
 *
 * The defaults are docker's: its capabilities, mounts, masked and read-only paths, device rules. Not its network
 * namespace: a VM has one container, and the guest's own network is that container's.
 *
 * Allocations are only checked in places where something would be written through a NULL; at the end arena.exhausted
 * tells whether all were made.
 */
#include "runtime/spec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"
#include "runtime/spec_bundle.h"
#include "runtime/text_list.h"

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

static bool same_variable(const char *a, const char *b)
{
	size_t length = strcspn(a, "=");

	return strncmp(a, b, length) == 0 && b[length] == '=';
}

/* Adds one where the list has none of that name, or puts it in that one's place. */
static void set_variable(Grpc__Process *process, const char *variable, bool replace)
{
	for (size_t i = 0; i < process->n_env; i++)
		if (same_variable(variable, process->env[i])) {
			if (replace)
				process->env[i] = (char *)variable;
			return;
		}
	process->env[process->n_env++] = (char *)variable;
}

/* The image's own, then what is missing, then the user's. A bundle's is what it is. */
static void build_environment(Grpc__Process *process, const struct spec_options *options, char *const *base,
			      struct arena *arena)
{
	size_t base_count = base ? text_list_count((const char *const *)base) : 0;
	const char *host = arena_printf(arena, "HOSTNAME=%s", options->name);
	const char *home = arena_printf(arena, "HOME=%s", options->user ? options->user->home : "");
	const char *term = arena_printf(arena, "TERM=%s", options->term ? options->term : "xterm");

	process->n_env = 0;
	process->env = arena_array(arena, base_count + ENVIRONMENT_DEFAULTS + options->environment_count + 1,
				   sizeof(char *));
	if (!process->env || arena->exhausted)
		return;
	for (char *const *variable = base; variable && *variable; variable++)
		process->env[process->n_env++] = *variable;
	if (!options->bundle) {
		set_variable(process, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", false);
		set_variable(process, host, false);
		/* Where passwd doesn't know the user, the agent finds a HOME. */
		if (options->user && *options->user->home)
			set_variable(process, home, false);
	}
	if (options->terminal)
		set_variable(process, term, false);
	for (size_t i = 0; i < options->environment_count; i++)
		set_variable(process, options->environment[i], true);
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

static void build_terminal(Grpc__Process *process, const struct spec_options *options, struct arena *arena)
{
	process->terminal = options->terminal;
	process->consolesize = NULL;
	if (!options->terminal || options->rows == 0)
		return;
	process->consolesize = SPEC_NEW(arena, Grpc__Box, grpc__box__init);
	if (!process->consolesize)
		return;
	process->consolesize->height = options->rows;
	process->consolesize->width = options->columns;
}

static Grpc__Process *build_process(const struct spec_options *options, struct arena *arena)
{
	Grpc__Process *process = SPEC_NEW(arena, Grpc__Process, grpc__process__init);

	if (!process)
		return NULL;
	build_terminal(process, options, arena);
	process->user = build_user(options->user, arena);
	process->n_args = text_list_count(options->command);
	process->args = texts(arena, options->command, process->n_args);
	process->cwd = (char *)options->directory;
	process->capabilities = build_capabilities(options->user, arena);
	build_environment(process, options, options->base, arena);
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
		mount->n_options = text_list_count(mounts[i].options);
		mount->options = texts(arena, mounts[i].options, mount->n_options);
		spec->mounts[spec->n_mounts++] = mount;
	}
}

/* Recursive, as what is mounted below the source on this machine belongs to it. */
static void add_binds(Grpc__Spec *spec, const struct spec_options *options, struct arena *arena)
{
	static const char *const writable[] = {"rbind", "rprivate", "rw"}, *const read_only[] = {"rbind", "rprivate", "ro"};
	Grpc__Mount **list = arena_array(arena, spec->n_mounts + options->mount_count + 1, sizeof(*list));

	if (!list)
		return;
	for (size_t i = 0; i < spec->n_mounts; i++)
		list[i] = spec->mounts[i];
	spec->mounts = list;
	for (size_t i = 0; i < options->mount_count; i++) {
		const struct spec_mount *from = &options->mounts[i];
		Grpc__Mount *mount = SPEC_NEW(arena, Grpc__Mount, grpc__mount__init);

		if (!mount)
			return;
		mount->destination = (char *)from->destination;
		mount->source = (char *)from->source;
		mount->type = (char *)"bind";
		mount->options = texts(arena, from->read_only ? read_only : writable, array_size(writable));
		mount->n_options = array_size(writable);
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

static int finish(Grpc__Spec *spec, const struct spec_options *options, struct arena *arena, struct error *error)
{
	spec->root->path = (char *)options->root;
	spec->root->readonly |= options->read_only;
	add_binds(spec, options, arena);
	return arena->exhausted ? error_errno(error, ENOMEM, "the container's description") : 0;
}

/* The bundle's own, and over it what the command line says. */
static int build_from_bundle(const struct spec_options *options, struct arena *arena, Grpc__Spec **made,
			     struct error *error)
{
	int status = spec_bundle_read(options->bundle, arena, made, NULL, error);
	Grpc__Process *process;

	if (status < 0)
		return status;
	process = (*made)->process;
	(*made)->linux->cgroupspath = arena_printf(arena, "/nacre/%s", options->name);
	if (!*(*made)->hostname)
		(*made)->hostname = (char *)options->name;
	if (*options->command) {
		process->n_args = text_list_count(options->command);
		process->args = texts(arena, options->command, process->n_args);
	}
	if (options->directory)
		process->cwd = (char *)options->directory;
	if (options->user)
		process->user = build_user(options->user, arena);
	build_terminal(process, options, arena);
	/* Its list may be empty, and isn't terminated by a field of its own then. */
	build_environment(process, options, process->n_env > 0 ? process->env : NULL, arena);
	return finish(*made, options, arena, error);
}

int spec_build(const struct spec_options *options, struct arena *arena, Grpc__Spec **made, struct error *error)
{
	Grpc__Spec *spec;

	if (options->bundle)
		return build_from_bundle(options, arena, made, error);
	spec = SPEC_NEW(arena, Grpc__Spec, grpc__spec__init);
	*made = spec;
	if (spec)
		spec->root = SPEC_NEW(arena, Grpc__Root, grpc__root__init);
	if (!spec || !spec->root)
		return error_errno(error, ENOMEM, "the container's description");
	spec->version = (char *)"1.0.2";
	spec->hostname = (char *)options->name;
	spec->process = build_process(options, arena);
	build_mounts(spec, arena);
	spec->linux = build_linux(options, arena);
	return finish(spec, options, arena, error);
}
