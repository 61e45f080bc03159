// uses: lib/loop.c
/* The event loop: sources, timers, and removing either from within a callback. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "lib/loop.h"

struct reader {
	struct loop_source source;
	int ends[2];
	int calls;
	struct reader *victim; /* removed and wiped when this one is called */
};

static struct loop loop;
static int expired_order[8], expired_count;

static int open_loop(void **state)
{
	(void)state;
	expired_count = 0;
	return loop_init(&loop);
}

static int close_loop(void **state)
{
	(void)state;
	loop_destroy(&loop);
	return 0;
}

static void ready(struct loop_source *source, uint32_t events)
{
	struct reader *reader = container_of(source, struct reader, source);
	char byte;

	assert_true(events & EPOLLIN);
	assert_int_equal(read(source->fd, &byte, 1), 1);
	reader->calls++;
	if (reader->victim)
		loop_remove(&loop, &reader->victim->source);
}

static void reader_open(struct reader *reader)
{
	*reader = (struct reader){0};
	assert_int_equal(pipe2(reader->ends, O_CLOEXEC), 0);
	assert_int_equal(loop_add(&loop, &reader->source, reader->ends[0], EPOLLIN, ready), 0);
}

static void reader_close(struct reader *reader)
{
	loop_remove(&loop, &reader->source);
	close(reader->ends[0]);
	close(reader->ends[1]);
}

static void a_source_is_called_as_long_as_it_is_ready(void **state)
{
	struct reader reader;

	(void)state;
	reader_open(&reader);
	assert_int_equal(write(reader.ends[1], "ab", 2), 2);
	assert_int_equal(loop_step(&loop), 0);
	assert_int_equal(loop_step(&loop), 0);
	assert_int_equal(reader.calls, 2);
	reader_close(&reader);
	assert_int_equal(reader.source.fd, -1);
	loop_remove(&loop, &reader.source);
}

static void an_event_of_a_source_removed_meanwhile_is_dropped(void **state)
{
	struct reader one, other;

	(void)state;
	reader_open(&one);
	reader_open(&other);
	one.victim = &other;
	other.victim = &one;
	assert_int_equal(write(one.ends[1], "a", 1), 1);
	assert_int_equal(write(other.ends[1], "a", 1), 1);
	assert_int_equal(loop_step(&loop), 0);
	assert_int_equal(one.calls + other.calls, 1);
	reader_close(&one);
	reader_close(&other);
}

static void a_regular_file_can_not_be_watched(void **state)
{
	struct loop_source source;
	char path[] = "/tmp/nacre-loop-test-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	unlink(path);
	assert_int_equal(loop_add(&loop, &source, fd, EPOLLIN, ready), -EPERM);
	assert_int_equal(source.fd, -1);
	close(fd);
}

struct numbered {
	struct loop_timer timer;
	int number;
	struct numbered *also; /* cleared when this one expires */
};

static void expired(struct loop_timer *timer)
{
	struct numbered *numbered = container_of(timer, struct numbered, timer);

	expired_order[expired_count++] = numbered->number;
	assert_int_equal(timer->deadline, 0);
	if (numbered->also)
		loop_timer_clear(&loop, &numbered->also->timer);
	if (numbered->number == 9)
		loop_stop(&loop);
}

static void changed_events_count(void **state)
{
	struct numbered meanwhile = {.number = 1};
	struct reader reader;

	(void)state;
	reader_open(&reader);
	loop_change(&loop, &reader.source, 0);
	assert_int_equal(write(reader.ends[1], "a", 1), 1);
	loop_timer_set(&loop, &meanwhile.timer, LOOP_MILLISECOND, expired);
	while (expired_count == 0)
		assert_int_equal(loop_step(&loop), 0);
	assert_int_equal(reader.calls, 0);
	loop_change(&loop, &reader.source, EPOLLIN);
	assert_int_equal(loop_step(&loop), 0);
	assert_int_equal(reader.calls, 1);
	reader_close(&reader);
}

static void timers_expire_in_the_order_of_their_deadlines_once(void **state)
{
	struct numbered one = {.number = 1}, two = {.number = 2}, three = {.number = 3}, last = {.number = 9};

	(void)state;
	loop_timer_set(&loop, &last.timer, 40 * LOOP_MILLISECOND, expired);
	loop_timer_set(&loop, &three.timer, 30 * LOOP_MILLISECOND, expired);
	loop_timer_set(&loop, &one.timer, 10 * LOOP_MILLISECOND, expired);
	loop_timer_set(&loop, &two.timer, UINT64_MAX, expired);
	loop_timer_set(&loop, &two.timer, 20 * LOOP_MILLISECOND, expired);
	assert_int_equal(loop_run(&loop), 0);
	assert_int_equal(expired_count, 4);
	for (int i = 0; i < 3; i++)
		assert_int_equal(expired_order[i], i + 1);
}

static void a_timer_clears_another_that_is_due_as_well(void **state)
{
	struct numbered one = {.number = 1}, two = {.number = 2}, last = {.number = 9};

	(void)state;
	one.also = &two;
	two.also = &one;
	loop_timer_set(&loop, &one.timer, 0, expired);
	loop_timer_set(&loop, &two.timer, 0, expired);
	loop_timer_set(&loop, &last.timer, LOOP_MILLISECOND, expired);
	assert_int_equal(loop_run(&loop), 0);
	assert_int_equal(expired_count, 2);
	assert_int_equal(expired_order[0], 1);
}

static void a_timer_is_never_early(void **state)
{
	struct numbered last = {.number = 9};
	uint64_t before = loop_now();

	(void)state;
	loop_timer_set(&loop, &last.timer, 15 * LOOP_MILLISECOND, expired);
	assert_int_equal(loop_run(&loop), 0);
	assert_true(loop_now() - before >= 15 * LOOP_MILLISECOND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_source_is_called_as_long_as_it_is_ready, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(an_event_of_a_source_removed_meanwhile_is_dropped, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(changed_events_count, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(a_regular_file_can_not_be_watched, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(timers_expire_in_the_order_of_their_deadlines_once, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(a_timer_clears_another_that_is_due_as_well, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(a_timer_is_never_early, open_loop, close_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
