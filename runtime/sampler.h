/* The statistics of many containers, each asked of its own VM's agent and all at once: one that doesn't answer holds
 * nobody up. */
#ifndef NACRE_RUNTIME_SAMPLER_H
#define NACRE_RUNTIME_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/loop.h"
#include "lib/ttrpc_client.h"
#include "runtime/stats.h"
#include "runtime/target.h"

struct sample {
	struct sampler *sampler;
	struct target target;
	struct ttrpc_client *client; /* NULL: to be connected with the next question */
	bool asked;		     /* and not answered yet */
	bool kept;		     /* sampler_follow(): it is still there */
	struct stats before, now;    /* the last two answers */
	struct error error;	     /* why there was none to the last question; its number is 0 otherwise */
};

struct sampler {
	struct loop *loop;
	const char *directory; /* of --dir, or NULL */
	struct sample **samples;
	size_t count;
	size_t waiting; /* for answers */
};

/* Adds a container. 0 or -errno. */
int sampler_add(struct sampler *sampler, const char *name, struct error *error);

/* Adds all of ours that run, and forgets those that don't any more. 0 or -errno. */
int sampler_follow(struct sampler *sampler, struct error *error);

/* Asks each that has no question open. The answers arrive by the loop, within ten seconds. */
void sampler_ask(struct sampler *sampler);

void sampler_close(struct sampler *sampler);

#endif
