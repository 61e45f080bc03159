/* nacre-proxy's command line. */
#ifndef NACRE_PROXY_OPTIONS_H
#define NACRE_PROXY_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "proxy/carrier.h"
#include "proxy/forward.h"
#include "proxy/guest_log.h"

/* How it is seen to that files out of its directories are out of reach. */
enum confine { CONFINE_AUTO, CONFINE_LANDLOCK, CONFINE_NAMESPACE, CONFINE_OFF };

struct options {
	const char *directory; /* the VM's run directory */
	struct carrier_options carrier;
	struct forward_rules forwards;
	struct streams_limits limits;
	struct guest_log_options guest_log;
	uint32_t buffer;     /* bytes: engine->buffer */
	uint32_t ring;	     /* bytes that a session keeps of a stream */
	uint32_t max_sessions;
	uint64_t restart_delay; /* at most, between a worker that has died and the next */
	uint64_t drain_time; /* how long clients have to read what the VM has said last */
	char *const *vmm; /* the VMM's command, NULL where none was given */
	const char *user;    /* as whom all of it runs; NULL for who started it */
	enum confine confine;
	bool verbose, help, version;
};

/* What isn't given. */
#define OPTIONS \
	((struct options){.limits = STREAMS_LIMITS, .buffer = VSOCK_BUFFER, .ring = 64u << 10, .max_sessions = 64, \
			  .restart_delay = LOOP_SECOND, .drain_time = 5 * LOOP_SECOND, \
			  .guest_log = {.port = GUEST_LOG_PORT, .rate = GUEST_LOG_RATE}})

extern const char options_help[];

/* Reads the command line. The strings are those of argv, but the carrier's path and the
 * forwards'. 0, or -EINVAL with `error` filled. */
int options_parse(struct options *options, int argc, char *argv[], struct error *error);
void options_free(struct options *options);

#endif
