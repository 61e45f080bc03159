/* The least that could stand in a vsock device's place: a process between a socket pair and memory that it shares with the guest, in
 * which there are two counts for each way, and an eventfd each way for waking. One stream, no packets, no headers, nothing is
 * checked; each byte is copied once. */
#include "vsock.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

struct lane {
	uint64_t put, taken;
	uint8_t data[BENCH_WINDOW];
};

static struct {
	struct lane *lane; /* of the one way that is measured; of round trips, that to the guest */
	int kick, call;	   /* to the process, to the guest */
	sem_t done;
	const struct bench *bench;
} ground;

#define look(count) __atomic_load_n(&(count), __ATOMIC_SEQ_CST)
#define set(count, value) __atomic_store_n(&(count), (value), __ATOMIC_SEQ_CST)

static void wake(int fd)
{
	if (eventfd_write(fd, 1) < 0)
		die("wake");
}

static void wait_for(int fd)
{
	eventfd_t count;

	if (eventfd_read(fd, &count) < 0)
		die("wait");
}

/* ---- The process ---------------------------------------------------------------------------------------------- */

/* The part of the lane from `begin` on that is in one piece, at most up to `end`. */
static size_t piece(uint64_t begin, uint64_t end)
{
	size_t place = begin % BENCH_WINDOW;

	return end - begin < BENCH_WINDOW - place ? end - begin : BENCH_WINDOW - place;
}

static void device_to_guest(int socket)
{
	struct lane *lane = ground.lane;

	for (;;) {
		uint64_t taken = look(lane->taken);
		ssize_t length;

		if (lane->put == taken + BENCH_WINDOW) {
			wait_for(ground.kick);
			continue;
		}
		length = read(socket, lane->data + lane->put % BENCH_WINDOW, piece(lane->put, taken + BENCH_WINDOW));
		if (length <= 0)
			_exit(length < 0);
		set(lane->put, lane->put + (uint64_t)length);
		wake(ground.call);
	}
}

static void device_to_host(int socket)
{
	struct lane *lane = ground.lane;

	for (;;) {
		uint64_t put = look(lane->put);
		ssize_t length;

		if (lane->taken == put) {
			wait_for(ground.kick);
			continue;
		}
		length = write(socket, lane->data + lane->taken % BENCH_WINDOW, piece(lane->taken, put));
		if (length <= 0)
			_exit(1);
		set(lane->taken, lane->taken + (uint64_t)length);
		wake(ground.call);
	}
}

static void device_round_trip(int socket)
{
	while (read(socket, ground.lane->data, 1) == 1) {
		wake(ground.call);
		wait_for(ground.kick);
		if (write(socket, ground.lane->data, 1) != 1)
			break;
	}
	_exit(0);
}

/* ---- The guest ------------------------------------------------------------------------------------------------ */

static void take_all(void)
{
	struct lane *lane = ground.lane;

	while (lane->taken < ground.bench->amount) {
		uint64_t put = look(lane->put), before = lane->taken;

		if (put == before) {
			wait_for(ground.call);
			continue;
		}
		set(lane->taken, put);
		if (put - before == BENCH_WINDOW || look(lane->put) == before + BENCH_WINDOW)
			wake(ground.kick);
	}
	sem_post(&ground.done);
}

static void put_all(void)
{
	struct lane *lane = ground.lane;

	while (lane->put < ground.bench->amount) {
		uint64_t taken = look(lane->taken), before = lane->put;

		if (lane->put + ground.bench->size > taken + BENCH_WINDOW) {
			wait_for(ground.call);
			continue;
		}
		set(lane->put, lane->put + ground.bench->size);
		/* It sleeps where it had taken everything. */
		if (look(lane->taken) == before)
			wake(ground.kick);
	}
}

static void *guest(void *nothing)
{
	switch (ground.bench->way) {
	case TO_GUEST:
		take_all();
		break;
	case TO_HOST:
		put_all();
		break;
	case ROUND_TRIP:
		for (;;) {
			wait_for(ground.call);
			wake(ground.kick);
		}
	}
	return nothing;
}

int floor_start(const struct bench *bench, int *pid)
{
	pthread_t thread;
	int pair[2];

	ground.bench = bench;
	sem_init(&ground.done, 0, 0);
	ground.lane = mmap(NULL, sizeof(*ground.lane), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ground.kick = eventfd(0, EFD_CLOEXEC);
	ground.call = eventfd(0, EFD_CLOEXEC);
	if (ground.lane == MAP_FAILED || ground.call < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		die("make memory and sockets");
	*pid = fork();
	if (*pid < 0)
		die("fork");
	if (*pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		if (bench->way == TO_GUEST)
			device_to_guest(pair[1]);
		else if (bench->way == TO_HOST)
			device_to_host(pair[1]);
		else
			device_round_trip(pair[1]);
	}
	close(pair[1]);
	if (pthread_create(&thread, NULL, guest, NULL) != 0)
		die("start a thread");
	return pair[0];
}

void floor_finish(void)
{
	while (sem_wait(&ground.done) < 0)
		;
}
