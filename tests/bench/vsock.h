/* What the parts of the vsock benchmark share: a guest without a VMM (vsock_guest.c), the least that could be done in the place
 * of a vsock device (vsock_floor.c), and what is measured with either (vsock.c). What fails ends the program. */
#ifndef NACRE_TESTS_BENCH_VSOCK_H
#define NACRE_TESTS_BENCH_VSOCK_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_PORT 1024
#define BENCH_GUEST_CID 3
#define BENCH_WINDOW (256u << 10) /* the guest's buffer for a connection, and the floor's */

enum bench_way { TO_GUEST, TO_HOST, ROUND_TRIP };

struct bench {
	enum bench_way way;
	size_t size;	 /* of a write */
	uint64_t amount; /* bytes; of ROUND_TRIP the number of trips */
	int pid;	 /* of whom is measured; 0: nobody */
};

_Noreturn void die(const char *what);

/* A guest's driver, below the device of a vhost-user back-end; its thread serves connections from then on. */
void guest_start(const char *path);

/* Whom the host connects to at BENCH_PORT, at once; the host's end of the connection. */
int guest_connect(const char *path);

/* The guest's part of one measurement, which it begins with the next connection; the host's is up to the caller. */
void guest_begin(const struct bench *bench);

/* Waits until the guest has had everything (TO_GUEST). */
void guest_finish(void);

/* The floor's: a process in the device's place, with one thread as its guest. The host's end; *pid is that process. */
int floor_start(const struct bench *bench, int *pid);
void floor_finish(void);

#endif
