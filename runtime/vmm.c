/* QEMU's arguments. Memory is a shared memfd, because the vsock device (nacre-proxy, by vhost-user) maps it. */
#include "runtime/vmm.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"
#include "runtime/console_log.h"

#define ARGUMENTS_MAX 256
#define FORWARDS_SIZE (PUBLISH_MOST * 64)
#define STREAM_PORT "1027"
#define QUOTED_SIZE (2 * PATH_MAX)

struct arguments {
	struct arena *arena;
	char **list;
	size_t count;
};

static void add(struct arguments *arguments, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct arguments *arguments, const char *format, ...)
{
	char text[QUOTED_SIZE + 256];
	va_list values;

	va_start(values, format);
	vsnprintf(text, sizeof(text), format, values);
	va_end(values);
	arguments->list[arguments->count++] = arena_strdup(arguments->arena, text);
}

/* A path of less than PATH_MAX bytes, for use in an option's value: its commas doubled. */
static const char *quoted_path(const struct arguments *arguments, const char *path)
{
	char text[QUOTED_SIZE];
	const char *copy;
	size_t length = 0;

	for (const char *byte = path; *byte && length < sizeof(text) - 2; byte++) {
		if (*byte == ',')
			text[length++] = ',';
		text[length++] = *byte;
	}
	text[length] = '\0';
	copy = arena_strdup(arguments->arena, text);
	return copy ? copy : "";
}

/* The same for a file in the run directory. */
static const char *quoted(const struct arguments *arguments, const struct run_directory *directory, const char *name)
{
	char path[RUN_FILE_SIZE];

	return quoted_path(arguments, run_directory_file(directory, name, path));
}

static void add_machine(struct arguments *arguments, const struct vmm_options *options)
{
	add(arguments, "-machine");
	add(arguments, "%s,memory-backend=ram", options->type->options);
	add(arguments, "-accel");
	add(arguments, "%s", accel_name(options->accel));
	add(arguments, "-cpu");
	add(arguments, "%s", options->accel == ACCEL_KVM ? "host" : "max");
	add(arguments, "-smp");
	/* QEMU 7.2 emulates a machine that can only ever have one CPU without memory barriers. But devices outside of it, as
	 * our proxy is, run beside that CPU, and either may then miss the other's notification. Where a second CPU is
	 * possible, if never there, barriers are kept (docs/design.md, the facts). */
	if (options->accel == ACCEL_TCG && options->cpus == 1)
		add(arguments, "1,maxcpus=2");
	else
		add(arguments, "%u", options->cpus);
	add(arguments, "-m");
	add(arguments, "%lluM", (unsigned long long)(options->memory >> 20));
	add(arguments, "-object");
	add(arguments, "memory-backend-memfd,id=ram,size=%lluM,share=on", (unsigned long long)(options->memory >> 20));
	if (options->type->global) {
		add(arguments, "-global");
		add(arguments, "%s", options->type->global);
	}
}

/* Where the kernel finds its root; nothing for an initramfs. */
static const char *root_words(const struct arguments *arguments, const struct image *image)
{
	const char *words;

	if (!image->type)
		return "";
	if (*image->verity)
		words = arena_printf(arguments->arena,
				     " root=/dev/dm-0 ro rootfstype=%s init=/init dm-mod.create=\"%s\"", image->type,
				     image->verity);
	else
		words = arena_printf(arguments->arena, " root=/dev/vda ro rootfstype=%s init=/init", image->type);
	return words ? words : "";
}

static void add_kernel(struct arguments *arguments, const struct vmm_options *options)
{
	add(arguments, "-kernel");
	add(arguments, "%s", options->kernel);
	if (!options->image->type) {
		add(arguments, "-initrd");
		add(arguments, "%s", options->image->path);
	}
	add(arguments, "-append");
	/* QEMU's emulator translates a page of code again for each address at which it is mapped, and walks all of that
	 * for every byte which is then stored to the page: after some thousand processes at random addresses, clearing a
	 * page can take a minute. Fixed addresses keep it constant. An emulated guest is for trying things out. */
	add(arguments,
	    "console=hvc0 %s agent.passfd_listener_port=" STREAM_PORT " %s%s%s%s", options->type->append,
	    options->verbose ? "loglevel=6 agent.log=info" : "quiet agent.log=warn",
	    options->debug_console ? " agent.debug_console agent.debug_console_vport=" VMM_DEBUG_CONSOLE_PORT : "",
	    options->accel == ACCEL_KVM ? "" : " norandmaps", root_words(arguments, options->image));
}

static void add_backend(struct arguments *arguments, const char *node, const char *quoted_file)
{
	add(arguments, "-blockdev");
	add(arguments, "driver=file,node-name=%s,read-only=on,filename=%s", node, quoted_file);
	add(arguments, "-device");
}

/* The guest's own root comes first, so that it is /dev/vda. */
static void add_disks(struct arguments *arguments, const struct vmm_options *options)
{
	const struct machine_type *type = options->type;

	if (options->image->type) {
		add_backend(arguments, "image", quoted_path(arguments, options->image->path));
		add(arguments, "%s,drive=image", type->block);
	}
	for (unsigned i = 0; i < options->disk_count; i++) {
		char node[24], bus[24] = "";

		if (type->pci) {
			add(arguments, "-device");
			add(arguments, "pcie-root-port,id=port%u,addr=%#x,chassis=%u", i, machine_type_slot(i), i + 1);
			snprintf(bus, sizeof(bus), ",bus=port%u", i);
		}
		snprintf(node, sizeof(node), "disk%u", i);
		add_backend(arguments, node, quoted(arguments, options->directory, options->disks[i]));
		add(arguments, "%s,drive=%s%s", type->block, node, bus);
	}
}

static void add_share(struct arguments *arguments, const struct vmm_options *options)
{
	if (!options->share)
		return;
	add(arguments, "-chardev");
	add(arguments, "socket,id=share,path=%s", quoted(arguments, options->directory, options->share));
	add(arguments, "-device");
	add(arguments, "%s,chardev=share,tag=%s", options->type->filesystem, options->share_tag);
}

/* QEMU's own network stack in user space: the guest is NETWORK_GUEST in it. */
static void add_network(struct arguments *arguments, const struct vmm_options *options)
{
	char forwards[FORWARDS_SIZE] = "";
	size_t used = 0;

	if (options->network == NETWORK_NONE)
		return;
	for (size_t i = 0; i < options->published_count && used < sizeof(forwards); i++) {
		const struct publish *publish = &options->published[i];

		used += (size_t)snprintf(forwards + used, sizeof(forwards) - used, ",hostfwd=%s:%s:%u-:%u",
					 publish->udp ? "udp" : "tcp", publish->address, publish->host, publish->guest);
	}
	add(arguments, "-netdev");
	add(arguments, "user,id=net,ipv6=off,restrict=%s%s", options->network == NETWORK_USER ? "off" : "on", forwards);
	add(arguments, "-device");
	add(arguments, "%s,netdev=net,mac=" NETWORK_MAC, options->type->network);
}

unsigned vmm_devices(const struct vmm_options *options)
{
	return options->disk_count + (options->share ? 1 : 0) + (options->network != NETWORK_NONE ? 1 : 0);
}

static void add_devices(struct arguments *arguments, const struct vmm_options *options)
{
	add(arguments, "-chardev");
	add(arguments, "socket,id=vsock,path=%s", quoted(arguments, options->directory, VMM_VHOST_SOCKET));
	add(arguments, "-device");
	add(arguments, "%s,chardev=vsock", options->type->vsock);
	add_disks(arguments, options);
	add_share(arguments, options);
	add_network(arguments, options);
	add(arguments, "-chardev");
	add(arguments, "file,id=console,append=on,path=%s", quoted(arguments, options->directory, CONSOLE_LOG));
	add(arguments, "-device");
	add(arguments, "%s,max_ports=1", options->type->serial);
	add(arguments, "-device");
	add(arguments, "virtconsole,chardev=console");
	add(arguments, "-device");
	add(arguments, "%s", options->type->random);
	add(arguments, "-qmp");
	add(arguments, "unix:%s,server=on,wait=off", quoted(arguments, options->directory, "qmp.sock"));
}

char **vmm_arguments(const struct vmm_options *options, struct arena *arena)
{
	struct arguments arguments = {.arena = arena, .list = arena_array(arena, ARGUMENTS_MAX, sizeof(char *))};

	if (!arguments.list)
		return NULL;
	add(&arguments, "%s", options->program);
	add(&arguments, "-name");
	add(&arguments, "nacre-%s", options->directory->name);
	add(&arguments, "-nodefaults");
	add(&arguments, "-no-user-config");
	add(&arguments, "-no-reboot");
	add(&arguments, "-display");
	add(&arguments, "none");
	add_machine(&arguments, options);
	add_kernel(&arguments, options);
	add_devices(&arguments, options);
	return arena->exhausted ? NULL : arguments.list;
}
