// uses: runtime/outlet.c runtime/inlet.c lib/loop.c lib/buffer.c lib/fd.c lib/path.c lib/error.c
/* Writing and reading without waiting, and without changing what others share. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "runtime/inlet.h"
#include "runtime/outlet.h"

#define SIZE (512u << 10)

struct watched {
	struct outlet outlet;
	bool drained, broke;
};

static void drained(struct outlet *outlet)
{
	container_of(outlet, struct watched, outlet)->drained = true;
}

static void broke(struct outlet *outlet)
{
	container_of(outlet, struct watched, outlet)->broke = true;
}

/* All that was written comes out of `reader`, in order. */
static void read_back(struct loop *loop, struct watched *watched, int reader)
{
	static uint8_t out[SIZE], in[SIZE];
	size_t done = 0;

	for (size_t i = 0; i < SIZE; i++)
		out[i] = (uint8_t)(i * 31 + i / 4096);
	outlet_write(&watched->outlet, out, SIZE);
	assert_true(outlet_pending(&watched->outlet));
	assert_false(watched->drained);
	fd_set_blocking(reader, false);
	while (done < SIZE) {
		ssize_t count = read(reader, in + done, SIZE - done);

		assert_true(count > 0 || (count < 0 && errno == EAGAIN));
		done += count > 0 ? (size_t)count : 0;
		if (!watched->drained)
			assert_int_equal(loop_step(loop), 0);
	}
	assert_true(watched->drained);
	assert_memory_equal(in, out, SIZE);
}

static void pipe_stays_blocking(void **state)
{
	struct watched watched = {.outlet = {.drained = drained, .broke = broke}};
	struct loop loop;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	loop_init(&loop);
	outlet_open_shared(&watched.outlet, &loop, ends[1]);
	assert_int_equal(watched.outlet.kind, OUTLET_PRIVATE);
	assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
	read_back(&loop, &watched, ends[0]);
	close(ends[0]);
	outlet_write(&watched.outlet, "x", 1);
	assert_true(watched.broke);
	assert_int_equal(watched.outlet.broken, EPIPE);
	outlet_write(&watched.outlet, "x", 1);
	outlet_close(&watched.outlet);
	assert_true(fcntl(ends[1], F_GETFD) >= 0);
	close(ends[1]);
	loop_destroy(&loop);
}

/* What can't be opened again is written a page at a time, and still never blocks. */
static void shared_pipe(void **state)
{
	struct watched watched = {.outlet = {.drained = drained, .broke = broke}};
	struct loop loop;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	loop_init(&loop);
	outlet_open_shared(&watched.outlet, &loop, ends[1]);
	fd_close(&watched.outlet.fd);
	watched.outlet.fd = ends[1];
	watched.outlet.kind = OUTLET_SHARED;
	read_back(&loop, &watched, ends[0]);
	outlet_close(&watched.outlet);
	close(ends[0]);
	close(ends[1]);
	loop_destroy(&loop);
}

static void sockets(void **state)
{
	struct watched watched = {.outlet = {.drained = drained, .broke = broke}};
	struct loop loop;
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	loop_init(&loop);
	outlet_open_socket(&watched.outlet, &loop, ends[1]);
	read_back(&loop, &watched, ends[0]);
	close(ends[0]);
	outlet_write(&watched.outlet, "x", 1);
	assert_true(watched.broke);
	outlet_close(&watched.outlet);
	loop_destroy(&loop);
}

struct reader {
	struct inlet inlet;
	size_t length;
	bool ended;
};

static void arrived(struct inlet *inlet, const void *data, size_t length)
{
	struct reader *reader = container_of(inlet, struct reader, inlet);

	(void)data;
	reader->length += length;
	reader->ended = length == 0;
}

static void read_file(void **state)
{
	char path[] = "/tmp/nacre-inlet-test-XXXXXX";
	cleanup_close int fd = mkstemp(path);
	struct reader reader = {0};
	struct loop loop;

	(void)state;
	unlink(path);
	assert_int_equal(ftruncate(fd, 3 * INLET_CHUNK + 5), 0);
	loop_init(&loop);
	inlet_open(&reader.inlet, &loop, fd, arrived);
	inlet_want(&reader.inlet, true);
	assert_int_equal(loop_step(&loop), 0);
	inlet_want(&reader.inlet, false);
	assert_in_range(reader.length, INLET_CHUNK, 3 * INLET_CHUNK);
	inlet_want(&reader.inlet, true);
	for (int i = 0; i < 10 && !reader.ended; i++)
		assert_int_equal(loop_step(&loop), 0);
	assert_true(reader.ended);
	assert_int_equal(reader.length, 3 * INLET_CHUNK + 5);
	assert_null(loop.timers);
	loop_destroy(&loop);
}

static void read_pipe(void **state)
{
	struct reader reader = {0};
	struct loop loop;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	loop_init(&loop);
	inlet_open(&reader.inlet, &loop, ends[0], arrived);
	assert_int_equal(write(ends[1], "hello", 5), 5);
	inlet_want(&reader.inlet, true);
	assert_int_equal(loop_step(&loop), 0);
	assert_int_equal(reader.length, 5);
	close(ends[1]);
	assert_int_equal(loop_step(&loop), 0);
	assert_true(reader.ended);
	inlet_want(&reader.inlet, true); /* nothing more comes */
	assert_int_equal(reader.inlet.source.fd, -1);
	close(ends[0]);
	loop_destroy(&loop);
}

static int ignore_sigpipe(void **state)
{
	(void)state;
	return signal(SIGPIPE, SIG_IGN) == SIG_ERR ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pipe_stays_blocking), cmocka_unit_test(shared_pipe), cmocka_unit_test(sockets),
		cmocka_unit_test(read_file),	       cmocka_unit_test(read_pipe),
	};

	return cmocka_run_group_tests(tests, ignore_sigpipe, NULL);
}
