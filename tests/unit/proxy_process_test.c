// uses: proxy/*.c lib/*.c
/* The proxy as a process: command line, run directory, the VMM as its child; and the client code that reaches it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/client.h"
#include "proxy/keeper.h"
#include "proxy/unix_socket.h"

#define LOG_SUBSYSTEM "test"
#include "lib/log.h"

#define PATH_SIZE 512

static char directory[64];

static int make_directory(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/nacre-proxy-test-XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static const char *in_directory(char path[PATH_SIZE], const char *name)
{
	snprintf(path, PATH_SIZE, "%s/%s", directory, name);
	return path;
}

static int remove_directory(void **state)
{
	static const char *const left[] = {"file", "out", "agent.sock", "vsock.sock"};
	char path[PATH_SIZE];

	(void)state;
	for (size_t i = 0; i < array_size(left); i++)
		unlink(in_directory(path, left[i]));
	/* The proxy has left nothing else. */
	return rmdir(directory);
}

/* ---- The command line ---------------------------------------------------------------------------------------- */

static int parse(struct options *options, struct error *error, const char *line)
{
	static char copy[512], *argv[16];
	int argc = 0;

	snprintf(copy, sizeof(copy), "nacre-proxy %s", line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	optind = 0;
	return options_parse(options, argc, argv, error);
}

static void good_command_lines(void **state)
{
	struct options options;

	(void)state;
	assert_int_equal(parse(&options, NULL, "--dir D --carrier vhost-user:/a/b,cid=3"), 0);
	assert_string_equal(options.directory, "D");
	assert_string_equal(options.carrier.path, "/a/b");
	assert_int_equal(options.carrier.guest_cid, 3);
	assert_null(options.vmm);
	options_free(&options);
	assert_int_equal(
		parse(&options, NULL, "--carrier=vhost-user:a,cid=1,cid=4294967294 --dir=D -- qemu -M x --dir"), 0);
	assert_string_equal(options.carrier.path, "a,cid=1");
	assert_int_equal(options.carrier.guest_cid, 4294967294u);
	assert_false(options.carrier.reconnect);
	assert_string_equal(options.vmm[0], "qemu");
	assert_string_equal(options.vmm[3], "--dir");
	options_free(&options);
	assert_int_equal(parse(&options, NULL, "--dir D --carrier vhost-user:a,reconnect,cid=17,reconnect"), 0);
	assert_string_equal(options.carrier.path, "a,reconnect");
	assert_int_equal(options.carrier.guest_cid, 17);
	assert_true(options.carrier.reconnect);
	options_free(&options);
	assert_int_equal(parse(&options, NULL, "--dir D --carrier hybrid:/a,cid=b"), 0);
	assert_int_equal(options.carrier.type, CARRIER_HYBRID);
	assert_string_equal(options.carrier.path, "/a,cid=b");
	assert_false(options.carrier.half_close);
	options_free(&options);
	assert_int_equal(parse(&options, NULL, "--dir D --carrier hybrid:a,half-close"), 0);
	assert_string_equal(options.carrier.path, "a");
	assert_true(options.carrier.half_close);
	options_free(&options);
	assert_int_equal(parse(&options, NULL, "--dir D --carrier vsock:17"), 0);
	assert_int_equal(options.carrier.type, CARRIER_VSOCK);
	assert_int_equal(options.carrier.guest_cid, 17);
	options_free(&options);
	assert_int_equal(parse(&options, NULL, "--dir D --carrier serial:/a,b"), 0);
	assert_int_equal(options.carrier.type, CARRIER_SERIAL);
	assert_string_equal(options.carrier.path, "/a,b");
	options_free(&options);
	assert_int_equal(parse(&options, NULL, "--help"), 0);
	assert_true(options.help);
}

static void bad_command_lines(void **state)
{
	static const char *const bad[] = {
		"",
		"--dir D",
		"--carrier vhost-user:p,cid=3",
		"--dir",
		"--dir D --carrier",
		"--dir D --carrier vhost-user:p",
		"--dir D --carrier serial:",
		"--dir D --carrier vhost-user:,cid=3",
		"--dir D --carrier vhost-user:p,cid=2",
		"--dir D --carrier vhost-user:p,cid=x",
		"--dir D --carrier vhost-user:p,cid=4294967295",
		"--dir D --carrier vhost-user:p,cid=-1",
		"--dir D --carrier vhost-user:p,cid=,reconnect",
		"--dir D --carrier vhost-user:p,cid=3,reconnect,x",
		"--dir D --carrier vhost-user:p,cid=000000000000000000003",
		"--dir D --carrier hybrid:",
		"--dir D --carrier hybrid:,half-close",
		"--dir D --carrier vsock:",
		"--dir D --carrier vsock:2",
		"--dir D --carrier vsock:3,x",
		"--dir D --carrier tcp:p",
		"--dir D --carrier hybrid:p --carrier vsock:3",
		"--dir D --carrier vhost-user:p,cid=3 qemu",
		"--dir D --carrier serial:p --forward a:5/seqpacket",
		"--dir D --carrier vhost-user:p,cid=3 --other",
	};

	(void)state;
	for (size_t i = 0; i < array_size(bad); i++) {
		struct options options;
		struct error error = {0};

		assert_int_equal(parse(&options, &error, bad[i]), -EINVAL);
		assert_true(strlen(error.text) > 0);
		assert_null(strchr(error.text, '\n'));
		options_free(&options);
	}
}

static void limits_are_read(void **state)
{
	static const char *const bad[] = {
		"--max-connections 0", "--max-connections 65537", "--max-connections x", "--max-connections 5x",
		"--max-guest-connections -1", "--buffer 3", "--buffer 65537", "--handshake-timeout 0",
		"--handshake-timeout 1.5", "--drain-timeout 3601", "--guest-log nowhere", "--guest-log file:",
		"--guest-log-port 4294967295", "--guest-log-rate 1000001", "--guest-log-rate -1", "--drain-timeout 18446744073709551617",
	};
	struct options options;

	(void)state;
	assert_int_equal(parse(&options, NULL, "--dir D --carrier vsock:3"), 0);
	assert_int_equal(options.limits.from_host, 512);
	assert_int_equal(options.limits.from_guest, 256);
	assert_int_equal(options.buffer, 262144);
	assert_int_equal(options.limits.handshake_time, 10 * LOOP_SECOND);
	assert_int_equal(options.drain_time, 5 * LOOP_SECOND);
	assert_int_equal(options.guest_log.sink.type, LOG_SINK_NONE);
	assert_int_equal(options.guest_log.port, 1025);
	assert_int_equal(options.guest_log.rate, 1000);
	options_free(&options);
	assert_int_equal(parse(&options, NULL,
			       "--dir D --carrier vsock:3 --guest-log file:/a:b --guest-log-port 7 --guest-log-rate 0"),
			 0);
	assert_int_equal(options.guest_log.sink.type, LOG_SINK_FILE);
	assert_string_equal(options.guest_log.sink.path, "/a:b");
	assert_int_equal(options.guest_log.port, 7);
	assert_int_equal(options.guest_log.rate, 0);
	options_free(&options);
	assert_int_equal(parse(&options, NULL,
			       "--dir D --carrier vsock:3 --max-connections 9 --max-guest-connections 0 --buffer 4 "
			       "--handshake-timeout 3600 --drain-timeout 0"),
			 0);
	assert_int_equal(options.limits.from_host, 9);
	assert_int_equal(options.limits.from_guest, 0);
	assert_int_equal(options.buffer, 4096);
	assert_int_equal(options.limits.handshake_time, 3600 * LOOP_SECOND);
	assert_int_equal(options.drain_time, 0);
	options_free(&options);
	for (size_t i = 0; i < array_size(bad); i++) {
		char line[256];
		struct error error = {0};

		snprintf(line, sizeof(line), "--dir D --carrier vsock:3 %s", bad[i]);
		assert_int_equal(parse(&options, &error, line), -EINVAL);
		/* The option is named. */
		*strchr(strcpy(line, bad[i]), ' ') = '\0';
		assert_non_null(strstr(error.text, line));
		options_free(&options);
	}
}

static void forwards_are_read(void **state)
{
	static const struct {
		const char *text;
		struct forward_rule rule;
	} good[] = {
		{"/a/b:80", {true, false, 80, "/a/b"}},
		{"80:/a/b", {false, false, 80, "/a/b"}},
		{"./5:6", {true, false, 6, "./5"}},
		{"5:6", {false, false, 5, "6"}},
		{"a:b:4294967294", {true, false, 4294967294, "a:b"}},
		{"a:5/seqpacket", {true, true, 5, "a"}},
		{"9:a/seqpacket", {false, false, 9, "a/seqpacket"}},
		{"0:a:b", {false, false, 0, "a:b"}},
	};
	static const char *const bad[] = {"", ":", "a", "5", "a:", ":5", "5:", "a:b", "a:4294967295", "a:/seqpacket", ":5/seqpacket", "/seqpacket", "a:5/seq", "a/seqpacket:x", "a:-1", "a: 5",
					  "4294967296:", "a:99999999999999999999"};
	struct forward_rules rules = {0};
	struct error error;

	(void)state;
	for (size_t i = 0; i < array_size(good); i++) {
		assert_int_equal(forward_parse(&rules, good[i].text, NULL), 0);
		assert_int_equal(rules.list[i].to_guest, good[i].rule.to_guest);
		assert_int_equal(rules.list[i].messages, good[i].rule.messages);
		assert_int_equal(rules.list[i].port, good[i].rule.port);
		assert_string_equal(rules.list[i].path, good[i].rule.path);
	}
	assert_string_equal(forward_path(&rules, 80), "/a/b");
	assert_null(forward_path(&rules, 6));
	for (size_t i = 0; i < array_size(bad); i++) {
		error.text[0] = '\0';
		assert_int_equal(forward_parse(&rules, bad[i], &error), -EINVAL);
		assert_non_null(strstr(error.text, "--forward"));
	}
	/* A port of the host leads to one place. */
	assert_int_equal(forward_parse(&rules, "80:/c", NULL), -EINVAL);
	while (rules.count < FORWARDS_MAX)
		assert_int_equal(forward_parse(&rules, "a:1", NULL), 0);
	assert_int_equal(forward_parse(&rules, "a:1", NULL), -EINVAL);
	forward_rules_free(&rules);
}

/* ---- Clients ------------------------------------------------------------------------------------------------- */

struct server {
	int listener;
	const char *answer;
	char request[64];
};

static void *serve_one(void *data)
{
	struct server *server = data;
	int fd = accept(server->listener, NULL, NULL);
	ssize_t length = read(fd, server->request, sizeof(server->request) - 1);

	if (length >= 0 && write(fd, server->answer, strlen(server->answer)) >= 0)
		server->request[length] = '\0';
	close(fd);
	return NULL;
}

static int connect_with_answer(const char *answer, uint32_t *host_port, struct error *error)
{
	char path[PATH_SIZE];
	struct server server = {.listener = unix_listen(in_directory(path, "vsock.sock"), NULL), .answer = answer};
	pthread_t thread;
	int fd;

	assert_true(server.listener >= 0);
	assert_int_equal(fd_set_blocking(server.listener, true), 0);
	assert_int_equal(pthread_create(&thread, NULL, serve_one, &server), 0);
	fd = proxy_connect_port(directory, 5000, host_port, error);
	pthread_join(thread, NULL);
	assert_string_equal(server.request, "CONNECT 5000\n");
	close(server.listener);
	return fd;
}

static void clients_read_the_line_only(void **state)
{
	uint32_t port;
	char rest[8] = "";
	int fd = connect_with_answer("OK 1073741824\nOK 1\n", &port, NULL);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(port, 1073741824u);
	assert_int_equal(read(fd, rest, sizeof(rest)), 5);
	assert_memory_equal(rest, "OK 1\n", 5);
	close(fd);
}

static void clients_tell_refusal_from_nonsense(void **state)
{
	struct error error = {0};
	char zeros[300];
	uint32_t port;

	(void)state;
	snprintf(zeros, sizeof(zeros), "OK %0290d\n", 1);
	assert_int_equal(connect_with_answer("", &port, &error), -ECONNREFUSED);
	assert_int_equal(connect_with_answer("OK ", &port, &error), -ECONNREFUSED);
	assert_int_equal(connect_with_answer("OK x\n", &port, &error), -EPROTO);
	assert_int_equal(connect_with_answer("OK 4294967296\n", &port, &error), -EPROTO);
	assert_int_equal(connect_with_answer("NO 1\n", &port, &error), -EPROTO);
	assert_int_equal(connect_with_answer(zeros, &port, &error), -EPROTO);
	assert_int_equal(proxy_connect_agent("/nonexistent", &error), -ENOENT);
}

static void paths_may_be_long(void **state)
{
	char path[PATH_SIZE], name[101];
	int listener, fd;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(mkdir(in_directory(path, name), 0700), 0);
	strcat(path, "/agent.sock");
	listener = unix_listen(path, NULL);
	assert_true(listener >= 0);
	*strrchr(path, '/') = '\0';
	fd = proxy_connect_agent(path, NULL);
	assert_true(fd >= 0);
	assert_true(unix_peer_allowed(fd));
	close(fd);
	close(listener);
	strcat(path, "/agent.sock");
	unlink(path);
	*strrchr(path, '/') = '\0';
	assert_int_equal(rmdir(path), 0);
}

static void only_dead_sockets_are_replaced(void **state)
{
	char path[PATH_SIZE];
	struct stat status;
	int fd;

	(void)state;
	close(open(in_directory(path, "file"), O_CREAT | O_WRONLY, 0600));
	assert_int_equal(unix_listen(path, NULL), -EEXIST);
	unlink(path);
	fd = unix_listen(path, NULL);
	close(fd);
	fd = unix_listen(path, NULL);
	assert_true(fd >= 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	/* Somebody listens. */
	assert_int_equal(unix_listen(path, NULL), -EADDRINUSE);
	assert_int_equal(access(path, F_OK), 0);
	close(fd);
	/* Another user's. */
	assert_int_equal(lchown(path, 12345, (gid_t)-1), 0);
	assert_int_equal(unix_listen(path, NULL), -EEXIST);
	assert_int_equal(access(path, F_OK), 0);
}

static void nothing(struct listener *listener, int fd)
{
	(void)listener;
	close(fd);
}

static void what_another_put_there_stays(void **state)
{
	char path[PATH_SIZE];
	struct listener listener;
	struct loop loop;
	int fd;

	(void)state;
	unlink(in_directory(path, "file"));
	assert_int_equal(loop_init(&loop), 0);
	assert_int_equal(listener_open(&listener, &loop, path, nothing, NULL), 0);
	unlink(path);
	fd = unix_listen(path, NULL);
	assert_true(fd >= 0);
	listener_close(&listener);
	assert_int_equal(access(path, F_OK), 0);
	close(fd);
	assert_int_equal(listener_open(&listener, &loop, path, nothing, NULL), 0);
	listener_close(&listener);
	assert_int_equal(access(path, F_OK), -1);
	loop_destroy(&loop);
}

/* ---- The process --------------------------------------------------------------------------------------------- */

/* A proxy in a child; its exit status is the proxy's, or 200 + the errno of keeper_open(). */
static void (*prepare)(void); /* run in that child first */
static const struct streams_limits *limits; /* others than usual */
static bool reconnect;

static pid_t start_proxy_with(enum carrier_type carrier, const char *name, const char *forward, char *const vmm[])
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		static struct keeper keeper;
		char path[PATH_SIZE];
		struct options options = OPTIONS;
		struct error error = {0};
		int status;

		options.directory = directory;
		options.carrier.type = carrier;
		options.carrier.path = strdup(in_directory(path, name));
		options.carrier.guest_cid = 3;
		options.carrier.reconnect = reconnect;
		options.vmm = vmm;
		alarm(20);
		if (prepare)
			prepare();
		if (limits)
			options.limits = *limits;
		if (forward && forward_parse(&options.forwards, forward, &error) < 0)
			_exit(199);
		status = keeper_open(&keeper, &options, &error) < 0 ? 200 + error.number : keeper_run(&keeper);
		keeper_close(&keeper);
		options_free(&options);
		_exit(status);
	}
	return pid;
}

static pid_t start_proxy(char *const vmm[])
{
	return start_proxy_with(CARRIER_VHOST_USER, "vhost.sock", NULL, vmm);
}

static int status_of(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static bool exists(const char *name)
{
	char path[PATH_SIZE];

	return access(in_directory(path, name), F_OK) == 0;
}

static void wait_for(const char *name)
{
	for (int i = 0; i < 2000 && !exists(name); i++)
		usleep(5000);
	assert_true(exists(name));
}

static long pid_in(const char *name)
{
	char text[32] = "", path[PATH_SIZE];

	for (int i = 0; i < 2000 && text[0] == '\0'; i++) {
		if (fd_read_file(AT_FDCWD, in_directory(path, name), text, sizeof(text), NULL) <= 0)
			usleep(5000);
	}
	return atol(text);
}

static void ends_with_the_vmm(void **state)
{
	(void)state;
	assert_int_equal(status_of(start_proxy((char *[]){"sh", "-c", "exit 0", NULL})), 0);
	assert_int_equal(status_of(start_proxy((char *[]){"sh", "-c", "exit 3", NULL})), 3);
	assert_int_equal(status_of(start_proxy((char *[]){"sh", "-c", "kill -9 $$", NULL})), 128 + 9);
	assert_int_equal(status_of(start_proxy((char *[]){"/nonexistent/vmm", NULL})), 200 + ENOENT);
	assert_int_equal(status_of(start_proxy((char *[]){"/etc/passwd", NULL})), 200 + EACCES);
	assert_false(exists("proxy.pid"));
}

static void other_carriers(void **state)
{
	char path[PATH_SIZE];
	int fd;

	(void)state;
	/* A VMM of its own makes what it listens at later, or never. */
	assert_int_equal(status_of(start_proxy_with(CARRIER_HYBRID, "vmm.sock", NULL, (char *[]){"true", NULL})), 0);
	/* Itself. */
	assert_int_equal(status_of(start_proxy_with(CARRIER_HYBRID, "vsock.sock", NULL, NULL)), 200 + EINVAL);
	assert_false(exists("vsock.sock"));
	/* Where a forward can't be, nothing begins, and what is there stays. */
	fd = open(in_directory(path, "file"), O_CREAT | O_WRONLY, 0600);
	close(fd);
	strcat(path, ":80");
	assert_int_equal(status_of(start_proxy_with(CARRIER_HYBRID, "vmm.sock", path, NULL)), 200 + EEXIST);
	assert_true(exists("file"));
	assert_false(exists("agent.sock"));
	assert_false(exists("proxy.pid"));
	assert_int_equal(symlink("nothing", in_directory(path, "vmm.sock_80")), 0);
	assert_int_equal(status_of(start_proxy_with(CARRIER_HYBRID, "vmm.sock", "80:x", NULL)), 200 + EEXIST);
	unlink(path);
	assert_int_equal(status_of(start_proxy_with(CARRIER_HYBRID, "vmm.sock", "80:x", (char *[]){"true", NULL})), 0);
	assert_false(exists("vmm.sock_80"));
}

/* ---- Sockets that are passed --------------------------------------------------------------------------------- */

/* A process that a service manager starts: `count` sockets listen in the directory, the first two under these names, and come as
 * descriptors 3 and up. */
static void pass(size_t count, const char *names, pid_t pid)
{
	char path[PATH_SIZE], number[32];

	for (int i = 0; i < (int)count; i++) {
		int fd = unix_listen(in_directory(path, i == 0 ? "passed-0" : "passed-1"), NULL);

		if (fd < 0 || dup2(fd, 100 + i) < 0)
			_exit(198);
	}
	for (int i = 0; i < (int)count; i++)
		if (dup2(100 + i, 3 + i) < 0 || close(100 + i) < 0)
			_exit(198);
	snprintf(number, sizeof(number), "%d", (int)pid);
	setenv("LISTEN_PID", number, 1);
	snprintf(number, sizeof(number), "%zu", count);
	setenv("LISTEN_FDS", number, 1);
	if (names)
		setenv("LISTEN_FDNAMES", names, 1);
}

static void pass_two(void)
{
	pass(2, "agent.sock:vhost-user", getpid());
}

static void pass_for_another(void)
{
	pass(1, "agent.sock", getppid());
}

static const char *bad_names;
static void pass_badly(void)
{
	pass(2, bad_names, getpid());
}

static void pass_no_socket(void)
{
	pass(1, "agent.sock", getpid());
	dup2(open("/dev/null", O_RDWR | O_CLOEXEC), 3);
}

static void pass_no_listener(void)
{
	pass(1, "agent.sock", getpid());
	dup2(socket(AF_UNIX, SOCK_STREAM, 0), 3);
}

static void pass_no_number(void)
{
	pass(1, "agent.sock", getpid());
	setenv("LISTEN_FDS", "1x", 1);
}

static void passed_sockets_are_served(void **state)
{
	char path[PATH_SIZE], command[PATH_SIZE];
	int client, vhost;
	pid_t proxy;

	(void)state;
	prepare = pass_two;
	proxy = start_proxy(NULL);
	wait_for("proxy.sock");
	/* What was passed isn't made. */
	assert_false(exists("agent.sock"));
	assert_false(exists("vhost.sock"));
	assert_true(exists("vsock.sock"));
	client = unix_connect(in_directory(path, "passed-0"), NULL);
	assert_true(client >= 0);
	vhost = unix_connect(in_directory(path, "passed-1"), NULL);
	assert_true(vhost >= 0);
	close(vhost);
	assert_int_equal(status_of(proxy), 0);
	assert_int_equal(read(client, path, 1), 0);
	close(client);
	/* They are the service manager's. */
	assert_true(exists("passed-0"));
	assert_true(exists("passed-1"));

	snprintf(command, sizeof(command), "test -z \"$LISTEN_PID$LISTEN_FDS$LISTEN_FDNAMES\" && test ! -e /proc/$$/fd/3");
	assert_int_equal(status_of(start_proxy((char *[]){"sh", "-c", command, NULL})), 0);
	/* Somebody else's are left alone. */
	prepare = pass_for_another;
	in_directory(path, "agent.sock");
	assert_int_equal(status_of(start_proxy((char *[]){"test", "-e", path, NULL})), 0);
	prepare = NULL;
}

static void bad_passed_sockets_are_refused(void **state)
{
	static const char *const bad[] = {NULL, "", "agent.sock", "agent.sock:", "agent.sock:agent.sock", "agent.sock:other",
					  "agent.soc:vsock.sock", ":vsock.sock"};
	static void (*const others[])(void) = {pass_no_socket, pass_no_listener, pass_no_number};
	char path[PATH_SIZE];

	(void)state;
	prepare = pass_badly;
	for (size_t i = 0; i < array_size(bad); i++) {
		bad_names = bad[i];
		assert_int_equal(status_of(start_proxy((char *[]){"true", NULL})), 200 + EINVAL);
	}
	/* The carrier listens for nobody. */
	prepare = pass_two;
	assert_int_equal(status_of(start_proxy_with(CARRIER_HYBRID, "vmm.sock", NULL, (char *[]){"true", NULL})),
			 200 + EINVAL);
	for (size_t i = 0; i < array_size(others); i++) {
		prepare = others[i];
		assert_int_equal(status_of(start_proxy((char *[]){"true", NULL})), 200 + EINVAL);
	}
	prepare = NULL;
	unlink(in_directory(path, "passed-0"));
	unlink(in_directory(path, "passed-1"));
}

/* ---- Its end ------------------------------------------------------------------------------------------------- */

static void vmm_inherits_nothing(void **state)
{
	char command[PATH_SIZE], path[PATH_SIZE], text[256];
	unsigned long long blocked, ignored;
	int open_fds;

	(void)state;
	/* sh has 0, 1, 2; the fourth is the glob's own directory. SIGPIPE and signals that are blocked as usual. */
	snprintf(command, sizeof(command),
		 "(for i in /proc/$$/fd/*; do readlink $i; done | grep -c -E 'socket|epoll|signalfd|proxy.pid'; "
		 "grep -E 'SigBlk|SigIgn' /proc/self/status) > %s",
		 in_directory(path, "out"));
	assert_int_equal(status_of(start_proxy((char *[]){"sh", "-c", command, NULL})), 0);
	assert_true(fd_read_file(AT_FDCWD, in_directory(path, "out"), text, sizeof(text), NULL) > 0);
	assert_int_equal(sscanf(text, "%d SigBlk: %llx SigIgn: %llx", &open_fds, &blocked, &ignored), 3);
	assert_int_equal(open_fds, 0);
	assert_int_equal(blocked, 0);
	/* Not the C library's own signals above 31: a make with posix_spawn(3) leaves one of them ignored. */
	assert_int_equal(ignored & 0x7fffffff, 0);
}

static void lower_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		_exit(198);
	limit.rlim_cur = 300;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		_exit(198);
}

/* As many descriptors as the connections may take, for the proxy alone. */
static void descriptors_are_there(void **state)
{
	static const struct streams_limits many = {.from_host = 500, .from_guest = 10, .handshake_time = LOOP_SECOND};
	static const struct streams_limits too_many = {.from_host = 1u << 30, .from_guest = 10};
	char path[PATH_SIZE], command[PATH_SIZE], text[64] = "";
	long soft, raised;

	(void)state;
	snprintf(command, sizeof(command),
		 "(ulimit -Sn; sed -n 's/^Max open files  *\\([0-9]*\\) .*/\\1/p' /proc/$PPID/limits) > %s",
		 in_directory(path, "out"));
	prepare = lower_descriptors;
	limits = &many;
	assert_int_equal(status_of(start_proxy_with(CARRIER_HYBRID, "vmm.sock", NULL, (char *[]){"sh", "-c", command, NULL})),
			 0);
	assert_true(fd_read_file(AT_FDCWD, in_directory(path, "out"), text, sizeof(text), NULL) > 0);
	assert_int_equal(sscanf(text, "%ld %ld", &soft, &raised), 2);
	assert_int_equal(soft, 300);
	assert_true(raised >= 2 * 510);
	limits = &too_many;
	assert_int_equal(status_of(start_proxy((char *[]){"true", NULL})), 200 + EINVAL);
	limits = NULL;
	prepare = NULL;
}

static void one_proxy_a_directory(void **state)
{
	pid_t first = start_proxy((char *[]){"sleep", "1000", NULL});
	long vmm;

	(void)state;
	wait_for("vmm.pid");
	vmm = pid_in("vmm.pid");
	assert_int_equal(pid_in("proxy.pid"), first);
	assert_int_equal(status_of(start_proxy((char *[]){"sleep", "1000", NULL})), 200 + EBUSY);
	assert_true(exists("agent.sock"));
	assert_int_equal(kill(first, SIGTERM), 0);
	assert_int_equal(status_of(first), 0);
	assert_int_equal(kill((pid_t)vmm, 0), -1);
}

static void vmm_dies_with_the_proxy(void **state)
{
	static const char *const left[] = {"vmm.pid", "worker.pid", "proxy.pid", "agent.sock", "vsock.sock", "vhost.sock", "proxy.sock"};
	pid_t proxy = start_proxy((char *[]){"sleep", "1000", NULL});
	char path[PATH_SIZE];
	pid_t vmm;

	(void)state;
	wait_for("vmm.pid");
	vmm = (pid_t)pid_in("vmm.pid");
	assert_int_equal(kill(proxy, SIGKILL), 0);
	assert_int_equal(status_of(proxy), -SIGKILL);
	for (int i = 0; i < 2000 && kill(vmm, 0) == 0; i++) {
		char name[32], text[256];

		/* Whoever reaps it may take his time: a zombie is dead. */
		snprintf(name, sizeof(name), "/proc/%d/stat", vmm);
		if (fd_read_file(AT_FDCWD, name, text, sizeof(text), NULL) > 0 && strstr(text, ") Z "))
			break;
		usleep(5000);
		assert_int_not_equal(i, 1999);
	}
	/* What it left is no obstacle. */
	assert_int_equal(status_of(start_proxy((char *[]){"true", NULL})), 0);
	for (size_t i = 0; i < array_size(left); i++)
		assert_int_not_equal(access(in_directory(path, left[i]), F_OK), 0);
}

/* A worker whose keeper was killed takes its time: nothing is made until its lock is free. */
static void a_dying_worker_is_waited_for(void **state)
{
	char path[PATH_SIZE];
	int pair[2], worker;
	pid_t proxy, holder;
	char byte;

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	holder = fork();
	assert_true(holder >= 0);
	if (holder == 0) {
		worker = open(in_directory(path, "worker.pid"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (flock(worker, LOCK_EX | LOCK_NB) < 0 || write(pair[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(pair[0], &byte, 1), 1);
	proxy = start_proxy((char *[]){"true", NULL});
	wait_for("proxy.pid");
	assert_int_equal(waitpid(proxy, NULL, WNOHANG), 0);
	assert_false(exists("agent.sock"));
	kill(holder, SIGKILL);
	assert_int_equal(status_of(holder), -SIGKILL);
	assert_int_equal(status_of(proxy), 0);
	close(pair[0]);
	close(pair[1]);
}

static void ends_with_the_connection(void **state)
{
	pid_t proxy = start_proxy(NULL);
	char path[PATH_SIZE];
	int vhost, second, client;

	(void)state;
	wait_for("vsock.sock");
	client = proxy_connect_agent(directory, NULL);
	assert_true(client >= 0);
	vhost = unix_connect(in_directory(path, "vhost.sock"), NULL);
	assert_true(vhost >= 0);
	/* A second VMM is turned away. */
	second = unix_connect(path, NULL);
	assert_int_equal(read(second, path, 1), 0);
	close(second);
	close(vhost);
	assert_int_equal(status_of(proxy), 0);
	assert_int_equal(read(client, path, 1), 0);
	close(client);
	assert_false(exists("agent.sock"));
}

static void waits_for_the_next_connection(void **state)
{
	static const uint32_t get_features[3] = {1, 1, 0}, nonsense[3] = {1, 2, 0};
	char path[PATH_SIZE], answer[20];
	pid_t proxy;
	int vhost, client;

	(void)state;
	reconnect = true;
	proxy = start_proxy(NULL);
	reconnect = false;
	wait_for("vsock.sock");
	client = proxy_connect_agent(directory, NULL);
	in_directory(path, "vhost.sock");
	for (int i = 0; i < 3; i++) {
		vhost = unix_connect(path, NULL);
		assert_true(vhost >= 0);
		assert_int_equal(write(vhost, get_features, sizeof(get_features)), sizeof(get_features));
		assert_int_equal(fd_read_all(vhost, answer, sizeof(answer)), sizeof(answer));
		/* One that breaks the protocol, too. */
		assert_true(i != 1 || write(vhost, nonsense, sizeof(nonsense)) > 0);
		shutdown(vhost, SHUT_WR);
		assert_int_equal(read(vhost, answer, 1), 0);
		close(vhost);
	}
	/* Who waits for the guest has noticed nothing of it. */
	assert_int_equal(recv(client, answer, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	close(client);
	kill(proxy, SIGTERM);
	assert_int_equal(status_of(proxy), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_command_lines),
		cmocka_unit_test(bad_command_lines),
		cmocka_unit_test(limits_are_read),
		cmocka_unit_test(forwards_are_read),
		cmocka_unit_test(clients_read_the_line_only),
		cmocka_unit_test(clients_tell_refusal_from_nonsense),
		cmocka_unit_test(paths_may_be_long),
		cmocka_unit_test(only_dead_sockets_are_replaced),
		cmocka_unit_test(what_another_put_there_stays),
		cmocka_unit_test(ends_with_the_vmm),
		cmocka_unit_test(other_carriers),
		cmocka_unit_test(passed_sockets_are_served),
		cmocka_unit_test(bad_passed_sockets_are_refused),
		cmocka_unit_test(vmm_inherits_nothing),
		cmocka_unit_test(descriptors_are_there),
		cmocka_unit_test(one_proxy_a_directory),
		cmocka_unit_test(vmm_dies_with_the_proxy),
		cmocka_unit_test(a_dying_worker_is_waited_for),
		cmocka_unit_test(ends_with_the_connection),
		cmocka_unit_test(waits_for_the_next_connection),
	};

	alarm(100);
	log_open(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_TEXT, LOG_ERROR, "test");
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
