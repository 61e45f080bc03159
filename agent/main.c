/* The agent's role: sets itself up from what the supervisor kept, listens, and serves until it is told to end. */
#define LOG_SUBSYSTEM "agent"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/rpc.h"
#include "agent/stream.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/log.h"

/* How long the machine goes on for clients that don't close their connections. */
#define LAST_ANSWERS (500 * LOOP_MILLISECOND)
#define ADDRESS_SIZE 160
/* Where stream connections arrive if the configuration doesn't say: a proxy counts on it (proto/guest.proto). */
#define STREAMS_PORT 1027u

static void call_accepted(struct listener *listener, int fd, uint32_t peer_port)
{
	struct agent *agent = container_of(listener, struct agent, calls);
	int status = ttrpc_server_serve(&agent->server, fd);

	(void)peer_port;
	if (status < 0)
		log_error("serve a connection: %s", strerror(-status));
}

static void stream_accepted(struct listener *listener, int fd, uint32_t peer_port)
{
	stream_ports_add(&container_of(listener, struct agent, streams)->stream_ports, fd, peer_port);
}

static void log_accepted(struct listener *listener, int fd, uint32_t peer_port)
{
	(void)peer_port;
	log_port_accept(&container_of(listener, struct agent, log_listener)->log_port, fd);
}

static void console_accepted(struct listener *listener, int fd, uint32_t peer_port)
{
	(void)peer_port;
	debug_console_accept(&container_of(listener, struct agent, console_listener)->debug_console, fd);
}

static void stream_arrived(struct stream_ports *ports)
{
	sandbox_stream_arrived(&container_of(ports, struct agent, stream_ports)->sandbox);
}

static void child_exited(struct supervisor *supervisor, pid_t pid, int status)
{
	sandbox_process_exited(&container_of(supervisor, struct agent, supervisor)->sandbox, pid, status);
}

static void stop_wanted(struct supervisor *supervisor, uint64_t grace)
{
	sandbox_stop(&container_of(supervisor, struct agent, supervisor)->sandbox, grace);
}

/* Has the serial port be what connections come over, where it is to be. */
static int choose_carrier(struct agent *agent, struct error *error)
{
	static const char stored[] = "serial";
	static struct serial serial;
	const struct agent_config *config = &agent->config;
	int fd = supervisor_take(&agent->supervisor, stored), status;

	if (fd < 0) {
		if (!config->guest || listener_vsock_port(config->server_address) == 0 ||
		    config->carrier == CARRIER_VSOCK || (config->carrier == CARRIER_FOUND && serial_is_unneeded()))
			return 0;
		fd = serial_find(config->hotplug_timeout, error);
		if (fd < 0 && config->carrier == CARRIER_SERIAL)
			return fd;
		if (fd < 0) {
			log_write(fd == -ENODEV ? LOG_DEBUG : LOG_WARNING, LOG_SUBSYSTEM, "no serial port: %s",
				  error->text);
			return 0;
		}
		supervisor_store(&agent->supervisor, stored, fd);
	}
	status = serial_open(&serial, &agent->loop, fd);
	if (status < 0)
		return error_errno(error, -status, "watch the serial port");
	agent->serial = &serial;
	return 0;
}

/* Takes a listening socket out of the store, or binds it and puts it there. */
static int open_listener(struct agent *agent, struct listener *listener, const char *name, const char *address,
			 void (*accepted)(struct listener *listener, int fd, uint32_t peer_port), struct error *error)
{
	int fd, status;

	if (agent->serial) {
		*listener = (struct listener){.fd = -1, .accepted = accepted};
		serial_listen(agent->serial, listener_vsock_port(address), listener);
		return 0;
	}
	fd = supervisor_take(&agent->supervisor, name);
	if (fd < 0) {
		fd = listener_bind(address, error);
		if (fd < 0)
			return fd;
		supervisor_store(&agent->supervisor, name, fd);
	}
	status = listener_open(listener, &agent->loop, fd, accepted);
	return status < 0 ? error_errno(error, -status, "watch %s", address) : 0;
}

static bool is_unix(const struct agent_config *config)
{
	return strncmp(config->server_address, "unix://", 7) == 0;
}

/* A port beside that of the calls, or for a Unix socket PATH.NAME. */
static int open_port(struct agent *agent, struct listener *listener, const char *name, uint32_t port,
		     void (*accepted)(struct listener *listener, int fd, uint32_t peer_port), struct error *error)
{
	char address[ADDRESS_SIZE], stored[32];

	if (is_unix(&agent->config))
		snprintf(address, sizeof(address), "%s.%s", agent->config.server_address, name);
	else
		snprintf(address, sizeof(address), "vsock://-1:%u", port);
	snprintf(stored, sizeof(stored), "listener.%s", name);
	return open_listener(agent, listener, stored, address, accepted, error);
}

/* 0: the default is another listener's. */
static uint32_t streams_port(const struct agent_config *config)
{
	if (config->streams_port > 0)
		return config->streams_port;
	if (config->log_port == STREAMS_PORT || config->debug_console_port == STREAMS_PORT ||
	    listener_vsock_port(config->server_address) == STREAMS_PORT)
		return 0;
	return STREAMS_PORT;
}

static int listen_all(struct agent *agent, struct error *error)
{
	const struct agent_config *config = &agent->config;
	int status = choose_carrier(agent, error);

	if (status == 0 && streams_port(config) > 0)
		status = open_port(agent, &agent->streams, "streams", streams_port(config), stream_accepted, error);
	if (status == 0 && config->debug_console && config->debug_console_port > 0)
		status = open_port(agent, &agent->console_listener, "console", config->debug_console_port,
				   console_accepted, error);
	if (status == 0 && config->log_port > 0)
		status = open_port(agent, &agent->log_listener, "log", config->log_port, log_accepted, error);
	if (status == 0)
		status = open_listener(agent, &agent->calls, "listener.calls", config->server_address, call_accepted,
				       error);
	/* Last: what goes wrong before is for the console. */
	if (status == 0 && config->log_port > 0)
		status = log_port_open(&agent->log_port, &agent->loop, &agent->supervisor, error);
	return status;
}

static void say_what_is_not_served(const struct agent_config *config)
{
	if (config->tracing)
		log_warning("agent.trace: this agent makes no traces");
	if (config->mem_agent)
		log_warning("agent.mem_agent_enable: this agent has no memory agent");
}

static int set_up(struct agent *agent, int argc, char **argv, struct error *error)
{
	int status = config_load(&agent->config, argc, argv, error);

	if (status < 0)
		return status;
	log_open(2, LOG_JSON, agent->config.log_level, "kata-agent");
	status = supervisor_restore(&agent->supervisor, error);
	if (status < 0)
		return status;
	status = loop_init(&agent->loop);
	if (status == 0)
		status = stream_setup();
	if (status < 0)
		return error_errno(error, -status, "set up");
	stream_ports_init(&agent->stream_ports, &agent->loop, stream_arrived);
	debug_console_init(&agent->debug_console, &agent->loop);
	sandbox_init(&agent->sandbox, agent);
	ttrpc_server_init(&agent->server, &agent->loop, rpc_services, agent);
	status = supervisor_watch(&agent->supervisor, &agent->loop, child_exited, stop_wanted);
	if (status < 0)
		return error_errno(error, -status, "watch the supervisor");
	return listen_all(agent, error);
}

static void all_disconnected(struct ttrpc_server *server)
{
	supervisor_power_off(&container_of(server, struct agent, server)->supervisor);
}

static void last_answers_expired(struct loop_timer *timer)
{
	supervisor_power_off(&container_of(timer, struct agent, power_off)->supervisor);
}

void agent_power_off(struct agent *agent)
{
	/* A client that finds its connection cut right behind an answer may never look at the answer. */
	agent->server.emptied = all_disconnected;
	loop_timer_set(&agent->loop, &agent->power_off, LAST_ANSWERS, last_answers_expired);
}

int agent_main(int argc, char **argv)
{
	static struct agent agent;
	struct error error;
	int status;

	signal(SIGPIPE, SIG_IGN);
	/* Children are waited for by pid: jobs by us, containers by the supervisor. */
	signal(SIGCHLD, SIG_DFL);
	if (set_up(&agent, argc, argv, &error) < 0) {
		log_error("%s", error.text);
		return 1;
	}
	log_info("listening on %s%s", agent.config.server_address, agent.serial ? ", by a serial port" : "");
	say_what_is_not_served(&agent.config);
	supervisor_ready(&agent.supervisor);
	if (agent.config.debug_console && agent.config.debug_console_port == 0)
		debug_console_on_terminal(&agent.debug_console);
	status = loop_run(&agent.loop);
	log_error("the event loop failed: %s", strerror(-status));
	return 1;
}
