// uses: init/notify.c
/* What a service manager hears: by a socket of the test's own. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "init/notify.h"

/* Listens at this name, "@" and all, and puts it into the environment. */
static int listen_at(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, name);
	if (*name == '@')
		address.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static void assert_heard(int manager, const char *expected)
{
	char text[64] = "";

	assert_true(recv(manager, text, sizeof(text) - 1, MSG_DONTWAIT) > 0);
	assert_string_equal(text, expected);
}

static void states_arrive_at_a_path(void **state)
{
	char path[] = "/tmp/nacre-notify-XXXXXX";
	int manager, fd;

	(void)state;
	close(mkstemp(path));
	unlink(path);
	manager = listen_at(path);
	fd = notify_open();
	assert_true(fd >= 0);
	notify_send(fd, "READY=1");
	assert_heard(manager, "READY=1");
	/* Nobody after us is to speak for us. */
	assert_null(getenv("NOTIFY_SOCKET"));
	close(fd);
	close(manager);
	unlink(path);
}

static void abstract_names_are_understood(void **state)
{
	char name[64];
	int manager, fd;

	(void)state;
	snprintf(name, sizeof(name), "@nacre-notify-%d", getpid());
	manager = listen_at(name);
	fd = notify_open();
	notify_send(fd, "STOPPING=1");
	assert_heard(manager, "STOPPING=1");
	close(fd);
	close(manager);
}

static void nobody_wants_to_know(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify_open(), -1);
	setenv("NOTIFY_SOCKET", "/nowhere/notify", 1);
	assert_int_equal(notify_open(), -1);
	setenv("NOTIFY_SOCKET", "vsock:2:1", 1);
	assert_int_equal(notify_open(), -1);
	notify_send(-1, "READY=1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states_arrive_at_a_path),
		cmocka_unit_test(abstract_names_are_understood),
		cmocka_unit_test(nobody_wants_to_know),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
