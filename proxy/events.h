/* What has happened, for the clients of proxy.sock that ask (nacre.Proxy.NextEvents): the last EVENTS_KEPT, numbered. */
#ifndef NACRE_PROXY_EVENTS_H
#define NACRE_PROXY_EVENTS_H

#include "proxy.pb-c.h"
#include "proxy/waiting.h"

#define EVENTS_KEPT 256

struct event {
	int64_t time; /* CLOCK_REALTIME, nanoseconds */
	Nacre__Event__Type type;
	char *container_id, *exec_id; /* NULL: none */
	int64_t number;
};

struct events {
	struct event ring[EVENTS_KEPT]; /* number N is at N % EVENTS_KEPT */
	uint64_t last;			/* the number of the newest one, 0 before there is any */
	struct list waiting;
};

void events_init(struct events *events);

/* Names may be NULL. Answers whoever waits. */
void events_add(struct events *events, Nacre__Event__Type type, const char *container_id, const char *exec_id, int64_t number);

/* Answers the call now or when there is something to say. */
void events_answer(struct events *events, struct ttrpc_call *call);

/* Fails what waits (UNAVAILABLE), and frees what is kept. */
void events_close(struct events *events);

/* CLOCK_REALTIME in nanoseconds. */
int64_t events_time(void);

#endif
