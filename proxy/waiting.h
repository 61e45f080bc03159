/* Lists of calls that are answered later: one whose client goes or loses patience leaves its list by itself. */
#ifndef NACRE_PROXY_WAITING_H
#define NACRE_PROXY_WAITING_H

#include "lib/list.h"
#include "lib/ttrpc_server.h"

struct waiting {
	struct list link;
	struct ttrpc_call *call;
	uint64_t number, deadline; /* whatever the list needs to know of it */
};

/* Appends the call. NULL without memory: then it has been failed. */
struct waiting *waiting_add(struct list *head, struct ttrpc_call *call);

/* Takes it out again; the call is the caller's to answer. */
struct ttrpc_call *waiting_remove(struct waiting *waiting);

/* Takes the first one out; NULL where there is none. */
struct ttrpc_call *waiting_take(struct list *head);

/* Fails all of them. */
void waiting_fail(struct list *head, enum ttrpc_code code, const char *text);

#endif
