/* --forward: Unix sockets of the host that lead to ports of the guest, and ports of the host, as the guest sees it, that lead
 * to Unix sockets.
 */
#ifndef NACRE_PROXY_FORWARD_H
#define NACRE_PROXY_FORWARD_H

#include <stdbool.h>

#include "proxy/listener.h"
#include "proxy/stream.h"

#define FORWARDS_MAX 32

struct forward_rule {
	bool to_guest; /* who connects: a client of `path`, to the guest's port; or the guest, to the host's */
	bool messages; /* to the guest: the path is a socket of messages (SOCK_SEQPACKET) */
	uint32_t port;
	char *path;
};

struct forward_rules {
	size_t count;
	struct forward_rule list[FORWARDS_MAX];
};

/* Adds what "PATH:PORT" or "PATH:PORT/seqpacket" (to the guest) or "PORT:PATH" (from it) says; a path that is a number is written ./NUMBER. 0, or
 * -errno with `error` filled. */
int forward_parse(struct forward_rules *rules, const char *text, struct error *error);
void forward_rules_free(struct forward_rules *rules);

/* Where the guest's connections to a port of the host go; NULL where no rule says so. */
const char *forward_path(const struct forward_rules *rules, uint32_t host_port);

struct forward {
	struct listener listener;
	struct streams *streams;
	uint32_t guest_port;
};

struct forwards {
	size_t count;
	struct forward list[FORWARDS_MAX];
};

/* Serves those to the guest, each with the socket that is there for it. 0, or -errno with `error` filled; forwards_close()
 * is due in both cases. */
struct listening;
int forwards_open(struct forwards *forwards, const struct forward_rules *rules, const struct listening *sockets,
		  struct loop *loop, struct streams *streams, struct error *error);
void forwards_close(struct forwards *forwards);

#endif
