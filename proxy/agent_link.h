/* Clients of agent.sock: each has a connection to the agent of its own, and outlives it.
 *
 * Theory of operation
 *   A link stands between two sockets, the client's and one end of a pair whose other end is a stream (STREAM_AGENT), which asks
 *   the guest until it accepts. ttrpc's frames are followed in both directions. Requests of up to AGENT_LINK_WHOLE bytes and
 *   responses as long go on as a whole, longer ones as they come; nothing is read of one side while the other one has
 *   still to take something, so a client that stalls delays itself alone, and so does a guest.
 *   Where the guest's connection ends (the agent was started again, the serial session anew) the link asks for another one, and
 *   issues again what can be (proxy/agent_calls.c); the other open calls are answered UNAVAILABLE, and what is still to
 *   come of a long request is swallowed. A response of which the client has a part can't be mended: its connection ends.
 *   Where reads can name their offset (the agent has nacre.Guest, which is asked before the first read) they do.
 *   What isn't ttrpc is the agent's to answer, as always, where it comes from the client. A guest that answers what wasn't
 *   asked, or in frames that can't be, has its connection cut.
 */
#ifndef NACRE_PROXY_AGENT_LINK_H
#define NACRE_PROXY_AGENT_LINK_H

#include "lib/buffer.h"
#include "lib/loop.h"
#include "lib/ttrpc.h"
#include "proxy/agent_calls.h"
#include "proxy/agent_probe.h"
#include "proxy/read_offsets.h"
#include "proxy/stream.h"

#define AGENT_LINK_WHOLE (64u << 10)
#define AGENT_LINK_READ AGENT_LINK_WHOLE /* bytes that are read at a time */
#define AGENT_LINK_OUT (1u << 20)	 /* what waits for one side: what was read, calls issued again, answers of our own */
#define AGENT_LINK_DESCRIPTORS 2	 /* beside the client's own */
#define AGENT_LINK_TRIES 5		       /* a call isn't issued again at so many cuts in a row without a response */

struct agent_links {
	struct loop *loop;
	struct streams *streams;
	struct list all;
	size_t count;
	struct agent_probe probe;
	struct read_offsets offsets;
	bool finishing;
	void (*emptied)(struct agent_links *links); /* set by agent_links_finish() */
	uint8_t *bytes; /* AGENT_LINK_READ: what is on its way in this moment; from the first client on */
};

/* One of a link's two sockets. */
struct agent_side {
	struct loop_source source; /* in no loop once the other end is gone */
	int fd;			   /* -1: the guest's, until the next try */
	struct buffer in;	   /* read from it: less than a frame that goes on as a whole, or what there is no room for yet */
	struct buffer out;	   /* to be written to it */
	struct slice run;	   /* to be written behind that, lying where it was read */
	uint64_t body;		   /* of a frame that goes on as it comes: what has still to be read */
	bool gone;		   /* hung up: what is left in it is read */
	bool ended;		   /* nothing more to read */
	bool broken;		   /* what is written to it is lost */
};

struct agent_link {
	struct agent_links *links;
	struct list link;
	struct agent_side client, guest;
	struct agent_calls calls;
	bool held;	/* a whole request waits: too many calls are open, or the agent is being asked for offsets */
	bool swallow;	/* the rest of the client's long frame isn't wanted any more */
	bool shut;	/* the guest's side was told that nothing more comes */
	bool closing;	/* once the client has taken what there is */
	bool over;
	bool complained;
	unsigned int cuts; /* since the last response */
	struct loop_timer retry;
};

void agent_links_init(struct agent_links *links, struct loop *loop, struct streams *streams);

/* Serves a client. `fd` belongs to the link from here on, also where it fails. */
void agent_links_serve(struct agent_links *links, int fd);

/* The VM has ended: what it has said is still delivered, and every client's connection ends. `emptied` is called
 * when all have gone, perhaps at once. */
void agent_links_finish(struct agent_links *links, void (*emptied)(struct agent_links *links));

/* Closes every client's connection at once. */
void agent_links_destroy(struct agent_links *links);

#endif
