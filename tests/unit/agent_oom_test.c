// uses: agent/oom.c agent/call_queue.c agent/container/cgroup.c agent/container/cgroup_processes.c lib/loop.c lib/buffer.c lib/fd.c lib/error.c lib/arena.c
// uses: lib/ttrpc.c lib/ttrpc_server.c lib/message_text.c lib/utf8.c lib/ttrpc_client.c lib/log.c
/* OOM events: as many as the counter has grown by, however seldom it is looked at, and none lost with its caller. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent_service.pb-c.h"
#include "agent/oom.h"
#include "lib/cleanup.h"
#include "lib/ttrpc_client.h"

static struct loop loop;
static struct ttrpc_server server;
static struct oom_events events;

static void get_event(struct ttrpc_call *call)
{
	oom_read(&events, call);
}

static const struct ttrpc_method methods[] = {{"GetOOMEvent", get_event}, {0}};
static const struct ttrpc_service service = {.descriptor = &grpc__agent_service__descriptor, .methods = methods};
static const struct ttrpc_service *const services[] = {&service, NULL};

static int set_up(void **state)
{
	(void)state;
	events = (struct oom_events){0};
	ttrpc_server_init(&server, &loop, services, NULL);
	return loop_init(&loop);
}

static int tear_down(void **state)
{
	(void)state;
	ttrpc_server_destroy(&server);
	loop_destroy(&loop);
	return 0;
}

static struct ttrpc_client *dial(void)
{
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	assert_int_equal(ttrpc_server_serve(&server, sockets[0]), 0);
	return ttrpc_client_new(&loop, sockets[1]);
}

/* A watch whose counter the test writes. */
static struct oom_watch watch_of(const char *id, FILE *counter)
{
	return (struct oom_watch){
		.events = &events,
		.loop = &loop,
		.id = id,
		.file = fileno(counter),
		.notifier = -1,
		.source.fd = -1,
	};
}

static void set_counter(FILE *counter, unsigned kills)
{
	rewind(counter);
	fprintf(counter, "low 0\nhigh 0\nmax 9\noom 7\noom_kill %u\noom_group_kill 0\n", kills);
	fflush(counter);
}

/* Events of "one", of others, and failures. */
struct seen {
	unsigned one, other, failed;
};

static void note(void *data, const struct ttrpc_result *result)
{
	const Grpc__OOMEvent *event = (const void *)result->response;
	struct seen *seen = data;

	if (result->code != TTRPC_OK)
		seen->failed++;
	else if (strcmp(event->container_id, "one") == 0)
		seen->one++;
	else
		seen->other++;
}

static void nothing(struct loop_timer *timer)
{
	(void)timer;
}

static void settle(void)
{
	for (int i = 0; i < 8; i++) {
		struct loop_timer timer = {0};

		loop_timer_set(&loop, &timer, 0, nothing);
		assert_int_equal(loop_step(&loop), 0);
	}
}

static void ask(struct ttrpc_client *client, unsigned times, struct seen *seen)
{
	const Grpc__GetOOMEventRequest request = GRPC__GET_OOMEVENT_REQUEST__INIT;

	while (times-- > 0)
		assert_int_equal(ttrpc_client_call(client, &grpc__agent_service__descriptor, "GetOOMEvent", &request.base, 0,
						   note, seen),
				 0);
	settle();
}

static void every_kill_is_an_event(void **state)
{
	FILE *one = tmpfile(), *two = tmpfile();
	struct oom_watch watch_one = watch_of("one", one), watch_two = watch_of("two", two);
	struct ttrpc_client *client = dial();
	struct seen seen = {0};

	(void)state;
	set_counter(one, 3);
	oom_look(&watch_one);
	set_counter(two, 1);
	oom_look(&watch_two);
	set_counter(one, 5);
	oom_look(&watch_one);
	oom_look(&watch_one); /* nothing new */
	ask(client, 6, &seen);
	assert_int_equal(seen.one, 5);
	assert_int_equal(seen.other, 1);
	/* The seventh waits, until the watch ends and sees one more. */
	ask(client, 1, &seen);
	assert_int_equal(seen.one, 5);
	set_counter(one, 6);
	fflush(one);
	watch_one.file = dup(watch_one.file); /* it closes its own */
	oom_unwatch(&watch_one);
	settle();
	assert_int_equal(seen.one, 6);
	oom_close(&events);
	ask(client, 1, &seen);
	assert_int_equal(seen.failed, 1);
	ttrpc_client_free(client);
	fclose(one);
	fclose(two);
}

/* A caller that goes before its answer finds it leaves the event to the next. */
static void a_lost_event_comes_again(void **state)
{
	FILE *one = tmpfile();
	struct oom_watch watch = watch_of("one", one);
	struct ttrpc_client *client = dial();
	struct seen gone = {0}, seen = {0};

	(void)state;
	ask(client, 2, &gone);
	ttrpc_client_free(client); /* the server doesn't know yet */
	set_counter(one, 2);
	oom_look(&watch);
	settle();
	assert_int_equal(gone.failed, 2);
	client = dial();
	ask(client, 2, &seen);
	assert_int_equal(seen.one, 2);
	ttrpc_client_free(client);
	fclose(one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_kill_is_an_event, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_lost_event_comes_again, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
