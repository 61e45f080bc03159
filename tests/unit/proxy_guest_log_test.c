// uses: lib/loop.c lib/error.c lib/fd.c lib/log.c lib/utf8.c proxy/guest_log.c proxy/log_sink.c proxy/unix_socket.c
/* The guest's log, from a stand-in of its port to files, and to sockets that the test has: what arrives, what is left out and
 * counted, and what a guest can't do with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/sockios.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/guest_log.h"

#define PATH_SIZE 128
#define STEPS 20000
#define BIG (4u << 20)

static char directory[64];

struct scene {
	struct loop loop;
	struct loop_timer tick;
	struct streams streams;
	struct guest_log_options options;
	struct guest_log log;
	int guest; /* -1 until the proxy has connected */
};

/* The port, which may refuse as a stream does: by its end. */
static struct scene *current;
static bool refuse;
static unsigned int asked;

int streams_serve(struct streams *streams, int fd, enum stream_origin origin, uint32_t port)
{
	(void)streams;
	assert_int_equal(origin, STREAM_FORWARD);
	assert_int_equal(port, 1025);
	asked++;
	if (refuse)
		close(fd);
	else
		current->guest = fd;
	return 0;
}

static const char *in_directory(char path[PATH_SIZE], const char *name)
{
	snprintf(path, PATH_SIZE, "%s/%s", directory, name);
	return path;
}

static int make_directory(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/nacre-log-test-XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	static const char *const left[] = {"log", "log.1", "socket", "link", "fifo"};
	char path[PATH_SIZE];

	(void)state;
	for (size_t i = 0; i < array_size(left); i++)
		unlink(in_directory(path, left[i]));
	return rmdir(directory);
}

static void nothing(struct loop_timer *timer)
{
	(void)timer;
}

static void step(struct scene *scene)
{
	loop_timer_set(&scene->loop, &scene->tick, LOOP_MILLISECOND, nothing);
	assert_int_equal(loop_step(&scene->loop), 0);
}

static int start(struct scene *scene, const char *sink, uint32_t rate, struct error *error)
{
	static char text[PATH_SIZE];

	*scene = (struct scene){.guest = -1, .options = {.port = 1025, .rate = rate}};
	current = scene;
	snprintf(text, sizeof(text), sink, directory);
	assert_int_equal(log_sink_parse(&scene->options.sink, text, NULL), 0);
	assert_int_equal(loop_init(&scene->loop), 0);
	return guest_log_open(&scene->log, &scene->options, &scene->loop, &scene->streams, directory, error);
}

static void connect_guest(struct scene *scene)
{
	for (int i = 0; i < STEPS && scene->guest < 0; i++)
		step(scene);
	assert_true(scene->guest >= 0);
}

static void begin(struct scene *scene, const char *sink, uint32_t rate)
{
	assert_int_equal(start(scene, sink, rate, NULL), 0);
	connect_guest(scene);
}

static void end(struct scene *scene)
{
	guest_log_close(&scene->log);
	loop_timer_clear(&scene->loop, &scene->tick);
	assert_null(scene->loop.timers);
	loop_destroy(&scene->loop);
	fd_close(&scene->guest);
}

/* Bytes that the proxy hasn't read. */
static int waiting(const struct scene *scene)
{
	int count = -1;

	assert_int_equal(ioctl(scene->guest, SIOCOUTQ, &count), 0);
	return count;
}

/* All of it is read, whatever becomes of it. */
static void say_bytes(struct scene *scene, const void *data, size_t length)
{
	const char *bytes = data;

	for (int i = 0; i < STEPS && length > 0; i++) {
		ssize_t count = send(scene->guest, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);

		assert_true(count > 0 || errno == EAGAIN);
		if (count > 0) {
			bytes += count;
			length -= (size_t)count;
		}
		step(scene);
	}
	assert_int_equal(length, 0);
	for (int i = 0; i < STEPS && waiting(scene) > 0; i++)
		step(scene);
	assert_int_equal(waiting(scene), 0);
}

static void say(struct scene *scene, const char *text)
{
	say_bytes(scene, text, strlen(text));
}

static char *contents(const char *name)
{
	static char text[BIG];
	char path[PATH_SIZE];
	int fd = open(in_directory(path, name), O_RDONLY | O_CLOEXEC);
	ssize_t length = fd_read_all(fd, text, sizeof(text) - 1);

	assert_true(length >= 0);
	text[length] = '\0';
	close(fd);
	return text;
}

static size_t lines_of(const char *text, const char *with)
{
	size_t count = 0;

	for (const char *found = strstr(text, with); found; found = strstr(found + 1, with))
		count++;
	return count;
}

/* The numbers in "nacre-proxy: N lines left out". */
static size_t left_out(const char *text)
{
	size_t sum = 0;

	for (const char *found = strstr(text, "nacre-proxy: "); found; found = strstr(found + 1, "nacre-proxy: "))
		sum += strtoul(found + strlen("nacre-proxy: "), NULL, 10);
	return sum;
}

/* ---- Files --------------------------------------------------------------------------------------------------- */

static void lines_go_to_a_file(void **state)
{
	struct scene scene;
	struct stat status;
	char path[PATH_SIZE];
	mode_t mask = umask(0);

	(void)state;
	begin(&scene, "file:%s/log", 0);
	say(&scene, "one\ntw");
	say(&scene, "o\r\n\n\nthree");
	assert_string_equal(contents("log"), "one\ntwo\n");
	assert_int_equal(stat(in_directory(path, "log"), &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	/* It ends in the middle of a line, which isn't lost, and is connected to again. */
	shutdown(scene.guest, SHUT_RDWR);
	fd_close(&scene.guest);
	connect_guest(&scene);
	assert_string_equal(contents("log"), "one\ntwo\nthree\n");
	say(&scene, "four\nfive");
	end(&scene);
	/* Another proxy appends. */
	begin(&scene, "file:%s/log", 0);
	say(&scene, "six\n");
	end(&scene);
	assert_string_equal(contents("log"), "one\ntwo\nthree\nfour\nfive\nsix\n");
	umask(mask);
}

static void what_has_come_at_the_end_is_written(void **state)
{
	static char lines[100000];
	struct scene scene;

	(void)state;
	begin(&scene, "file:%s/log", 0);
	memset(lines, 'x', sizeof(lines));
	for (size_t i = 0; i < sizeof(lines); i += 100)
		lines[i] = '\n';
	assert_int_equal(send(scene.guest, lines, sizeof(lines), MSG_DONTWAIT), sizeof(lines));
	end(&scene);
	assert_int_equal(lines_of(contents("log"), "\n"), 1000);
}

static void lines_are_harmless(void **state)
{
	static const char bad[] = "a\033[2Jb\rc\x07\x7f\t\xc2\x9b\xff\xc3\xa9\0z\n";
	struct scene scene;
	char *text;

	(void)state;
	begin(&scene, "file:%s/log", 0);
	say_bytes(&scene, bad, sizeof(bad) - 1);
	assert_string_equal(contents("log"), "a?[2Jb?c??\t??\xef\xbf\xbd\xc3\xa9\xef\xbf\xbdz\n");
	/* A line without an end takes no more than its bound. */
	text = malloc(BIG);
	memset(text, 'x', BIG / 2);
	say_bytes(&scene, text, BIG / 2);
	free(text);
	say(&scene, "\nlast\n");
	text = strchr(contents("log"), '\n') + 1;
	assert_int_equal(strspn(text, "x"), GUEST_LOG_LINE);
	assert_string_equal(text + GUEST_LOG_LINE, "\nlast\n");
	end(&scene);
}

static void a_file_has_a_bound(void **state)
{
	struct scene scene;
	char line[128], path[PATH_SIZE];
	struct stat status;
	size_t lines = 0;
	char *last;

	(void)state;
	begin(&scene, "file:%s/log", 0);
	for (size_t size = 0; size < 5 * LOG_SINK_FILE_MAX / 2; size += 100)
		lines += (size_t)snprintf(line, sizeof(line), "%099zu\n", size / 100) / 100;
	for (size_t i = 0; i < lines; i++) {
		snprintf(line, sizeof(line), "%099zu\n", i);
		say(&scene, line);
	}
	end(&scene);
	assert_int_equal(stat(in_directory(path, "log"), &status), 0);
	assert_in_range(status.st_size, 1, LOG_SINK_FILE_MAX);
	/* The two follow each other. */
	last = contents("log.1");
	assert_in_range(strlen(last), LOG_SINK_FILE_MAX - 100, LOG_SINK_FILE_MAX);
	lines = strtoul(last + strlen(last) - 100, NULL, 10);
	assert_int_equal(strtoul(contents("log"), NULL, 10), lines + 1);
}

static void only_files_of_ours_are_written(void **state)
{
	struct error error = {0};
	struct scene scene;
	char path[PATH_SIZE], other[PATH_SIZE];

	(void)state;
	assert_int_equal(symlink(in_directory(other, "log"), in_directory(path, "link")), 0);
	assert_int_equal(start(&scene, "file:%s/link", 0, &error), -ELOOP);
	assert_non_null(strstr(error.text, "--guest-log"));
	end(&scene);
	assert_int_equal(mkfifo(in_directory(path, "fifo"), 0600), 0);
	assert_int_equal(start(&scene, "file:%s/fifo", 0, &error), -EINVAL);
	end(&scene);
	assert_int_equal(start(&scene, "file:%s/none/log", 0, &error), -ENOENT);
	end(&scene);
}

/* A full disk: what can't be written is counted, and no line is half there. */
static void a_full_disk_holds_nobody_up(void **state)
{
	struct rlimit limit, old;
	struct scene scene;
	char *text;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	limit = old;
	limit.rlim_cur = 1005;
	begin(&scene, "file:%s/log", 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (int i = 0; i < 300; i++)
		say(&scene, "a line\n");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	say(&scene, "again\n");
	text = contents("log");
	assert_int_equal(lines_of(text, "a line\n"), 1005 / 7);
	assert_int_equal(left_out(text), 300 - 1005 / 7);
	assert_string_equal(strchr(strstr(text, "\nnacre-proxy"), ':') + strlen(": 157 lines left out"), "\nagain\n");
	end(&scene);
}

/* ---- How much ------------------------------------------------------------------------------------------------ */

static void the_rest_is_counted(void **state)
{
	static char lines[500 * 7];
	struct scene scene;
	size_t said = 0;
	char *text;

	(void)state;
	begin(&scene, "file:%s/log", 20);
	for (; said < 500; said++)
		memcpy(lines + 7 * said, "a line\n", 7);
	say_bytes(&scene, lines, sizeof(lines));
	/* It goes on, slowly. */
	do {
		say(&scene, "a line\n");
		said++;
		step(&scene);
		text = contents("log");
	} while (left_out(text) == 0 && said < STEPS);
	assert_in_range(lines_of(text, "a line\n"), 20, 400);
	end(&scene);
	text = contents("log");
	assert_int_equal(lines_of(text, "a line\n") + left_out(text), said);
}

/* ---- Sockets ------------------------------------------------------------------------------------------------- */

static int listen_datagrams(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", directory);
	unlink(address.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static const char *receive(struct scene *scene, int fd)
{
	static char text[32768];

	for (int i = 0; i < STEPS; i++) {
		ssize_t length = recv(fd, text, sizeof(text) - 1, 0);

		if (length >= 0) {
			text[length] = '\0';
			return text;
		}
		step(scene);
	}
	fail_msg("no datagram");
	return text;
}

static void a_socket_gets_datagrams(void **state)
{
	int fd = listen_datagrams();
	struct scene scene;

	(void)state;
	begin(&scene, "unix:%s/socket", 0);
	say(&scene, "one\ntwo\n");
	assert_string_equal(receive(&scene, fd), "one");
	assert_string_equal(receive(&scene, fd), "two");
	/* Its reader goes; another comes. */
	close(fd);
	say(&scene, "lost\nlost\n");
	fd = listen_datagrams();
	for (int i = 0; i < STEPS && recv(fd, (char[8]){0}, 8, MSG_PEEK) < 0; i++) {
		say(&scene, "more\n");
		step(&scene);
	}
	assert_non_null(strstr(receive(&scene, fd), "lines left out"));
	assert_string_equal(receive(&scene, fd), "more");
	end(&scene);
	close(fd);
}

static void a_reader_that_stalls_holds_nobody_up(void **state)
{
	int fd = listen_datagrams();
	struct scene scene;
	size_t got = 0, missing = 0;
	const char *text;

	(void)state;
	begin(&scene, "unix:%s/socket", 0);
	for (size_t i = 0; i < 3000; i++) {
		say(&scene, "a line\n");
		if (i == 2000)
			while (recv(fd, (char[8]){0}, 8, MSG_DONTWAIT) > 0)
				got++;
	}
	end(&scene);
	while (recv(fd, (char[1]){0}, 1, MSG_PEEK) > 0) {
		text = receive(&scene, fd);
		got += strcmp(text, "a line") == 0;
		missing += left_out(text);
	}
	/* At its end it may not have been able to say so. */
	assert_true(got > 0 && missing > 0 && got + missing <= 3000);
	close(fd);
}

static void the_journal_gets_entries(void **state)
{
	int fd = listen_datagrams();
	struct scene scene;
	char expected[256];

	(void)state;
	begin(&scene, "journal:%s/socket", 0);
	say(&scene, "{\"msg\":\"x\",\"level\":\"WARN\"}\nplain\nMESSAGE=\x01\n");
	snprintf(expected, sizeof(expected),
		 "SYSLOG_IDENTIFIER=nacre-guest\nNACRE_VM=%s\nPRIORITY=4\nMESSAGE={\"msg\":\"x\",\"level\":\"WARN\"}\n",
		 strrchr(directory, '/') + 1);
	assert_string_equal(receive(&scene, fd), expected);
	assert_non_null(strstr(receive(&scene, fd), "\nPRIORITY=6\nMESSAGE=plain\n"));
	assert_non_null(strstr(receive(&scene, fd), "\nMESSAGE=MESSAGE=?\n"));
	end(&scene);
	close(fd);
}

/* ---- The port ------------------------------------------------------------------------------------------------ */

static void a_port_that_is_not_there_is_asked_for_slowly(void **state)
{
	struct scene scene;

	(void)state;
	refuse = true;
	asked = 0;
	assert_int_equal(start(&scene, "file:%s/log", 0, NULL), 0);
	while (asked < 4)
		step(&scene);
	assert_int_equal(scene.guest, -1);
	assert_true(scene.log.delay >= 8 * 20 * LOOP_MILLISECOND);
	refuse = false;
	connect_guest(&scene);
	say(&scene, "up\n");
	assert_string_equal(contents("log"), "up\n");
	end(&scene);
}

static void bad_sinks_are_named(void **state)
{
	static const char *const bad[] = {"", "file", "file:", "journal:", "unix:", "socket:/a", "Journal"};
	struct log_sink_options options;

	(void)state;
	for (size_t i = 0; i < array_size(bad); i++) {
		struct error error = {0};

		assert_int_equal(log_sink_parse(&options, bad[i], &error), -EINVAL);
		assert_non_null(strstr(error.text, "--guest-log"));
	}
	assert_int_equal(log_sink_parse(&options, "journal", NULL), 0);
	assert_string_equal(options.path, "/run/systemd/journal/socket");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lines_go_to_a_file, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(what_has_come_at_the_end_is_written, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(lines_are_harmless, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(a_file_has_a_bound, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(only_files_of_ours_are_written, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(a_full_disk_holds_nobody_up, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(the_rest_is_counted, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(a_socket_gets_datagrams, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(a_reader_that_stalls_holds_nobody_up, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(the_journal_gets_entries, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(a_port_that_is_not_there_is_asked_for_slowly, make_directory, remove_directory),
		cmocka_unit_test(bad_sinks_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
