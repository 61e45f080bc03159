/* The life of a VM, in order. */
#include "runtime/monitor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"

/* What stays in the run directory of a container that has ended. */
static const char *const kept[] = {
	STATUS_CONFIG_FILE, STATUS_FILE,    OUTPUT_LOG,		OUTPUT_LOG_OLD, CONSOLE_LOG,
	CONSOLE_LOG_OLD,    MACHINE_LOG,    RUN_DIRECTORY_KEEP, RUN_DIRECTORY_LOCK, NULL,
};

static void signalled(struct signals *signals, int number)
{
	struct run *run = container_of(signals, struct run, signals);

	if (number == SIGTERM || number == SIGINT || number == SIGQUIT)
		run->cancelled = true;
}

static void note(void *data, const char *line)
{
	clients_tell_note(data, line);
}

static int set_state(struct run *run, const char *state, struct error *error)
{
	run->status.state = state;
	return status_write(&run->directory, &run->status, error);
}

static int prepare(struct run *run, struct error *error)
{
	char path[RUN_FILE_SIZE];
	int result = run_directory_create(&run->directory, run->options->name, error);

	run->status.created = moment_now();
	if (result == 0)
		result = status_write_config(&run->directory, run->options,
					     (const char *const *)run->composition.command, &run->locations, error);
	if (result == 0)
		result = set_state(run, STATUS_CREATING, error);
	if (result == 0)
		result = output_log_open(&run->log, run->directory.fd, error);
	if (result == 0)
		result = clients_listen(&run->clients, run_directory_file(&run->directory, CLIENTS_SOCKET, path),
					error);
	return result;
}

/* The container runs: everybody may know. */
static int announce(struct run *run, struct error *error)
{
	const struct run_options *options = run->options;
	int result;

	run->status.started = moment_now();
	result = set_state(run, STATUS_RUNNING, error);
	/* The starter's folder may be unmounted from here on. */
	if (result == 0 && chdir("/") < 0)
		result = error_errno(error, errno, "chdir");
	if (result == 0 && !options->remove)
		result = run_directory_keep(&run->directory, error);
	if (result == 0)
		clients_tell_started(&run->clients, run->directory.name,
				     (options->interactive ? FRAME_IS_INTERACTIVE : 0) |
					     (options->terminal ? FRAME_IS_TERMINAL : 0));
	if (result == 0)
		result = streams_start(&run->streams, &run->session, error);
	return result;
}

/* The exit code, or -errno with the exit status in *status. */
static int live(struct run *run, int *status, struct error *error)
{
	int result = prepare(run, error);

	*status = EXIT_FAULT;
	if (result == 0)
		result = run_boot(run, error);
	run->ready = result == 0;
	if (result == 0)
		result = run_container_start(run, status, error);
	if (result == 0)
		result = announce(run, error);
	if (result == 0)
		result = run_container_await(run, error);
	if (result >= 0)
		timeline_note(&run->timeline, "the container exited with %d", result);
	return result;
}

/* What has become of it, for the clients and for status.json. */
static void conclude(struct run *run, int result, int status, const struct error *error)
{
	bool ran = run->running;

	loop_timer_clear(&run->loop, &run->stop);
	run->status.finished = moment_now();
	run->status.exit_code = result >= 0 ? result : ran && run->cancelled ? EXIT_KILLED : status;
	if (result < 0 && !run->cancelled)
		run->status.error = error->text;
	if (result >= 0 || (ran && run->cancelled))
		clients_tell_exit(&run->clients, run->status.exit_code);
	else
		clients_tell_failed(&run->clients, status, error->text);
	run->running = false;
}

/* In this order: what is closed calls back into what comes later. */
static void release(struct run *run)
{
	struct error ignored;

	session_close(&run->session);
	streams_close(&run->streams);
	run->input_wanted = false;
	machine_stop(&run->machine);
	composition_close(&run->composition);
	if (run->directory.fd < 0)
		return;
	run->status.log_lost = run->log.lost;
	output_log_close(&run->log);
	if (run->status.started == 0 || run->options->remove) {
		run_directory_remove(&run->directory);
		return;
	}
	set_state(run, STATUS_EXITED, &ignored);
	run_directory_strip(&run->directory, kept);
	run_directory_close(&run->directory);
}

static void serve(struct run *run, int socket)
{
	struct error error = {0};
	int result, status = EXIT_FAULT;

	if (loop_init(&run->loop) < 0 || signals_open(&run->signals, &run->loop, signalled) < 0)
		return;
	clients_init(&run->clients, &run->loop, &run_control, run);
	run->timeline.print = note;
	run->timeline.data = &run->clients;
	if (clients_add_starter(&run->clients, socket, run->options->detached, &error) < 0)
		return;
	result = live(run, &status, &error);
	conclude(run, result, status, &error);
	if (run->ready && !run->cancelled && !run->machine.ended)
		run_finish(run);
	release(run);
	timeline_note(&run->timeline, "cleaned up");
	clients_flush(&run->clients);
	clients_close(&run->clients);
}

/* Our starter's own starter may have left files open for it, which it would wait for the end of. Ours are all
 * close-on-exec: what isn't came from there. */
static void close_inherited(void)
{
	DIR *stream = opendir("/proc/self/fd");

	if (!stream)
		return;
	for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream)) {
		int fd = atoi(entry->d_name);

		if (fd > STDERR_FILENO && !(fcntl(fd, F_GETFD) & FD_CLOEXEC))
			close(fd);
	}
	closedir(stream);
}

static void leave_starter(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	prctl(PR_SET_NAME, "nacre-monitor");
	close_inherited();
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	fd_close(&null);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	signal(SIGHUP, SIG_IGN);
}

int monitor_start(struct run *run, int *socket, struct error *error)
{
	cleanup_close int own = -1, other = -1;
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return error_errno(error, errno, "socketpair");
	own = ends[0];
	other = ends[1];
	pid = fork();
	if (pid < 0)
		return error_errno(error, errno, "fork");
	if (pid == 0) {
		fd_close(&own);
		leave_starter();
		serve(run, take_fd(&other));
		_exit(EXIT_SUCCESS);
	}
	*socket = take_fd(&own);
	return 0;
}
