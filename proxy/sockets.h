/* The sockets of a VM at which clients are waited for. The keeper makes them, or takes them from a service manager, and removes
 * in the end what it has made; its workers accept, one after the other, and who connects while there is none waits.
 */
#ifndef NACRE_PROXY_SOCKETS_H
#define NACRE_PROXY_SOCKETS_H

#include <stdbool.h>
#include <sys/stat.h>

#include "proxy/options.h"

/* What a service manager may pass in the place of what is made here. SOCKET_CARRIER isn't one of these sockets. */
enum { SOCKET_AGENT, SOCKET_PORT, SOCKET_SERVICE, SOCKET_NAMED, SOCKET_CARRIER = SOCKET_NAMED, SOCKET_PASSED };
extern const char *const sockets_passed_names[SOCKET_PASSED];

struct listening {
	int fd; /* -1 where there is none */
	char *path;
	bool made;
	struct stat file; /* of one that was made: only that is removed */
};

struct sockets {
	struct listening named[SOCKET_NAMED];
	struct listening forwards[FORWARDS_MAX]; /* by rule; none where that is one from the guest */
};

/* Takes the first SOCKET_NAMED of `passed`, and makes the rest. 0 or -errno with `error` filled; sockets_close() is due in
 * both cases. */
int sockets_open(struct sockets *sockets, const struct options *options, int passed[SOCKET_PASSED], struct error *error);

/* Stops listening here, and removes what was made. Harmless the second time. */
void sockets_close(struct sockets *sockets);

/* Every descriptor, or -1. */
#define SOCKETS_MAX (SOCKET_NAMED + FORWARDS_MAX)
void sockets_list(const struct sockets *sockets, int fds[SOCKETS_MAX]);

#endif
