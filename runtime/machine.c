/* Starting a VM, and noticing its end. */
#include "runtime/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define FIXED_ARGUMENTS 8
#define ARENA_LIMIT (256u << 10)
#define LINE_SIZE 160

static void proxy_ended(struct loop_source *source, uint32_t events)
{
	struct machine *machine = container_of(source, struct machine, source);

	(void)events;
	loop_remove(machine->loop, source);
	machine->status = child_reap(&machine->proxy);
	machine->ended = true;
}

/* nacre-proxy's arguments, and the VMM's behind them. */
static char **proxy_arguments(const char *proxy, const struct vmm_options *options, struct arena *arena)
{
	char path[RUN_FILE_SIZE], **vmm = vmm_arguments(options, arena), **list;
	size_t count = 0, fixed = 0;

	while (vmm && vmm[count])
		count++;
	list = arena_array(arena, FIXED_ARGUMENTS + count + 1, sizeof(char *));
	if (!vmm || !list)
		return NULL;
	list[fixed++] = arena_strdup(arena, proxy);
	list[fixed++] = (char *)"--dir";
	list[fixed++] = arena_strdup(arena, options->directory->path);
	list[fixed++] = (char *)"--carrier";
	list[fixed++] = arena_printf(arena, "vhost-user:%s,cid=%d",
				     run_directory_file(options->directory, VMM_VHOST_SOCKET, path), VMM_GUEST_CID);
	list[fixed++] = (char *)"--";
	for (size_t i = 0; i < count; i++)
		list[fixed + i] = vmm[i];
	return arena->exhausted ? NULL : list;
}

static int spawn(struct machine *machine, const char *proxy, const struct vmm_options *options, struct error *error)
{
	int flags = O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC;
	cleanup_close int log = openat(options->directory->fd, MACHINE_LOG, flags, 0600);
	struct arena arena;
	char **arguments;
	int status;

	if (log < 0)
		return error_errno(error, errno, "make %s", MACHINE_LOG);
	arena_init(&arena, ARENA_FORK, ARENA_LIMIT);
	arguments = proxy_arguments(proxy, options, &arena);
	status = arguments ? child_start(&machine->proxy, arguments, log, error)
			   : error_errno(error, ENOMEM, "the VM's command line");
	arena_free(&arena);
	return status;
}

int machine_start(struct machine *machine, struct loop *loop, const char *proxy, const struct vmm_options *options,
		  struct error *error)
{
	char number[32];
	int status;

	*machine = (struct machine){.loop = loop, .directory = options->directory};
	machine->source.fd = -1;
	status = console_log_open(&machine->console, loop, options->directory->fd, error);
	if (status == 0)
		status = spawn(machine, proxy, options, error);
	if (status < 0) {
		console_log_close(&machine->console);
		return error_wrap(error, "start the VM");
	}
	snprintf(number, sizeof(number), "%d\n", (int)machine->proxy.pid);
	status = run_directory_write(options->directory, "proxy.pid", number, error);
	if (status == 0)
		status = loop_add(loop, &machine->source, machine->proxy.pidfd, EPOLLIN, proxy_ended);
	if (status < 0)
		machine_stop(machine);
	return status;
}

bool machine_console_used(const struct machine *machine)
{
	struct stat stat;

	return fstatat(machine->directory->fd, CONSOLE_LOG, &stat, AT_SYMLINK_NOFOLLOW) == 0 && stat.st_size > 0;
}

void machine_console_line(const struct machine *machine, char *text, size_t size)
{
	run_directory_last_line(machine->directory, CONSOLE_LOG, "Kernel panic", text, size);
	if (!*text)
		run_directory_last_line(machine->directory, CONSOLE_LOG, NULL, text, size);
}

int machine_explain_end(const struct machine *machine, struct error *error)
{
	char said[LINE_SIZE], console[LINE_SIZE];

	run_directory_last_line(machine->directory, MACHINE_LOG, NULL, said, sizeof(said));
	machine_console_line(machine, console, sizeof(console));
	return error_set(error, EIO, "the VM ended by itself, with status %d%s%s%s%s%s", machine->status,
			 *said ? "; its VMM said: " : "", said, *console ? "; its console: " : "", console,
			 *said || *console ? "" : ", and without a word");
}

void machine_stop(struct machine *machine)
{
	if (!machine->loop)
		return;
	loop_remove(machine->loop, &machine->source);
	child_kill(&machine->proxy);
	console_log_close(&machine->console);
}
