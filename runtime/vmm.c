/* QEMU's arguments.
 *
 * A microvm without PCI and ACPI: QEMU puts its virtio-mmio devices on the kernel's command line. The old timer,
 * interrupt controller and clock stay: without the timer a kernel that finds no kvmclock never calibrates its TSC, and
 * without the clock it waits a second for it. Memory is a shared memfd, because the vsock device (nacre-proxy, by
 * vhost-user) maps it.
 */
#include "runtime/vmm.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"

#define ARGUMENTS_MAX 64
#define STREAM_PORT "1027"

struct arguments {
	struct arena *arena;
	char **list;
	size_t count;
};

static void add(struct arguments *arguments, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct arguments *arguments, const char *format, ...)
{
	char text[4096];
	va_list values;

	va_start(values, format);
	vsnprintf(text, sizeof(text), format, values);
	va_end(values);
	arguments->list[arguments->count++] = arena_strdup(arguments->arena, text);
}

/* The path of a file in the run directory, for use in an option's value: its commas doubled. */
static const char *quoted(const struct arguments *arguments, const struct run_directory *directory, const char *name)
{
	char path[RUN_FILE_SIZE], text[2 * RUN_FILE_SIZE];
	size_t length = 0;

	run_directory_file(directory, name, path);
	for (const char *byte = path; *byte; byte++) {
		if (*byte == ',')
			text[length++] = ',';
		text[length++] = *byte;
	}
	text[length] = '\0';
	name = arena_strdup(arguments->arena, text);
	return name ? name : "";
}

static void add_machine(struct arguments *arguments, const struct vmm_options *options)
{
	add(arguments, "-machine");
	add(arguments, "microvm,acpi=off,pit=on,pic=on,rtc=on,isa-serial=off,memory-backend=ram");
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
	add(arguments, "-global");
	add(arguments, "virtio-mmio.force-legacy=false");
}

static void add_kernel(struct arguments *arguments, const struct vmm_options *options)
{
	add(arguments, "-kernel");
	add(arguments, "%s", options->kernel);
	add(arguments, "-initrd");
	add(arguments, "%s", options->image);
	add(arguments, "-append");
	/* QEMU's emulator translates a page of code again for each address at which it is mapped, and walks all of that
	 * for every byte which is then stored to the page: after some thousand processes at random addresses, clearing a
	 * page can take a minute. Fixed addresses keep it constant. An emulated guest is for trying things out. */
	add(arguments,
	    "console=hvc0 reboot=t panic=-1 nacre.exit=reboot agent.passfd_listener_port=" STREAM_PORT " %s%s",
	    options->verbose ? "loglevel=6 agent.log=info" : "quiet agent.log=warn",
	    options->accel == ACCEL_KVM ? "" : " norandmaps");
}

static void add_devices(struct arguments *arguments, const struct vmm_options *options)
{
	add(arguments, "-chardev");
	add(arguments, "socket,id=vsock,path=%s", quoted(arguments, options->directory, VMM_VHOST_SOCKET));
	add(arguments, "-device");
	add(arguments, "vhost-user-vsock-device,chardev=vsock");
	add(arguments, "-blockdev");
	add(arguments, "driver=file,node-name=root,read-only=on,filename=%s",
	    quoted(arguments, options->directory, options->disk));
	add(arguments, "-device");
	add(arguments, "virtio-blk-device,drive=root");
	add(arguments, "-chardev");
	add(arguments, "file,id=console,path=%s", quoted(arguments, options->directory, VMM_CONSOLE));
	add(arguments, "-device");
	add(arguments, "virtio-serial-device,max_ports=1");
	add(arguments, "-device");
	add(arguments, "virtconsole,chardev=console");
	add(arguments, "-device");
	add(arguments, "virtio-rng-device");
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
