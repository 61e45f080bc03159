/* The guest's log: what comes from the agent's log port (agent.log_vport), line by line, to a sink.
 *
 * The port is connected to as soon as somebody listens there, and again after it was closed. Everything that comes is read at
 * once, so the guest never waits for a sink; lines over the rate, and those that the sink didn't take, are counted, and told of
 * when the next one goes through. A line is cut at GUEST_LOG_LINE bytes; what isn't UTF-8, and control characters, come
 * out as others, so that no line can move a terminal's cursor or pass for two.
 */
#ifndef NACRE_PROXY_GUEST_LOG_H
#define NACRE_PROXY_GUEST_LOG_H

#include "lib/loop.h"
#include "proxy/log_sink.h"
#include "proxy/stream.h"

#define GUEST_LOG_PORT 1025u /* agent.log_vport, as Kata's runtimes set it */
#define GUEST_LOG_RATE 1000u
#define GUEST_LOG_LINE 8192u

struct guest_log_options {
	struct log_sink_options sink;
	uint32_t port;
	uint32_t rate; /* lines a second, and as many at once; 0 for any */
};

struct guest_log {
	struct loop *loop;
	struct streams *streams;
	struct guest_log_options options;
	struct log_sink sink;
	struct loop_source source;
	int fd; /* -1 until the next try */
	struct loop_timer retry;
	uint64_t delay;
	uint64_t tokens, filled; /* thousandths of a line, and when they were counted */
	uint64_t left_out;
	size_t length; /* of the line so far; what is over GUEST_LOG_LINE isn't kept */
	char *line;
	char name[LOG_SINK_NAME + 1];
};

/* Begins, where the options have a sink. The VM is known by its run directory's name. 0, or -errno with `error` filled; guest_log_close() is due in
 * both cases, and harmless for zeros. */
int guest_log_open(struct guest_log *log, const struct guest_log_options *options, struct loop *loop,
		   struct streams *streams, const char *directory, struct error *error);

/* Takes what has come still, and ends. */
void guest_log_close(struct guest_log *log);

#endif
