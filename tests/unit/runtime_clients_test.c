// uses: runtime/clients*.c runtime/frame.c runtime/outlet.c proxy/unix_socket.c lib/*.c
/* Clients of a monitor: who leaves, who vanishes, and what they have sent before. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/unix_socket.h"
#include "runtime/clients.h"

static struct {
	struct loop loop;
	struct clients clients;
	unsigned abandoned, drained;
	int peer; /* the starter's end */
} scene;

static void input(void *data)
{
	(void)data;
}

static void drained(void *data)
{
	(void)data;
	scene.drained++;
}

static void abandoned(void *data)
{
	(void)data;
	scene.abandoned++;
}

static const struct clients_events events = {.input = input, .drained = drained, .abandoned = abandoned};

static void nothing(struct loop_timer *timer)
{
	(void)timer;
}

/* Does what is to be done now, without waiting for more. */
static void turn(void)
{
	for (int i = 0; i < 4; i++) {
		struct loop_timer timer = {0};

		loop_timer_set(&scene.loop, &timer, 0, nothing);
		assert_int_equal(loop_step(&scene.loop), 0);
	}
}

static void start(void)
{
	struct error error;
	int pair[2];

	memset(&scene, 0, sizeof(scene));
	assert_int_equal(loop_init(&scene.loop), 0);
	clients_init(&scene.clients, &scene.loop, &events, NULL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(clients_add_starter(&scene.clients, pair[1], false, &error), 0);
	scene.peer = pair[0];
	clients_tell_started(&scene.clients, "c", FRAME_IS_INTERACTIVE);
}

static void end(void)
{
	fd_close(&scene.peer);
	clients_close(&scene.clients);
	loop_destroy(&scene.loop);
}

static void say(int fd, enum frame_type type, const char *text)
{
	uint8_t header[FRAME_HEADER_SIZE];

	frame_header(header, type, strlen(text));
	assert_int_equal(send(fd, header, sizeof(header), 0), sizeof(header));
	assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
}

/* Takes what there is for stdin, and expects that. */
static void expect_input(const char *text)
{
	const void *bytes;
	size_t length;

	assert_true(clients_next_input(&scene.clients, &bytes, &length));
	assert_int_equal(length, strlen(text));
	assert_memory_equal(bytes, text, length);
	clients_input_taken(&scene.clients, length);
}

static void output_on_its_way_to_who_leaves(void **state)
{
	(void)state;
	start();
	say(scene.peer, FRAME_STDIN, "last words");
	say(scene.peer, FRAME_DETACH, "");
	fd_close(&scene.peer);
	/* Before anything is read: this finds the socket closed. */
	clients_tell_output(&scene.clients, 0, "text", 4);
	turn();
	assert_int_equal(scene.abandoned, 0);
	expect_input("last words");
	turn();
	assert_int_equal(scene.clients.count, 0);
	end();
}

static void who_vanishes_abandons(void **state)
{
	(void)state;
	start();
	fd_close(&scene.peer);
	clients_tell_output(&scene.clients, 0, "text", 4);
	turn();
	assert_int_equal(scene.abandoned, 1);
	assert_int_equal(scene.clients.count, 0);
	turn();
	assert_int_equal(scene.abandoned, 1);
	end();
}

/* What holds the output up is gone with him. */
static void who_vanishes_holds_nothing_up(void **state)
{
	static const char text[4096];
	unsigned before;

	(void)state;
	start();
	while (!clients_pending(&scene.clients))
		clients_tell_output(&scene.clients, 0, text, sizeof(text));
	turn();
	before = scene.drained;
	fd_close(&scene.peer);
	turn();
	assert_false(clients_pending(&scene.clients));
	assert_true(scene.drained > before);
	end();
}

static int connect_to(const char *path)
{
	struct error error;
	uint8_t hello[FRAME_NUMBERS_SIZE];
	size_t size = frame_of_numbers(hello, FRAME_HELLO, 1, 0, 0);
	int fd = unix_connect(path, &error);

	assert_true(fd >= 0);
	assert_int_equal(send(fd, hello, size, 0), size);
	return fd;
}

/* A container that reads nothing keeps nobody out for what others have left. */
static void what_is_left_makes_place(void **state)
{
	char folder[] = "/tmp/nacre-clients-XXXXXX", path[sizeof(folder) + 8];
	struct error error;
	int fd;

	(void)state;
	start();
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/s", folder);
	assert_int_equal(clients_listen(&scene.clients, path, &error), 0);
	for (unsigned i = 0; i < 2 * CLIENTS_MOST; i++) {
		fd = connect_to(path);
		say(fd, FRAME_STDIN, "x");
		close(fd);
		turn();
	}
	assert_int_equal(scene.clients.count, CLIENTS_MOST);
	fd = connect_to(path);
	say(fd, FRAME_STDIN, "here");
	turn();
	for (unsigned i = 0; i < CLIENTS_MOST - 2; i++)
		expect_input("x");
	expect_input("here");
	turn();
	assert_int_equal(scene.clients.count, 2); /* the starter is the other one */
	close(fd);
	end();
	unlink(path);
	rmdir(folder);
}

/* Who breaks the rules is shown out at once; what came before stays. */
static void who_breaks_the_rules_is_shown_out(void **state)
{
	char byte;

	(void)state;
	start();
	say(scene.peer, FRAME_STDIN, "good");
	say(scene.peer, FRAME_STARTED, "");
	turn();
	while (recv(scene.peer, &byte, 1, MSG_DONTWAIT) > 0)
		;
	assert_int_equal(recv(scene.peer, &byte, 1, MSG_DONTWAIT), 0);
	assert_int_equal(scene.abandoned, 1);
	expect_input("good");
	end();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_on_its_way_to_who_leaves),
		cmocka_unit_test(who_vanishes_abandons),
		cmocka_unit_test(who_vanishes_holds_nothing_up),
		cmocka_unit_test(what_is_left_makes_place),
		cmocka_unit_test(who_breaks_the_rules_is_shown_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
