/* The guest's half of the vsock checks: what a program in a guest, above Linux's own virtio-vsock, sees of the host's end. The host's
 * half is vsock_host.py; both have a function for each check, by the same name.
 *
 *	vsock_check [NAME...]	says "begin NAME" when a check begins, and "ok NAME" or "not ok NAME: WHY" at its end; a
 *				line on stdin, with which the host has ended its half, leads on to the next one
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define HOST_PORT 5000	/* where the host listens, and not at the next one */
#define GUEST_PORT 5000 /* where the guest does */
#define SERIES 1000
#define CROWD 200
#define LARGE (4u << 20)
#define BUFFER (256u << 10) /* of either end, unless a check says otherwise */
#define PATIENCE 60	    /* seconds for a check */

static _Noreturn void fail(const char *format, ...)
{
	int number = errno;
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf(" (%s)", strerror(number));
	fflush(stdout);
	_exit(1);
}

/* ---- Sockets -------------------------------------------------------------------------------------------------- */

static int new_socket(void)
{
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("no socket");
	return fd;
}

static int try_connect(int fd, unsigned port)
{
	const struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = port};

	return connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
}

static int dial(void)
{
	int fd = new_socket();

	if (try_connect(fd, HOST_PORT) != 0)
		fail("connect");
	return fd;
}

static int listen_at(unsigned port)
{
	const struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port};
	int fd = new_socket();

	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, CROWD) < 0)
		fail("listen");
	return fd;
}

static void expect_poll(int fd, short wanted, short answer)
{
	struct pollfd polled = {.fd = fd, .events = wanted};

	if (poll(&polled, 1, -1) != 1 || polled.revents != answer)
		fail("poll says %#x, and not %#x", (unsigned)polled.revents, (unsigned)answer);
}

/* Until poll says all of it; which events come together is up to who is faster. */
static void await_poll(int fd, short wanted)
{
	struct pollfd polled = {.fd = fd, .events = wanted};

	do {
		if (poll(&polled, 1, -1) != 1)
			fail("poll");
	} while ((polled.revents & wanted) != wanted);
}

static void say(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
		fail("say %s", text);
}

static void expect(int fd, const char *text)
{
	char data[64] = "";

	if (recv(fd, data, strlen(text), MSG_WAITALL) != (ssize_t)strlen(text) || strcmp(data, text) != 0)
		fail("%s came, and not %s", data, text);
}

static void expect_end(int fd)
{
	char byte;
	ssize_t length = recv(fd, &byte, 1, 0);

	if (length != 0)
		fail("%zd, and not the end", length);
}

static void expect_epipe(int fd)
{
	if (send(fd, "x", 1, MSG_NOSIGNAL) >= 0 || errno != EPIPE)
		fail("no EPIPE");
}

static void shut(int fd, int how)
{
	if (shutdown(fd, how) < 0)
		fail("shutdown");
}

/* The same in vsock_host.py: a block of a length that no buffer's is a multiple of, again and again. */
static uint8_t pattern(size_t position)
{
	static uint8_t block[65521];
	static bool made;
	uint32_t state = 1;

	for (size_t i = 0; !made && i < sizeof(block); i++) {
		state = state * 1103515245u + 12345u;
		block[i] = (uint8_t)(state >> 16);
	}
	made = true;
	return block[position % sizeof(block)];
}

static uint8_t data[1 << 16];

static size_t send_pattern(int fd, size_t position, size_t size)
{
	ssize_t length;

	if (size > sizeof(data))
		size = sizeof(data);
	for (size_t i = 0; i < size; i++)
		data[i] = pattern(position + i);
	length = send(fd, data, size, MSG_NOSIGNAL);
	if (length < 0 && errno != EAGAIN)
		fail("send after %zu bytes", position);
	return length < 0 ? 0 : (size_t)length;
}

static size_t read_pattern(int fd, size_t position, size_t size)
{
	ssize_t length = recv(fd, data, size < sizeof(data) ? size : sizeof(data), 0);

	if (length <= 0)
		fail("%zd after %zu bytes", length, position);
	for (ssize_t i = 0; i < length; i++)
		if (data[i] != pattern(position + (size_t)i))
			fail("a wrong byte at %zu", position + (size_t)i);
	return (size_t)length;
}

static void send_all(int fd, size_t size)
{
	for (size_t done = 0; done < size;)
		done += send_pattern(fd, done, size - done);
}

static void read_all(int fd, size_t size)
{
	for (size_t done = 0; done < size;)
		done += read_pattern(fd, done, size - done);
}

/* ---- Checks --------------------------------------------------------------------------------------------------- */

static int listener = -1;

static int take(void)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		fail("accept");
	return fd;
}

static void guest_refused(void)
{
	int number = try_connect(new_socket(), HOST_PORT + 1);

	errno = number;
	if (number != ECONNRESET)
		fail("not refused by a reset");
}

/* The host connects to where nobody listens. */
static void host_refused(void)
{
}

static void guest_connects(void)
{
	struct sockaddr_vm address;
	socklen_t size = sizeof(address);
	int fd = dial();

	if (getpeername(fd, (struct sockaddr *)&address, &size) < 0 || address.svm_cid != VMADDR_CID_HOST ||
	    address.svm_port != HOST_PORT)
		fail("connected with %u:%u", address.svm_cid, address.svm_port);
	expect_poll(fd, POLLIN | POLLOUT | POLLRDHUP, POLLOUT);
	say(fd, "ping");
	expect_poll(fd, POLLIN | POLLRDHUP, POLLIN);
	expect(fd, "pong");
	say(fd, "bye");
	await_poll(fd, POLLIN | POLLRDHUP);
	expect_end(fd);
}

/* The host says by which port it has been told to come. */
static void host_connects(void)
{
	struct sockaddr_vm address;
	socklen_t size = sizeof(address);
	char line[16];
	int fd;

	expect_poll(listener, POLLIN, POLLIN);
	fd = accept4(listener, (struct sockaddr *)&address, &size, SOCK_CLOEXEC);
	if (fd < 0 || address.svm_cid != VMADDR_CID_HOST)
		fail("accept");
	snprintf(line, sizeof(line), "%010u", address.svm_port);
	expect(fd, line);
	say(fd, "pong");
	expect_end(fd);
}

static void guest_ends_output(void)
{
	int fd = dial();

	say(fd, "all of it");
	shut(fd, SHUT_WR);
	expect_epipe(fd);
	expect(fd, "the answer");
	expect_end(fd);
}

static void host_ends_output(void)
{
	int fd = take();

	expect(fd, "all of it");
	await_poll(fd, POLLIN | POLLRDHUP);
	expect_end(fd);
	say(fd, "the answer");
}

/* The host is told at once. */
static void guest_reads_no_more(void)
{
	int fd = dial();

	shut(fd, SHUT_RD);
	say(fd, "go on");
	expect_end(fd);
	shut(fd, SHUT_WR);
	await_poll(fd, POLLHUP);
}

/* The guest is told when something has come; then it is the first to go. */
static void host_reads_no_more(void)
{
	int fd = take();

	expect(fd, "go on");
	while (send(fd, "x", 1, MSG_NOSIGNAL) == 1)
		;
	if (errno != EPIPE)
		fail("no EPIPE");
	expect(fd, "and still");
}

static void guest_ends_after_data(void)
{
	int fd = dial();

	send_all(fd, LARGE / 4);
	close(fd);
}

static void host_ends_after_data(void)
{
	int fd = take();

	/* Only when the host has gone. */
	await_poll(fd, POLLIN);
	read_all(fd, BUFFER);
	expect_end(fd);
	expect_epipe(fd);
}

/* With what the host has sent, and is still sending, unread. */
static void guest_leaves_data(void)
{
	int fd = dial();

	await_poll(fd, POLLIN);
	close(fd);
}

static void host_leaves_data(void)
{
	int fd = take();

	expect(fd, "enough");
	for (;;)
		if (send(fd, data, sizeof(data), MSG_NOSIGNAL) < 0)
			break;
	if (errno != EPIPE && errno != ECONNRESET)
		fail("neither EPIPE nor ECONNRESET");
}

static void guest_series(void)
{
	for (int i = 0; i < SERIES; i++) {
		int fd = dial();

		say(fd, "ping");
		expect(fd, "pong");
		close(fd);
	}
}

static void host_series(void)
{
	for (int i = 0; i < SERIES; i++) {
		int fd = take();

		expect(fd, "ping");
		say(fd, "pong");
		expect_end(fd);
		close(fd);
	}
}

static void guest_crowd(void)
{
	int fds[CROWD];

	for (int i = 0; i < CROWD; i++)
		fds[i] = dial();
	for (int i = 0; i < CROWD; i++)
		say(fds[i], "ping");
	for (int i = CROWD - 1; i >= 0; i--)
		expect(fds[i], "pong");
}

static void host_crowd(void)
{
	int fds[CROWD];

	for (int i = 0; i < CROWD; i++)
		fds[i] = take();
	for (int i = CROWD - 1; i >= 0; i--)
		say(fds[i], "ping");
	for (int i = 0; i < CROWD; i++)
		expect(fds[i], "pong");
}

static void same_port(void)
{
	for (int i = 0; i < 20; i++) {
		const struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = 6000};
		int fd = new_socket();

		/* The kernel keeps it until the host has answered the close. */
		while (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
			if (errno != EADDRINUSE)
				fail("bind");
		if (try_connect(fd, HOST_PORT) != 0)
			fail("connect for the %dth time", i + 1);
		say(fd, "ping");
		expect(fd, "pong");
		close(fd);
	}
}

/* Both ways at once, by two processes. */
static void large(void)
{
	int fd = dial(), status;
	pid_t child = fork();

	if (child == 0) {
		send_all(fd, LARGE);
		_exit(0);
	}
	read_all(fd, LARGE);
	if (waitpid(child, &status, 0) < 0 || status != 0)
		fail("the other way");
	shut(fd, SHUT_WR);
	expect_end(fd);
}

/* The host reads only when no more goes. */
static void guest_fills(void)
{
	int fd = dial();
	size_t sent = 0;

	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		fail("fcntl");
	while (sent < LARGE) {
		size_t length = send_pattern(fd, sent, LARGE - sent);

		sent += length;
		if (length == 0)
			await_poll(fd, POLLOUT);
	}
}

/* The other way, with another buffer than usual. */
static void host_fills(void)
{
	uint64_t size = 0;
	socklen_t length = sizeof(size);
	int fd = new_socket(), control;

	if (getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &size, &length) < 0 || size != BUFFER)
		fail("a buffer of %llu bytes", (unsigned long long)size);
	size = BUFFER / 4;
	if (setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &size, sizeof(size)) < 0)
		fail("set a buffer's size");
	if (try_connect(fd, HOST_PORT) != 0)
		fail("connect");
	control = dial();
	expect(control, "full");
	read_all(fd, LARGE);
	expect_end(fd);
}

/* ---- All of them ---------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*run)(void);
} checks[] = {
	{"guest_refused", guest_refused},
	{"host_refused", host_refused},
	{"guest_connects", guest_connects},
	{"host_connects", host_connects},
	{"guest_ends_output", guest_ends_output},
	{"host_ends_output", host_ends_output},
	{"guest_reads_no_more", guest_reads_no_more},
	{"host_reads_no_more", host_reads_no_more},
	{"guest_ends_after_data", guest_ends_after_data},
	{"host_ends_after_data", host_ends_after_data},
	{"guest_leaves_data", guest_leaves_data},
	{"host_leaves_data", host_leaves_data},
	{"guest_series", guest_series},
	{"host_series", host_series},
	{"guest_crowd", guest_crowd},
	{"host_crowd", host_crowd},
	{"same_port", same_port},
	{"large", large},
	{"guest_fills", guest_fills},
	{"host_fills", host_fills},
};

static void run(size_t index)
{
	const char *name = checks[index].name;
	int status;
	pid_t child;
	char line[16];

	printf("begin %s\n", name);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		printf("not ok %s: ", name);
		alarm(PATIENCE);
		checks[index].run();
		_exit(0); /* and what was printed so far isn't written */
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		fail("fork");
	if (status == 0)
		printf("ok %s\n", name);
	else if (WIFSIGNALED(status))
		printf("not ok %s: ended by signal %d\n", name, WTERMSIG(status));
	else
		putchar('\n');
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		exit(1);
}

static bool wanted(const char *name, char **names)
{
	bool all = !*names;

	while (*names && strcmp(*names, name) != 0)
		names++;
	return all || *names;
}

int main(int argc, char **argv)
{
	static char output[BUFSIZ];

	setvbuf(stdout, output, _IOFBF, sizeof(output));
	listener = listen_at(GUEST_PORT);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (wanted(checks[i].name, argv + (argc > 0)))
			run(i);
	return 0;
}
