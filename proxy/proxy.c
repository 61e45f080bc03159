/* The worker of one VM: its parts, put together; its beginning and end. */
#include "proxy/proxy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/attach_line.h"
#include "proxy/confine.h"
#include "proxy/unix_socket.h"

#define LOG_SUBSYSTEM "proxy"
#include "lib/log.h"

/* syscalls: exit_group exit */

/* ---- The end ------------------------------------------------------------------------------------------------- */

static void stop(struct proxy *proxy)
{
	loop_stop(&proxy->loop);
}

/* Once nobody is left who has something to read. */
static void stop_if_empty(struct proxy *proxy)
{
	if (list_empty(&proxy->streams.all) && proxy->agent_links.count == 0 && sessions_quiet(&proxy->sessions))
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

static void sessions_over(struct sessions *sessions)
{
	stop_if_empty(container_of(sessions, struct proxy, sessions));
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
	guest_ports_close(&proxy->guest_ports);
	forwards_close(&proxy->forwards);
	listener_close(&proxy->agent_listener);
	listener_close(&proxy->port_listener);
	listener_close(&proxy->service_listener);
}

/* The VM has ended: what it sent is still delivered. */
static void finish(struct proxy *proxy)
{
	if (proxy->finishing)
		return;
	proxy->finishing = true;
	close_listeners(proxy);
	carrier_close(proxy->carrier);
	sessions_finish(&proxy->sessions, sessions_over);
	service_close(&proxy->service);
	loop_timer_set(&proxy->loop, &proxy->last_words, proxy->options->drain_time, last_words_over);
	agent_links_finish(&proxy->agent_links, links_emptied);
	streams_finish(&proxy->streams, streams_emptied);
}

static void guest_left(struct carrier *carrier)
{
	struct proxy *proxy = container_of(carrier->engine, struct proxy, engine);

	worker_say(proxy->control.fd, WORKER_GUEST_LEFT, NULL);
}

static void told(struct loop_source *source, uint32_t events)
{
	struct proxy *proxy = container_of(source, struct proxy, control);
	struct worker_note note;
	size_t none = 0;
	ssize_t length = fd_receive(source->fd, &note, sizeof(note), NULL, &none);

	(void)events;
	if (length == -EAGAIN)
		return;
	if (length == (ssize_t)sizeof(note))
		finish(proxy);
	/* A keeper that is gone waits for no clients either. */
	if (length != (ssize_t)sizeof(note) || note.what == WORKER_QUIT)
		stop(proxy);
}

/* ---- What connects ------------------------------------------------------------------------------------------- */

static void agent_accepted(struct listener *listener, int fd)
{
	struct proxy *proxy = container_of(listener, struct proxy, agent_listener);

	agent_links_serve(&proxy->agent_links, fd);
}

static void port_accepted(struct listener *listener, int fd)
{
	struct proxy *proxy = container_of(listener, struct proxy, port_listener);

	streams_serve(&proxy->streams, fd, STREAM_PORT, 0);
}

static void service_accepted(struct listener *listener, int fd)
{
	struct proxy *proxy = container_of(listener, struct proxy, service_listener);

	attach_line_serve(&proxy->service, fd);
}

static void agent_opened(struct streams *streams)
{
	service_set_ready(&container_of(streams, struct proxy, streams)->service);
}

/* The guest connects to a host port: whoever listens at vsock.sock_PORT gets it, with a socket of the same type, unless it is
 * forwarded elsewhere. */
static struct vsock_connection *guest_connects_as(int type, struct proxy *proxy, uint32_t host_port)
{
	const char *forwarded = forward_path(&proxy->options->forwards, host_port);
	cleanup_free char *path = NULL;
	char name[32];
	int fd;

	snprintf(name, sizeof(name), GUEST_PORTS_PREFIX "%u", host_port);
	path = forwarded ? strdup(forwarded) : unix_path_in(proxy->options->directory, name, NULL);
	if (!path)
		return NULL;
	fd = unix_connect_now_as(type, path, NULL);
	if (fd >= 0 && !unix_peer_allowed(fd))
		fd_close(&fd);
	return fd < 0 ? NULL : streams_accept(&proxy->streams, fd);
}

static struct vsock_connection *guest_connects(struct vsock_engine *engine, uint32_t host_port, uint32_t guest_port)
{
	(void)guest_port;
	return guest_connects_as(SOCK_STREAM, container_of(engine, struct proxy, engine), host_port);
}

static struct vsock_connection *guest_connects_for_messages(struct vsock_engine *engine, uint32_t host_port,
							     uint32_t guest_port)
{
	(void)guest_port;
	return guest_connects_as(SOCK_SEQPACKET, container_of(engine, struct proxy, engine), host_port);
}

static void guest_started(struct vsock_engine *engine)
{
	streams_started(&container_of(engine, struct proxy, engine)->streams);
}

static const struct vsock_engine_ops engine_ops = {
	.accept = guest_connects,
	.accept_messages = guest_connects_for_messages,
	.started = guest_started,
};

/* ---- The beginning ------------------------------------------------------------------------------------------- */

/* Each process closes its own copy in the end, and the keeper removes the name. */
static int serve(struct proxy *proxy, struct listener *listener, size_t which,
		 void (*accepted)(struct listener *, int), struct error *error)
{
	const struct listening *listening = &proxy->estate->sockets->named[which];

	return listener_serve(listener, &proxy->loop, listening->fd, listening->path, accepted, error);
}

static int open_carrier(struct proxy *proxy, struct error *error)
{
	const struct carrier_place place = {
		.link = proxy->estate->ends.device,
		.record = &proxy->estate->shared->record,
		.ledger = &proxy->estate->shared->ledger,
	};

	proxy->carrier = carrier_open(&proxy->options->carrier, &place, &proxy->loop, &proxy->engine, guest_left, error);
	return proxy->carrier ? 0 : -EIO;
}

static int open_sockets(struct proxy *proxy, struct error *error)
{
	const struct options *options = proxy->options;
	int status = open_carrier(proxy, error);

	if (status == 0)
		status = serve(proxy, &proxy->agent_listener, SOCKET_AGENT, agent_accepted, error);
	if (status == 0)
		status = serve(proxy, &proxy->port_listener, SOCKET_PORT, port_accepted, error);
	if (status == 0)
		status = serve(proxy, &proxy->service_listener, SOCKET_SERVICE, service_accepted, error);
	if (status == 0)
		status = forwards_open(&proxy->forwards, &options->forwards, proxy->estate->sockets->forwards, &proxy->loop,
				       &proxy->streams, error);
	if (status == 0)
		status = guest_ports_open(&proxy->guest_ports, proxy->carrier, options->directory, &options->forwards,
					  error);
	if (status == 0)
		status = guest_log_open(&proxy->guest_log, &options->guest_log, &proxy->loop, &proxy->streams,
					options->directory, error);
	return status;
}

/* Of the keeper's descriptors only what is meant for it. */
static int close_others(const struct estate *estate, struct error *error)
{
	int kept[SOCKETS_MAX + 3], status;

	sockets_list(estate->sockets, kept);
	kept[SOCKETS_MAX] = estate->ends.control;
	kept[SOCKETS_MAX + 1] = estate->ends.device;
	kept[SOCKETS_MAX + 2] = estate->lock;
	status = fd_close_others(STDERR_FILENO + 1, kept, array_size(kept));
	return status < 0 ? error_errno(error, -status, "close_range") : 0;
}

static int proxy_open(struct proxy *proxy, const struct estate *estate, struct error *error)
{
	const struct options *options = estate->options;
	int status = close_others(estate, error);

	/* The rest is zero already, and what isn't written takes no memory. */
	proxy->estate = estate;
	proxy->options = options;
	proxy->control.fd = -1;
	if (status < 0)
		return status;
	status = loop_init(&proxy->loop);
	vsock_engine_init(&proxy->engine, &proxy->loop, VSOCK_HOST_CID, options->carrier.guest_cid, &engine_ops);
	proxy->engine.buffer = options->buffer;
	streams_init(&proxy->streams, &proxy->loop, &proxy->engine, agent_opened);
	proxy->streams.limits = options->limits;
	agent_links_init(&proxy->agent_links, &proxy->loop, &proxy->streams);
	sessions_init(&proxy->sessions, &proxy->loop, &proxy->streams, estate->rings);
	service_init(&proxy->service, &proxy->loop, &proxy->streams, &proxy->sessions);
	if (status == 0)
		status = loop_add(&proxy->loop, &proxy->control, estate->ends.control, EPOLLIN, told);
	if (status < 0)
		return error_errno(error, -status, "epoll");
	status = open_sockets(proxy, error);
	return status < 0 ? status : confine_worker(&estate->shared->refused, error);
}

static int proxy_run(struct proxy *proxy)
{
	int status = loop_run(&proxy->loop);

	if (status < 0)
		log_error("epoll_wait: %s", strerror(-status));
	return status < 0;
}

static void proxy_close(struct proxy *proxy)
{
	close_listeners(proxy);
	carrier_free(proxy->carrier);
	service_close(&proxy->service);
	guest_log_close(&proxy->guest_log);
	sessions_destroy(&proxy->sessions);
	agent_links_destroy(&proxy->agent_links);
	streams_destroy(&proxy->streams);
	loop_remove(&proxy->loop, &proxy->control);
	loop_destroy(&proxy->loop);
}

int proxy_work(const struct estate *estate)
{
	static struct proxy proxy;
	struct error error = {0};
	int status = proxy_open(&proxy, estate, &error);

	if (status < 0) {
		worker_say(estate->ends.control, WORKER_FAILED, &error);
		return 1;
	}
	worker_say(estate->ends.control, WORKER_READY, NULL);
	status = proxy_run(&proxy);
	proxy_close(&proxy);
	return status;
}
