/* What a VM's proxy knows about it, as metrics for Prometheus. */
#ifndef NACRE_RUNTIME_METRICS_PROXY_H
#define NACRE_RUNTIME_METRICS_PROXY_H

#include <stdio.h>

#include "proxy.pb-c.h"

/* The connections, those of one origin and port together: a number each. */
void metrics_of_connections(FILE *file, const Nacre__ListConnectionsResponse *response);

/* The sessions, and each stream of theirs. */
void metrics_of_sessions(FILE *file, const Nacre__ListSessionsResponse *response);

#endif
