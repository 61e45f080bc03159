/* The job behind CreateSandbox. It is a process of its own, so it can make namespaces by entering them. */
#include "agent/sandbox_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/online.h"
#include "agent/sandbox.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/path.h"
#include "lib/run_program.h"

#define SANDBOX_DIRECTORY KATA_DIRECTORY "/sandbox"
#define RESOLV_CONF SANDBOX_DIRECTORY "/resolv.conf"
#define GUEST_RESOLV_CONF "/etc/resolv.conf"

/* Planning ----------------------------------------------------------------------------------------------------- */

static int plan_modules(struct sandbox_setup *setup, struct arena *arena, const Grpc__CreateSandboxRequest *request,
			struct error *error)
{
	setup->modules = arena_array(arena, request->n_kernel_modules, sizeof(*setup->modules));
	if (!setup->modules)
		return error_errno(error, ENOMEM, "plan the sandbox");
	for (size_t i = 0; i < request->n_kernel_modules; i++) {
		const Grpc__KernelModule *module = request->kernel_modules[i];
		char **arguments = arena_array(arena, module->n_parameters + 4, sizeof(*arguments));
		size_t count = 0;

		if (*module->name == '\0' || *module->name == '-')
			return error_set(error, EIO, "'%.80s' is no name of a kernel module", module->name);
		if (!arguments)
			return error_errno(error, ENOMEM, "plan the sandbox");
		arguments[count++] = arena_strdup(arena, MODPROBE);
		arguments[count++] = arena_strdup(arena, "-v");
		arguments[count++] = arena_strdup(arena, module->name);
		for (size_t j = 0; j < module->n_parameters; j++)
			arguments[count++] = arena_strdup(arena, module->parameters[j]);
		setup->modules[setup->module_count++].arguments = arguments;
	}
	return 0;
}

/* Entries are whole lines of the host's file; they are trimmed, and may not smuggle in further ones. */
static int plan_name_servers(struct sandbox_setup *setup, struct arena *arena,
			     const Grpc__CreateSandboxRequest *request, struct error *error)
{
	const char *text = "";

	for (size_t i = 0; i < request->n_dns && text; i++) {
		const char *line = request->dns[i] + strspn(request->dns[i], " \t");
		size_t length = strcspn(line, "\r\n");

		while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t'))
			length--;
		text = arena_printf(arena, "%s%.*s\n", text, (int)length, line);
	}
	if (!text)
		return error_errno(error, ENOMEM, "plan the sandbox");
	setup->name_servers = *text ? text : NULL;
	return 0;
}

int sandbox_setup_plan(struct sandbox_setup *setup, struct arena *arena, struct storage_uses *uses,
		       const Grpc__CreateSandboxRequest *request, uint64_t hotplug_timeout, struct error *error)
{
	int status;

	*setup = (struct sandbox_setup){.hostname = arena_strdup(arena, request->hostname)};
	if (!setup->hostname)
		return error_errno(error, ENOMEM, "plan the sandbox");
	status = plan_modules(setup, arena, request, error);
	if (status == 0)
		status = plan_name_servers(setup, arena, request, error);
	if (status == 0)
		status = storage_list_plan(&setup->storages, arena, uses, "", request->storages, request->n_storages,
					   hotplug_timeout, error);
	return status;
}

/* The job ------------------------------------------------------------------------------------------------------ */

static int make_directories(struct error *error)
{
	static const char *const paths[] = {KATA_DIRECTORY, SANDBOX_DIRECTORY, STATE_DIRECTORY};

	for (size_t i = 0; i < array_size(paths); i++)
		if (mkdir(paths[i], i == 2 ? 0700 : 0755) < 0 && errno != EEXIST)
			return error_errno(error, errno, "make %s", paths[i]);
	return 0;
}

static int load_module(char **arguments, struct error *error)
{
	int status = run_program(arguments, MODPROBE_TIMEOUT, error);

	return status < 0 ? error_wrap(error, "load the kernel module %s", arguments[2]) : 0;
}

/* Behind the guest's own resolv.conf, which may be on a read-only root; where there is none, nobody would read it. */
static int set_name_servers(const char *text, struct error *error)
{
	cleanup_close int fd = -1;
	struct stat status;
	int written;

	if (!text || stat(GUEST_RESOLV_CONF, &status) < 0)
		return 0;
	fd = open(RESOLV_CONF, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return error_errno(error, errno, "make %s", RESOLV_CONF);
	written = fd_write_all(fd, text, strlen(text));
	if (written < 0)
		return error_errno(error, -written, "write %s", RESOLV_CONF);
	if (mount(RESOLV_CONF, GUEST_RESOLV_CONF, NULL, MS_BIND, NULL) < 0)
		return error_errno(error, errno, "bind %s to " GUEST_RESOLV_CONF, RESOLV_CONF);
	return 0;
}

/* Only our own file is taken away from its place: a guest may have had another one bound there. */
static void unset_name_servers(void)
{
	struct stat bound, ours;

	if (stat(RESOLV_CONF, &ours) < 0)
		return;
	if (stat(GUEST_RESOLV_CONF, &bound) == 0 && bound.st_dev == ours.st_dev && bound.st_ino == ours.st_ino)
		umount2(GUEST_RESOLV_CONF, MNT_DETACH);
	unlink(RESOLV_CONF);
}

static int make_namespaces(const char *hostname, struct job_result *result)
{
	static const char *const paths[] = {"/proc/self/ns/ipc", "/proc/self/ns/uts"};

	if (unshare(CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		return error_errno(&result->error, errno, "make the sandbox's namespaces");
	if (*hostname && sethostname(hostname, strlen(hostname)) < 0)
		return error_errno(&result->error, errno, "set the host name '%.80s'", hostname);
	for (size_t i = 0; i < array_size(paths); i++) {
		result->fds[i] = open(paths[i], O_RDONLY | O_CLOEXEC);
		if (result->fds[i] < 0)
			return error_errno(&result->error, errno, "open %s", paths[i]);
		result->fd_count++;
	}
	return 0;
}

int sandbox_setup_run(const void *argument, struct job_result *result)
{
	const struct sandbox_setup *setup = argument;
	int status = make_directories(&result->error);

	if (setup->own_machine)
		online_memory_as_it_comes();
	for (size_t i = 0; i < setup->module_count && status == 0; i++)
		status = load_module(setup->modules[i].arguments, &result->error);
	if (status == 0)
		status = set_name_servers(setup->name_servers, &result->error);
	if (status == 0)
		status = make_namespaces(setup->hostname, result);
	/* Last, as a failed list undoes itself. */
	if (status == 0)
		status = storage_list_mount(&setup->storages, result);
	if (status < 0)
		unset_name_servers();
	return status;
}

int sandbox_setup_undo(const void *argument, struct job_result *result)
{
	const struct sandbox_undo *undo = argument;
	int status;

	unset_name_servers();
	status = storage_list_unmount(&undo->kept, &result->error);
	return status < 0 ? status : storage_list_unmount(&undo->storages, &result->error);
}
