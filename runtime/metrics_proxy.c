/* Families, and samples of each. Connections come and go, so what they have counted isn't a counter of Prometheus' (which
 * never falls); sessions stay until they are closed. */
#include "runtime/metrics_proxy.h"

#include <inttypes.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "runtime/metrics_text.h"

/* Connections ------------------------------------------------------------------------------------------------------- */

enum connection_figure { OPEN, TO_GUEST, FROM_GUEST, BACKLOG, STALLS, FIGURES };

static const struct {
	const char *name, *help;
} connection_families[FIGURES] = {
	[OPEN] = {"connections", "Connections between host and guest."},
	[TO_GUEST] = {"connection_to_guest_bytes", "Bytes to the guest, by the connections that there are."},
	[FROM_GUEST] = {"connection_from_guest_bytes", "Bytes from the guest, by the connections that there are."},
	[BACKLOG] = {"connection_backlog_bytes", "Bytes from the guest that clients have still to read."},
	[STALLS] = {"connection_stalls", "How often sending has waited for room in the guest."},
};

struct group {
	Nacre__Connection__Origin origin;
	uint32_t port; /* that of the service: the other one is different for each connection */
	uint64_t figures[FIGURES];
};

static struct group *find_group(struct group *groups, size_t *count, const Nacre__Connection *connection)
{
	uint32_t port = connection->origin == NACRE__CONNECTION__ORIGIN__GUEST ? connection->host_port
									       : connection->guest_port;

	for (size_t i = 0; i < *count; i++)
		if (groups[i].origin == connection->origin && groups[i].port == port)
			return &groups[i];
	groups[*count] = (struct group){.origin = connection->origin, .port = port};
	return &groups[(*count)++];
}

static void add(struct group *group, const Nacre__Connection *connection)
{
	group->figures[OPEN]++;
	group->figures[TO_GUEST] += connection->to_guest;
	group->figures[FROM_GUEST] += connection->from_guest;
	group->figures[BACKLOG] += connection->backlog;
	group->figures[STALLS] += connection->stalls;
}

static void begin(FILE *file, const char *prefix, const char *name, const char *type, const char *help)
{
	fprintf(file, "# HELP %s%s %s\n# TYPE %s%s %s\n", prefix, name, help, prefix, name, type);
}

void metrics_of_connections(FILE *file, const Nacre__ListConnectionsResponse *response)
{
	static const char *const origins[] = {"agent", "port", "guest", "forward"};
	cleanup_free struct group *groups = calloc(response->n_connections + 1, sizeof(*groups));
	size_t count = 0;

	if (!groups)
		return;
	for (size_t i = 0; i < response->n_connections; i++)
		if ((unsigned)response->connections[i]->origin < array_size(origins))
			add(find_group(groups, &count, response->connections[i]), response->connections[i]);
	for (unsigned figure = 0; figure < FIGURES && count > 0; figure++) {
		begin(file, "nacre_proxy_", connection_families[figure].name, "gauge", connection_families[figure].help);
		for (size_t i = 0; i < count; i++)
			fprintf(file, "nacre_proxy_%s{origin=\"%s\",port=\"%" PRIu32 "\"} %" PRIu64 "\n",
				connection_families[figure].name, origins[groups[i].origin], groups[i].port,
				groups[i].figures[figure]);
	}
}

/* Sessions ---------------------------------------------------------------------------------------------------------- */

static uint64_t get_bytes(const Nacre__SessionStream *stream) { return stream->bytes; }
static uint64_t get_dropped(const Nacre__SessionStream *stream) { return stream->dropped; }
static uint64_t get_stalls(const Nacre__SessionStream *stream) { return stream->stalls; }
static uint64_t get_kept(const Nacre__SessionStream *stream) { return stream->kept; }
static uint64_t get_credit(const Nacre__SessionStream *stream) { return stream->credit; }
static uint64_t get_attached(const Nacre__SessionStream *stream) { return stream->attached; }

static const struct {
	const char *name, *type, *help;
	uint64_t (*get)(const Nacre__SessionStream *stream);
} stream_families[] = {
	{"stream_bytes_total", "counter", "Bytes that a stream has carried.", get_bytes},
	{"stream_dropped_bytes_total", "counter", "Bytes of it that nobody could get.", get_dropped},
	{"stream_stalls_total", "counter", "How often it has waited for a reader, or for the guest.", get_stalls},
	{"stream_kept_bytes", "gauge", "Bytes of it in the ring, or still to be taken by the guest.", get_kept},
	{"stream_credit_bytes", "gauge", "Bytes that may be sent now.", get_credit},
	{"stream_attached", "gauge", "Descriptors that are attached to it.", get_attached},
};

static void put_stream(FILE *file, const char *family, const Nacre__Session *session, const Nacre__SessionStream *stream,
		       uint64_t value)
{
	static const char *const names[] = {"stdin", "stdout", "stderr"};

	if (stream->stream >= array_size(names))
		return;
	fprintf(file, "nacre_session_%s{container=", family);
	metrics_text_value(file, session->container_id);
	fprintf(file, ",exec=");
	metrics_text_value(file, session->exec_id);
	fprintf(file, ",stream=\"%s\"} %" PRIu64 "\n", names[stream->stream], value);
}

void metrics_of_sessions(FILE *file, const Nacre__ListSessionsResponse *response)
{
	begin(file, "nacre_", "sessions", "gauge", "Sessions that the proxy keeps.");
	fprintf(file, "nacre_sessions %zu\n", response->n_sessions);
	for (size_t family = 0; family < array_size(stream_families) && response->n_sessions > 0; family++) {
		begin(file, "nacre_session_", stream_families[family].name, stream_families[family].type,
		      stream_families[family].help);
		for (size_t i = 0; i < response->n_sessions; i++)
			for (size_t j = 0; j < response->sessions[i]->n_streams; j++)
				put_stream(file, stream_families[family].name, response->sessions[i],
					   response->sessions[i]->streams[j],
					   stream_families[family].get(response->sessions[i]->streams[j]));
	}
}
