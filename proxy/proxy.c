/* The proxy of one VM: its parts, put together; its run directory; its beginning and end. */
#include "proxy/proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/listen_fds.h"
#include "proxy/unix_socket.h"

#define LOG_SUBSYSTEM "proxy"
#include "lib/log.h"

/* Listeners, clients of proxy.sock, the VMM's memory, rings: what isn't a connection to the guest. */
#define OTHER_DESCRIPTORS 256

static int make_path(char **path, const struct proxy *proxy, const char *name, struct error *error)
{
	if (asprintf(path, "%s/%s", proxy->options->directory, name) >= 0)
		return 0;
	*path = NULL;
	return error_errno(error, ENOMEM, "%s/%s", proxy->options->directory, name);
}

/* ---- The end ------------------------------------------------------------------------------------------------- */

static void stop(struct proxy *proxy)
{
	loop_stop(&proxy->loop);
}

/* Once nobody is left who has something to read. */
static void stop_if_empty(struct proxy *proxy)
{
	if (list_empty(&proxy->streams.all) && proxy->agent_links.count == 0)
		stop(proxy);
}

static void streams_emptied(struct streams *streams)
{
	stop_if_empty(container_of(streams, struct proxy, streams));
}

static void links_emptied(struct agent_links *links)
{
	stop_if_empty(container_of(links, struct proxy, agent_links));
}

/* Those of agent.sock stand behind streams of ours. */
static size_t clients_left(const struct proxy *proxy)
{
	const struct list *all = &proxy->streams.all;
	size_t count = proxy->agent_links.count;

	for (const struct list *link = all->next; link != all; link = link->next)
		count += container_of(link, struct stream, link)->origin != STREAM_AGENT;
	return count;
}

static void last_words_over(struct loop_timer *timer)
{
	struct proxy *proxy = container_of(timer, struct proxy, last_words);

	log_warning("%zu clients haven't read everything", clients_left(proxy));
	stop(proxy);
}

static void close_listeners(struct proxy *proxy)
{
	struct keeper *keeper = &proxy->keeper;

	guest_ports_close(&proxy->guest_ports);
	forwards_close(&keeper->forwards);
	listener_close(&keeper->agent_listener);
	listener_close(&keeper->port_listener);
	listener_close(&keeper->service_listener);
}

/* The VM has ended: what it sent is still delivered. */
static void finish(struct proxy *proxy, int status)
{
	if (proxy->finishing)
		return;
	proxy->finishing = true;
	proxy->status = status;
	close_listeners(proxy);
	carrier_close(proxy->carrier);
	service_close(&proxy->service);
	loop_timer_set(&proxy->loop, &proxy->last_words, proxy->options->drain_time, last_words_over);
	agent_links_finish(&proxy->agent_links, links_emptied);
	streams_finish(&proxy->streams, streams_emptied);
}

static void vmm_ended(struct vmm *vmm)
{
	struct proxy *proxy = container_of(vmm, struct proxy, keeper.vmm);

	log_info("the VMM has ended with status %d", vmm->status);
	finish(proxy, vmm->status);
}

static void guest_left(struct carrier *carrier)
{
	struct proxy *proxy = container_of(carrier->engine, struct proxy, engine);

	/* Of a VMM of our own the exit counts, and follows. */
	if (!proxy->options->vmm)
		finish(proxy, 0);
}

static void signalled(struct loop_source *source, uint32_t events)
{
	struct proxy *proxy = container_of(source, struct proxy, signals);
	struct signalfd_siginfo signal;

	(void)events;
	if (read(source->fd, &signal, sizeof(signal)) != (ssize_t)sizeof(signal))
		return;
	log_info("ending because of signal %u", signal.ssi_signo);
	vmm_kill(&proxy->keeper.vmm);
	finish(proxy, 0);
	/* Whoever sends this doesn't want to wait for clients. */
	stop(proxy);
}

/* ---- What connects ------------------------------------------------------------------------------------------- */

static void agent_accepted(struct listener *listener, int fd)
{
	struct proxy *proxy = container_of(listener, struct proxy, keeper.agent_listener);

	agent_links_serve(&proxy->agent_links, fd);
}

static void port_accepted(struct listener *listener, int fd)
{
	struct proxy *proxy = container_of(listener, struct proxy, keeper.port_listener);

	streams_serve(&proxy->streams, fd, STREAM_PORT, 0);
}

static void service_accepted(struct listener *listener, int fd)
{
	struct proxy *proxy = container_of(listener, struct proxy, keeper.service_listener);

	service_serve(&proxy->service, fd);
}

static void agent_opened(struct streams *streams)
{
	service_set_ready(&container_of(streams, struct proxy, streams)->service);
}

/* The guest connects to a host port: whoever listens at vsock.sock_PORT gets it, unless it is forwarded elsewhere. */
static struct vsock_connection *guest_connects(struct vsock_engine *engine, uint32_t host_port, uint32_t guest_port)
{
	struct proxy *proxy = container_of(engine, struct proxy, engine);
	const char *forwarded = forward_path(&proxy->options->forwards, host_port);
	cleanup_free char *path = NULL;
	char name[32];
	int fd;

	(void)guest_port;
	snprintf(name, sizeof(name), GUEST_PORTS_PREFIX "%u", host_port);
	if (!forwarded && make_path(&path, proxy, name, NULL) < 0)
		return NULL;
	fd = unix_connect_now(forwarded ? forwarded : path, NULL);
	if (fd >= 0 && !unix_peer_allowed(fd))
		fd_close(&fd);
	return fd < 0 ? NULL : streams_accept(&proxy->streams, fd);
}

static void guest_started(struct vsock_engine *engine)
{
	streams_started(&container_of(engine, struct proxy, engine)->streams);
}

static const struct vsock_engine_ops engine_ops = {.accept = guest_connects, .started = guest_started};

/* ---- The beginning ------------------------------------------------------------------------------------------- */

/* What a service manager may pass in the place of what is made here. */
enum { PASSED_AGENT, PASSED_PORT, PASSED_SERVICE, PASSED_CARRIER, PASSED_COUNT };
static const char *const passed_names[] = {
	[PASSED_AGENT] = "agent.sock",
	[PASSED_PORT] = "vsock.sock",
	[PASSED_SERVICE] = "proxy.sock",
	[PASSED_CARRIER] = "vhost-user",
};

static int open_listener(struct proxy *proxy, struct listener *listener, const char *name, int *passed,
			 void (*accepted)(struct listener *, int), struct error *error)
{
	cleanup_free char *path = NULL;
	int status = make_path(&path, proxy, name, error);

	return status < 0 ? status
			  : listener_open_or(listener, &proxy->loop, take_fd(passed), path, accepted, error);
}

/* The file's lock says whether another proxy serves this directory; its name may be left over from one that was
 * killed. */
static int lock_directory(struct proxy *proxy, struct error *error)
{
	cleanup_free char *path = NULL;
	cleanup_close int fd = -1;
	int status = make_path(&path, proxy, "proxy.pid", error);

	if (status < 0)
		return status;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_errno(error, errno, "open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? error_set(error, EBUSY, "another nacre-proxy serves %s",
							proxy->options->directory)
					    : error_errno(error, errno, "lock %s", path);
	if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0)
		return error_errno(error, errno, "write %s", path);
	proxy->keeper.pid_file = take_fd(&fd);
	return 0;
}

static int watch_signals(struct proxy *proxy, struct error *error)
{
	sigset_t set;
	int fd, status;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN); /* writev(2) has no flag for that */
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return error_errno(error, errno, "signalfd");
	status = loop_add(&proxy->loop, &proxy->signals, fd, EPOLLIN, signalled);
	if (status < 0) {
		fd_close(&fd);
		return error_errno(error, -status, "watch signals");
	}
	return 0;
}

static int start_vmm(struct proxy *proxy, struct error *error)
{
	cleanup_free char *path = NULL;
	cleanup_close int fd = -1;
	int status;

	if (!proxy->options->vmm)
		return 0;
	status = make_path(&path, proxy, "vmm.pid", error);
	if (status == 0)
		status = vmm_start(&proxy->keeper.vmm, proxy->options->vmm, error);
	if (status < 0)
		return status;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || dprintf(fd, "%d\n", (int)proxy->keeper.vmm.pid) < 0)
		return error_errno(error, errno, "write %s", path);
	return 0;
}

static int open_carrier(struct proxy *proxy, int *passed, struct error *error)
{
	proxy->carrier = carrier_open(&proxy->options->carrier, take_fd(passed), &proxy->loop, &proxy->engine, guest_left,
				      error);
	return proxy->carrier ? 0 : -EIO;
}

/* It speaks the VMM's protocol as well, and would be its own client, over and over. */
static int check_carrier(const struct proxy *proxy, struct error *error)
{
	const char *path = proxy->options->carrier.path;
	const struct stat *own = &proxy->keeper.port_listener.file;
	struct stat file;

	if (path && stat(path, &file) == 0 && file.st_dev == own->st_dev && file.st_ino == own->st_ino)
		return error_set(error, EINVAL, "--carrier hybrid:%s: that is the proxy's own vsock.sock", path);
	return 0;
}

/* Descriptors for as many connections as are allowed, each with two ends where the carrier has sockets, too, and each of the
 * host's perhaps agent.sock's. */
static int make_room(const struct proxy *proxy, struct error *error)
{
	const struct options *options = proxy->options;
	rlim_t ends = options->carrier.type == CARRIER_VHOST_USER ? 1 : 2;
	rlim_t wanted = options->limits.from_host * (ends + AGENT_LINK_DESCRIPTORS) + options->limits.from_guest * ends +
			OTHER_DESCRIPTORS;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return error_errno(error, errno, "getrlimit");
	if (wanted <= limit.rlim_cur)
		return 0;
	if (wanted > limit.rlim_max)
		return error_set(error, EINVAL,
				 "--max-connections and --max-guest-connections: %llu descriptors may be needed, and the "
				 "limit is %llu",
				 (unsigned long long)wanted, (unsigned long long)limit.rlim_max);
	limit.rlim_cur = wanted;
	return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? error_errno(error, errno, "setrlimit") : 0;
}

static int open_sockets(struct proxy *proxy, int passed[PASSED_COUNT], struct error *error)
{
	const struct options *options = proxy->options;
	struct keeper *keeper = &proxy->keeper;
	int status = open_carrier(proxy, &passed[PASSED_CARRIER], error);

	if (status == 0)
		status = open_listener(proxy, &keeper->agent_listener, "agent.sock", &passed[PASSED_AGENT],
				       agent_accepted, error);
	if (status == 0)
		status = open_listener(proxy, &keeper->port_listener, "vsock.sock", &passed[PASSED_PORT], port_accepted,
				       error);
	if (status == 0)
		status = check_carrier(proxy, error);
	if (status == 0)
		status = open_listener(proxy, &keeper->service_listener, "proxy.sock", &passed[PASSED_SERVICE],
				       service_accepted, error);
	if (status == 0)
		status = forwards_open(&keeper->forwards, &options->forwards, &proxy->loop, &proxy->streams, error);
	if (status == 0)
		status = guest_ports_open(&proxy->guest_ports, proxy->carrier, options->directory, &options->forwards,
					  error);
	if (status == 0)
		status = guest_log_open(&proxy->guest_log, &options->guest_log, &proxy->loop, &proxy->streams,
					options->directory, error);
	return status;
}

int proxy_open(struct proxy *proxy, const struct options *options, struct error *error)
{
	int passed[PASSED_COUNT], status;

	*proxy = (struct proxy){.options = options, .keeper.pid_file = -1, .signals.fd = -1};
	status = loop_init(&proxy->loop);
	vsock_engine_init(&proxy->engine, &proxy->loop, VSOCK_HOST_CID, options->carrier.guest_cid, &engine_ops);
	proxy->engine.buffer = options->buffer;
	streams_init(&proxy->streams, &proxy->loop, &proxy->engine, agent_opened);
	proxy->streams.limits = options->limits;
	agent_links_init(&proxy->agent_links, &proxy->loop, &proxy->streams);
	service_init(&proxy->service, &proxy->loop, &proxy->streams);
	vmm_init(&proxy->keeper.vmm, &proxy->loop, vmm_ended);
	if (status < 0)
		return error_errno(error, -status, "epoll_create1");
	status = listen_fds_take(passed_names, PASSED_COUNT, passed, error);
	if (status < 0)
		return status;
	status = lock_directory(proxy, error);
	if (status == 0)
		status = watch_signals(proxy, error);
	if (status == 0)
		status = make_room(proxy, error);
	if (status == 0)
		status = open_sockets(proxy, passed, error);
	for (size_t i = 0; i < PASSED_COUNT; i++)
		fd_close(&passed[i]);
	proxy->vmm_due = status == 0;
	return status < 0 ? status : start_vmm(proxy, error);
}

int proxy_run(struct proxy *proxy)
{
	int status = loop_run(&proxy->loop);

	if (status < 0) {
		log_error("epoll_wait: %s", strerror(-status));
		return 125;
	}
	return proxy->status;
}

static void remove_file(const struct proxy *proxy, const char *name)
{
	cleanup_free char *path = NULL;

	if (make_path(&path, proxy, name, NULL) == 0)
		unlink(path);
}

void proxy_close(struct proxy *proxy)
{
	struct keeper *keeper = &proxy->keeper;
	int signals = proxy->signals.fd;

	vmm_kill(&keeper->vmm);
	close_listeners(proxy);
	carrier_free(proxy->carrier);
	service_close(&proxy->service);
	guest_log_close(&proxy->guest_log);
	agent_links_destroy(&proxy->agent_links);
	streams_destroy(&proxy->streams);
	loop_remove(&proxy->loop, &proxy->signals);
	fd_close(&signals);
	loop_destroy(&proxy->loop);
	if (keeper->pid_file < 0) /* the directory is another's */
		return;
	remove_file(proxy, "vmm.pid");
	remove_file(proxy, "proxy.pid");
	fd_close(&keeper->pid_file);
}
