/* Signals, as events of the loop. */
#ifndef NACRE_RUNTIME_SIGNALS_H
#define NACRE_RUNTIME_SIGNALS_H

#include "lib/loop.h"

/* So many times SIGINT or SIGTERM, and a front end goes without the consent of what it has passed them on to: as docker's. */
#define SIGNALS_INSISTED 3

struct signals {
	struct loop *loop;
	int fd;
	struct loop_source source;
	void (*arrived)(struct signals *signals, int number);
};

/* From here on SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH and SIGCONT arrive here, and SIGPIPE is
 * ignored. 0 or -errno. */
int signals_open(struct signals *signals, struct loop *loop, void (*arrived)(struct signals *signals, int number));
void signals_close(struct signals *signals);

#endif
