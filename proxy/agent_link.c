/* Links: following frames, cutting and connecting again. */
#include "proxy/agent_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/fd.h"
#include "ttrpc.pb-c.h"

#define LOG_SUBSYSTEM "agent"
#include "lib/log.h"

/* syscalls: recvfrom sendto shutdown socketpair close */

/* Of connections that end before the guest has answered anything. */
#define RETRY_FIRST (5 * LOOP_MILLISECOND)
#define RETRY_LAST LOOP_SECOND

static void settle(struct agent_link *link);
static void connect_guest(struct agent_link *link);

/* ---- To a side ----------------------------------------------------------------------------------------------- */

/* How many bytes of it went on; all where they are lost. */
static size_t send_some(struct agent_side *side, struct slice bytes)
{
	ssize_t count;

	if (side->broken)
		return bytes.length;
	do {
		count = send(side->fd, bytes.bytes, bytes.length, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (count < 0 && errno == EINTR);
	if (count >= 0)
		return (size_t)count;
	if (errno == EAGAIN)
		return 0;
	side->broken = true;
	buffer_consume(&side->out, buffer_length(&side->out));
	return bytes.length;
}

static void flush_out(struct agent_side *side)
{
	if (buffer_length(&side->out) > 0) {
		size_t count = send_some(side, (struct slice){buffer_bytes(&side->out), buffer_length(&side->out)});

		if (!side->broken)
			buffer_consume(&side->out, count);
	}
}

/* What a run names won't lie there any longer. */
static void flush_run(struct agent_link *link, struct agent_side *side)
{
	struct slice run = side->run;
	size_t count = 0;

	side->run = (struct slice){0};
	if (run.length == 0)
		return;
	if (buffer_length(&side->out) == 0)
		count = send_some(side, run);
	if (buffer_append(&side->out, run.bytes + count, run.length - count) < 0) {
		log_warning("no memory for what a client of agent.sock and the guest have to say");
		link->over = true;
	}
}

/* Passes bytes on, which stay where they are until flush_run(). */
static void pass(struct agent_link *link, struct agent_side *side, const uint8_t *bytes, size_t length)
{
	if (side->run.length > 0 && side->run.bytes + side->run.length == bytes) {
		side->run.length += length;
		return;
	}
	flush_run(link, side);
	side->run = (struct slice){bytes, length};
}

static void put(struct agent_link *link, struct agent_side *side, const uint8_t *bytes, size_t length)
{
	pass(link, side, bytes, length);
	flush_run(link, side);
}

/* Answers a call in the agent's place. */
static void answer(struct agent_link *link, uint32_t stream, const char *method)
{
	Ttrpc__Status status = TTRPC__STATUS__INIT;
	Ttrpc__Response response = TTRPC__RESPONSE__INIT;
	struct ttrpc_header header = {.stream = stream, .type = TTRPC_RESPONSE};
	uint8_t frame[TTRPC_HEADER_SIZE + 256];
	char text[192];

	snprintf(text, sizeof(text),
		 "the connection to the guest's agent was cut while %s was open; whether that was done isn't known",
		 *method ? method : "the call");
	for (char *c = text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	status.code = TTRPC_UNAVAILABLE;
	status.message = text;
	response.status = &status;
	header.length = (uint32_t)ttrpc__response__pack(&response, frame + TTRPC_HEADER_SIZE);
	ttrpc_header_encode(frame, &header);
	put(link, &link->client, frame, TTRPC_HEADER_SIZE + header.length);
}

/* ---- Calls --------------------------------------------------------------------------------------------------- */

static struct read_stream *stream_of(struct agent_link *link, const struct agent_call *call)
{
	return read_offsets_get(&link->links->offsets, call->reads);
}

/* Sends the frame of a call that is kept, with the offset which its stream has now. */
static void issue(struct agent_link *link, struct agent_call *call)
{
	struct ttrpc_header header = ttrpc_header_decode(call->frame);
	struct read_stream *stream = stream_of(link, call);
	uint8_t frame[AGENT_CALLS_REQUEST + ENVELOPE_PAIR_MAX];
	size_t length;

	if (!stream || stream->plain) {
		put(link, &link->guest, call->frame, call->length);
		return;
	}
	memcpy(frame, call->frame, call->length);
	length = envelope_pair(frame + call->length, READ_OFFSET_KEY, stream->offset);
	header.length += (uint32_t)length;
	ttrpc_header_encode(frame, &header);
	put(link, &link->guest, frame, call->length + length);
}

static void forget_call(struct agent_link *link, struct agent_call *call)
{
	struct read_stream *stream = stream_of(link, call);

	if (stream)
		stream->open = false;
	agent_calls_remove(&link->calls, call);
}

/* A read of ours, whose stream may have an offset. */
static void name_offset(struct agent_link *link, struct agent_call *call, struct slice payload, bool error)
{
	struct slice container = {0}, exec = {0};
	struct read_stream *stream;

	if (!envelope_process(payload, &container, &exec))
		return;
	stream = read_offsets_find(&link->links->offsets, container, exec, error);
	if (!stream)
		return;
	if (stream->open)
		stream->plain = true;
	if (stream->plain)
		return;
	stream->open = true;
	call->reads = stream->number;
}

static void note_process(struct agent_link *link, struct slice payload, bool all)
{
	struct slice container = {0}, exec = {0};

	if (envelope_process(payload, &container, &exec))
		read_offsets_forget(&link->links->offsets, container, exec, all);
}

/* ---- From the client ----------------------------------------------------------------------------------------- */

/* A request that is there as a whole; `frame` begins with its header. False where it has to wait. */
static bool take_request(struct agent_link *link, uint32_t stream, struct slice frame)
{
	const struct slice body = {frame.bytes + TTRPC_HEADER_SIZE, frame.length - TTRPC_HEADER_SIZE};
	struct envelope_request request;
	unsigned int kind = AGENT_CALL_ONCE;
	enum agent_kind agent = AGENT_OTHER;
	struct agent_call *call;

	if (envelope_request(body, &request))
		kind = agent_call_kind(&request);
	else
		request = (struct envelope_request){0};
	if (kind & (AGENT_CALL_STDOUT | AGENT_CALL_STDERR))
		agent = agent_probe_ask(&link->links->probe);
	if (agent == AGENT_ASKED)
		return false;
	call = agent_calls_add(&link->calls, stream, request.method,
			       kind & AGENT_CALL_AGAIN ? frame : (struct slice){0});
	if (!call)
		return false;
	if (agent == AGENT_OURS && call->length > 0)
		name_offset(link, call, request.payload, kind & AGENT_CALL_STDERR);
	if (kind & (AGENT_CALL_PROCESS | AGENT_CALL_REMOVE))
		note_process(link, request.payload, kind & AGENT_CALL_REMOVE);
	if (call->reads)
		issue(link, call);
	else
		pass(link, &link->guest, frame.bytes, frame.length);
	return true;
}

/* A long request, or data of a stream: a response belongs to it, too, where it is that of no call that is open. */
static bool take_other(struct agent_link *link, const struct ttrpc_header *header)
{
	bool expects = header->type == TTRPC_REQUEST ||
		       (header->type == TTRPC_DATA && !agent_calls_find(&link->calls, header->stream));

	return !expects || agent_calls_add(&link->calls, header->stream, (struct slice){0}, (struct slice){0});
}

/* One frame, or a piece of one. How many bytes that was; 0 where more are needed, or it has to wait. */
static size_t take_from_client(struct agent_link *link, struct slice rest)
{
	struct agent_side *client = &link->client;
	struct ttrpc_header header;
	size_t length;

	if (client->body > 0) {
		length = rest.length < client->body ? rest.length : (size_t)client->body;
		if (!link->swallow)
			pass(link, &link->guest, rest.bytes, length);
		client->body -= length;
		if (client->body == 0)
			link->swallow = false;
		return length;
	}
	if (rest.length < TTRPC_HEADER_SIZE)
		return 0;
	header = ttrpc_header_decode(rest.bytes);
	length = TTRPC_HEADER_SIZE;
	if (header.type == TTRPC_REQUEST && header.length <= AGENT_LINK_WHOLE - TTRPC_HEADER_SIZE) {
		length += header.length;
		if (rest.length < length)
			return 0;
		link->held = !take_request(link, header.stream, (struct slice){rest.bytes, length});
		return link->held ? 0 : length;
	}
	link->held = !take_other(link, &header);
	if (link->held)
		return 0;
	pass(link, &link->guest, rest.bytes, length);
	client->body = header.length;
	return length;
}

/* ---- From the guest ------------------------------------------------------------------------------------------ */

static void complain(struct agent_link *link, const char *what)
{
	if (!link->complained)
		log_warning("the guest's agent sends %s: its connection is cut", what);
	link->complained = true;
	/* As if it had ended. */
	link->guest.gone = link->guest.ended = true;
	loop_remove(link->links->loop, &link->guest.source);
}

/* A read that named its offset is answered. True where the client doesn't get that: the agent doesn't have the offset any more, or
 * another reader had what was before it, and the read is issued as the client has sent it. */
static bool answered_read(struct agent_link *link, struct agent_call *call, struct slice head, uint32_t length)
{
	struct read_stream *stream = stream_of(link, call);
	struct envelope_answer got;

	if (!stream)
		return false;
	if (!envelope_answer(head, &got) || got.length > length) {
		stream->plain = true;
		return false;
	}
	if (got.code == TTRPC_FAILED_PRECONDITION && length <= AGENT_LINK_WHOLE) {
		stream->plain = true;
		stream->open = false;
		call->reads = 0;
		issue(link, call);
		return true;
	}
	stream->offset += got.length;
	return false;
}

static size_t take_from_guest(struct agent_link *link, struct slice rest)
{
	struct agent_side *guest = &link->guest;
	struct ttrpc_header header;
	struct agent_call *call;
	bool whole, swallowed = false;
	size_t length;

	if (guest->body > 0) {
		length = rest.length < guest->body ? rest.length : (size_t)guest->body;
		pass(link, &link->client, rest.bytes, length);
		guest->body -= length;
		return length;
	}
	if (rest.length < TTRPC_HEADER_SIZE)
		return 0;
	header = ttrpc_header_decode(rest.bytes);
	call = agent_calls_find(&link->calls, header.stream);
	if ((header.type != TTRPC_RESPONSE && header.type != TTRPC_DATA) || header.length > TTRPC_BODY_MAX || !call) {
		complain(link, call ? "no frame of ttrpc" : "a response that nobody waits for");
		return 0;
	}
	whole = header.length <= AGENT_LINK_WHOLE - TTRPC_HEADER_SIZE;
	length = TTRPC_HEADER_SIZE + (whole ? header.length : ENVELOPE_HEAD);
	if (rest.length < length)
		return 0;
	if (header.type == TTRPC_RESPONSE) {
		const struct slice head = {rest.bytes + TTRPC_HEADER_SIZE, length - TTRPC_HEADER_SIZE};

		link->cuts = 0;
		swallowed = call->reads && answered_read(link, call, head, header.length);
		if (!swallowed)
			forget_call(link, call);
	}
	if (!swallowed)
		pass(link, &link->client, rest.bytes, length);
	guest->body = whole ? 0 : header.length - ENVELOPE_HEAD;
	return length;
}

/* ---- From a side --------------------------------------------------------------------------------------------- */

/* Follows the frames in `bytes`: how many have been taken. */
static size_t take_frames(struct agent_link *link, struct agent_side *side, struct slice bytes)
{
	size_t taken = 0, count;

	do {
		struct slice rest = {bytes.bytes + taken, bytes.length - taken};

		count = rest.length == 0	? 0
			: side == &link->client ? take_from_client(link, rest)
						: take_from_guest(link, rest);
		taken += count;
	} while (count > 0);
	flush_run(link, &link->client);
	flush_run(link, &link->guest);
	return taken;
}

static void take_kept(struct agent_link *link, struct agent_side *side)
{
	buffer_consume(&side->in,
		       take_frames(link, side, (struct slice){buffer_bytes(&side->in), buffer_length(&side->in)}));
}

/* Reads once, and passes on what can go on. */
static void take(struct agent_link *link, struct agent_side *side)
{
	bool kept = buffer_length(&side->in) > 0;
	uint8_t *room = kept ? buffer_reserve(&side->in, AGENT_LINK_WHOLE) : link->links->bytes;
	size_t size = kept ? AGENT_LINK_WHOLE : AGENT_LINK_READ;
	ssize_t count = room ? recv(side->fd, room, size, MSG_DONTWAIT) : 0;

	if (!room)
		log_warning("no memory for a frame of agent.sock");
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0) {
		side->ended = true;
		return;
	}
	if (kept) {
		buffer_commit(&side->in, (size_t)count);
		take_kept(link, side);
	} else {
		size_t taken = take_frames(link, side, (struct slice){room, (size_t)count});

		if (buffer_append(&side->in, room + taken, (size_t)count - taken) < 0)
			link->over = true;
	}
}

static struct agent_side *other(struct agent_link *link, struct agent_side *side)
{
	return side == &link->client ? &link->guest : &link->client;
}

/* Whether there is somewhere for what it says. */
static bool may_take(struct agent_link *link, struct agent_side *side)
{
	return side->fd >= 0 && !side->ended && other(link, side)->fd >= 0 &&
	       buffer_length(&other(link, side)->out) == 0 && !(side == &link->client && link->held);
}

static void side_ready(struct agent_link *link, struct agent_side *side, uint32_t events)
{
	if (events & (EPOLLHUP | EPOLLERR)) {
		loop_remove(link->links->loop, &side->source);
		side->gone = true;
	}
	if (events & EPOLLOUT)
		flush_out(side);
	if ((events & EPOLLIN) && may_take(link, side))
		take(link, side);
	settle(link);
}

static void client_ready(struct loop_source *source, uint32_t events)
{
	struct agent_link *link = container_of(source, struct agent_link, client.source);

	side_ready(link, &link->client, events);
}

static void guest_ready(struct loop_source *source, uint32_t events)
{
	struct agent_link *link = container_of(source, struct agent_link, guest.source);

	side_ready(link, &link->guest, events);
}

static void watch(struct agent_link *link, struct agent_side *side)
{
	uint32_t events = 0;

	if (side->source.fd < 0)
		return;
	if (may_take(link, side))
		events |= EPOLLIN;
	if (buffer_length(&side->out) > 0)
		events |= EPOLLOUT;
	loop_change(link->links->loop, &side->source, events);
}

/* ---- The guest's connection ---------------------------------------------------------------------------------- */

static void side_init(struct agent_side *side)
{
	*side = (struct agent_side){.fd = -1, .source.fd = -1};
	buffer_init(&side->in, TTRPC_HEADER_SIZE + AGENT_LINK_READ + AGENT_LINK_WHOLE);
	buffer_init(&side->out, AGENT_LINK_OUT);
}

static void side_close(struct agent_link *link, struct agent_side *side)
{
	loop_remove(link->links->loop, &side->source);
	if (side->fd >= 0)
		shutdown(side->fd, SHUT_RDWR);
	fd_close(&side->fd);
	buffer_free(&side->in);
	buffer_free(&side->out);
	side_init(side);
}

static void retry_due(struct loop_timer *timer)
{
	struct agent_link *link = container_of(timer, struct agent_link, retry);

	connect_guest(link);
	settle(link);
}

/* Calls are issued again while something comes of that: one of them may be what ends the agent. */
static void answer_cut_calls(struct agent_link *link)
{
	struct list *next = link->calls.open.next;

	while (next != &link->calls.open) {
		struct agent_call *call = container_of(next, struct agent_call, link);

		next = next->next;
		if (call->length > 0 && link->cuts < AGENT_LINK_TRIES)
			continue;
		answer(link, call->stream, call->method);
		forget_call(link, call);
	}
}

static void guest_cut(struct agent_link *link)
{
	bool in_response = link->guest.body > 0;
	uint64_t delay = RETRY_FIRST;

	side_close(link, &link->guest);
	if (in_response || link->client.ended || link->links->finishing) {
		if (in_response && !link->links->finishing)
			log_info("the agent's connection was cut in a response: so is its client's");
		link->closing = true;
		return;
	}
	log_debug("the agent's connection was cut with %zu calls open", link->calls.count);
	link->swallow = link->client.body > 0;
	answer_cut_calls(link);
	if (link->cuts == 0)
		delay = 0;
	for (unsigned int i = 1; i < link->cuts && delay < RETRY_LAST; i++)
		delay *= 2;
	link->cuts += link->cuts < 1000;
	loop_timer_set(link->links->loop, &link->retry, delay < RETRY_LAST ? delay : RETRY_LAST, retry_due);
}

/* A pair whose other end is a stream's. */
static int open_pair(struct agent_link *link)
{
	int pair[2], status;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	link->guest.fd = pair[0];
	status = streams_serve(link->links->streams, pair[1], STREAM_AGENT, STREAM_AGENT_PORT);
	return status < 0 ? status
			  : loop_add(link->links->loop, &link->guest.source, link->guest.fd, 0, guest_ready);
}

static void connect_guest(struct agent_link *link)
{
	struct list *next = link->calls.open.next;
	int status = open_pair(link);

	if (status < 0) {
		log_warning("a client of agent.sock can't be served: %s", strerror(-status));
		link->over = true;
		return;
	}
	for (; next != &link->calls.open; next = next->next)
		issue(link, container_of(next, struct agent_call, link));
}

/* ---- Links --------------------------------------------------------------------------------------------------- */

static void link_free(struct agent_link *link)
{
	struct agent_links *links = link->links;

	while (!list_empty(&link->calls.open))
		forget_call(link, container_of(link->calls.open.next, struct agent_call, link));
	loop_timer_clear(links->loop, &link->retry);
	side_close(link, &link->client);
	side_close(link, &link->guest);
	list_remove(&link->link);
	links->count--;
	free(link);
	if (links->count == 0 && links->emptied)
		links->emptied(links);
}

/* What comes of what has been read, and of what there is to write. False where nothing did. */
static bool advance(struct agent_link *link)
{
	struct agent_side *client = &link->client, *guest = &link->guest;

	if (guest->gone && may_take(link, guest)) {
		take(link, guest);
		return true;
	}
	if (guest->fd >= 0 && guest->ended && buffer_length(&client->out) == 0) {
		guest_cut(link);
		return true;
	}
	if (client->gone && may_take(link, client)) {
		take(link, client);
		return true;
	}
	if (client->ended && !link->shut && !link->held && guest->fd >= 0 && buffer_length(&guest->out) == 0) {
		shutdown(guest->fd, SHUT_WR);
		link->shut = true;
	}
	link->over |= client->gone && (link->shut || (link->held && link->calls.count == AGENT_CALLS_MAX));
	link->over |= link->closing && buffer_length(&client->out) == 0;
	return false;
}

/* After everything that may have changed something. The link may be gone then. */
static void settle(struct agent_link *link)
{
	if (link->held && link->guest.fd >= 0 && buffer_length(&link->guest.out) == 0 && link->calls.count < AGENT_CALLS_MAX &&
	    link->links->probe.kind != AGENT_ASKED) {
		link->held = false;
		take_kept(link, &link->client);
	}
	while (!link->over && advance(link))
		;
	if (link->over) {
		link_free(link);
		return;
	}
	watch(link, &link->client);
	watch(link, &link->guest);
}

static void probe_known(struct agent_probe *probe)
{
	struct agent_links *links = container_of(probe, struct agent_links, probe);
	struct list *next = links->all.next;

	while (next != &links->all) {
		struct agent_link *link = container_of(next, struct agent_link, link);

		next = next->next;
		settle(link);
	}
}

void agent_links_init(struct agent_links *links, struct loop *loop, struct streams *streams)
{
	*links = (struct agent_links){.loop = loop, .streams = streams};
	list_init(&links->all);
	agent_probe_init(&links->probe, loop, streams, probe_known);
	read_offsets_init(&links->offsets);
}

void agent_links_serve(struct agent_links *links, int fd)
{
	struct agent_link *link = calloc(1, sizeof(*link));

	if (!links->bytes)
		links->bytes = malloc(AGENT_LINK_READ);
	if (!link || !links->bytes) {
		log_warning("no memory for a client of agent.sock");
		free(link);
		fd_close(&fd);
		return;
	}
	link->links = links;
	side_init(&link->client);
	side_init(&link->guest);
	agent_calls_init(&link->calls);
	list_append(&links->all, &link->link);
	links->count++;
	link->client.fd = fd;
	link->over = loop_add(links->loop, &link->client.source, fd, 0, client_ready) < 0;
	if (!link->over)
		connect_guest(link);
	settle(link);
}

void agent_links_finish(struct agent_links *links, void (*emptied)(struct agent_links *links))
{
	links->finishing = true;
	agent_probe_close(&links->probe);
	links->emptied = emptied;
	if (links->count == 0) {
		emptied(links);
		return;
	}
	for (struct list *next = links->all.next; next != &links->all;) {
		struct agent_link *link = container_of(next, struct agent_link, link);

		next = next->next;
		/* Nothing will come any more. */
		link->closing |= link->guest.fd < 0;
		settle(link);
	}
}

void agent_links_destroy(struct agent_links *links)
{
	if (!links->loop)
		return;
	links->emptied = NULL;
	agent_probe_close(&links->probe);
	while (links->count > 0)
		link_free(container_of(links->all.next, struct agent_link, link));
	read_offsets_free(&links->offsets);
	free(links->bytes);
	links->bytes = NULL;
}
