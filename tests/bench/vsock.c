/* What a vsock device on the host costs: a guest without a VMM (vsock_guest.c) below it, and a client of its Unix socket.
 *
 *	vsock PID DEVICE HOST to-guest|to-host SIZE BYTES	one stream, in writes of SIZE bytes
 *	vsock PID DEVICE HOST round-trip 1 COUNT		a byte there and back
 *	vsock floor to-guest|to-host|round-trip SIZE BYTES	the same without a device: vsock_floor.c
 *	vsock hold DEVICE HOST idle|active COUNT		COUNT connections, until stdin ends
 *
 * PID has the vhost-user socket DEVICE, and HOST for the host's clients (`CONNECT PORT`). Prints nanoseconds of time, nanoseconds of
 * PID's (and its children's) processor time, and its system calls, or -1 where the kernel doesn't count these for us.
 */
#include "vsock.h"

#include <dirent.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TASKS_MAX 64
#define ACTIVE_BYTES (1u << 20)

void die(const char *what)
{
	fprintf(stderr, "vsock: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now(clockid_t clock)
{
	struct timespec time;

	if (clock_gettime(clock, &time) < 0)
		die("read a clock");
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* ---- Whom is measured ---------------------------------------------------------------------------------------- */

struct measured {
	size_t process_count, task_count;
	clockid_t clocks[TASKS_MAX];
	int counters[TASKS_MAX];
	long long began, busy;
};

/* The number of the tracepoint at the beginning of each system call. */
static long long tracepoint(void)
{
	static const char *const places[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
	long long number = -1;

	for (size_t i = 0; i < 2 && number < 0; i++) {
		char path[128];
		FILE *file;

		snprintf(path, sizeof(path), "%s/events/raw_syscalls/sys_enter/id", places[i]);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fscanf(file, "%lld", &number) != 1)
			number = -1;
		fclose(file);
	}
	return number;
}

static int count_calls(long long number, int task)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attributes),
		.config = (uint64_t)number,
	};

	return number < 0 ? -1 : (int)syscall(SYS_perf_event_open, &attributes, task, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static void add_tasks(struct measured *measured, int pid, long long number)
{
	char path[64];
	DIR *folder;
	struct dirent *entry;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	folder = opendir(path);
	if (!folder)
		die("see whom is measured");
	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.' && measured->task_count < TASKS_MAX)
			measured->counters[measured->task_count++] = count_calls(number, atoi(entry->d_name));
	closedir(folder);
	if (measured->process_count == TASKS_MAX || clock_getcpuclockid(pid, &measured->clocks[measured->process_count++]) != 0)
		die("find a clock");
}

static int parent_of(int pid)
{
	char path[64], text[512], *end;
	FILE *file;
	int parent = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fgets(text, sizeof(text), file) && (end = strrchr(text, ')')))
		sscanf(end + 1, " %*c %d", &parent);
	fclose(file);
	return parent;
}

static void add_children(struct measured *measured, int pid, long long number)
{
	DIR *folder = opendir("/proc");
	struct dirent *entry;

	if (!folder)
		die("see processes");
	while ((entry = readdir(folder)))
		if (atoi(entry->d_name) > 0 && parent_of(atoi(entry->d_name)) == pid)
			add_tasks(measured, atoi(entry->d_name), number);
	closedir(folder);
}

static long long calls(const struct measured *measured)
{
	long long sum = 0;

	for (size_t i = 0; i < measured->task_count; i++) {
		long long count;

		if (measured->counters[i] < 0 || read(measured->counters[i], &count, sizeof(count)) != sizeof(count))
			return -1;
		sum += count;
	}
	return sum;
}

static long long busy(const struct measured *measured)
{
	long long sum = 0;

	for (size_t i = 0; i < measured->process_count; i++)
		sum += now(measured->clocks[i]);
	return sum;
}

static void begin(struct measured *measured, int pid)
{
	long long number = tracepoint();

	*measured = (struct measured){0};
	add_tasks(measured, pid, number);
	add_children(measured, pid, number);
	measured->busy = busy(measured);
	measured->began = now(CLOCK_MONOTONIC);
}

static void end(const struct measured *measured)
{
	long long time = now(CLOCK_MONOTONIC) - measured->began, spent = busy(measured) - measured->busy;

	printf("%lld %lld %lld\n", time, spent, calls(measured));
}

/* ---- What is measured ---------------------------------------------------------------------------------------- */

static uint8_t data[1 << 16];

static void write_amount(int fd, size_t size, uint64_t amount)
{
	for (uint64_t done = 0; done < amount; done += size)
		if (write(fd, data, size) != (ssize_t)size)
			die("write");
}

static void read_amount(int fd, uint64_t amount)
{
	while (amount > 0) {
		ssize_t length = read(fd, data, sizeof(data));

		if (length <= 0)
			die("read");
		amount -= (uint64_t)length;
	}
}

static void go(const struct bench *bench, int fd, void (*finish)(void))
{
	switch (bench->way) {
	case TO_GUEST:
		write_amount(fd, bench->size, bench->amount);
		finish();
		break;
	case TO_HOST:
		read_amount(fd, bench->amount);
		break;
	case ROUND_TRIP:
		for (uint64_t i = 0; i < bench->amount; i++)
			if (write(fd, data, 1) != 1 || read(fd, data, 1) != 1)
				die("go there and back");
		break;
	}
}

static struct bench parse(int pid, char *const arguments[3])
{
	static const char *const ways[] = {"to-guest", "to-host", "round-trip"};
	struct bench bench = {
		.pid = pid, .size = strtoul(arguments[1], NULL, 10), .amount = strtoull(arguments[2], NULL, 10)};

	while (strcmp(arguments[0], ways[bench.way]) != 0)
		if (bench.way++ == ROUND_TRIP) {
			fprintf(stderr, "vsock: no way %s\n", arguments[0]);
			exit(2);
		}
	if (bench.size == 0 || bench.size > sizeof(data) || bench.amount == 0 || bench.amount % bench.size != 0) {
		fprintf(stderr, "vsock: SIZE is from 1 to %zu, and BYTES a multiple of it\n", sizeof(data));
		exit(2);
	}
	return bench;
}

static void measure_floor(char *const arguments[3])
{
	struct bench bench = parse(0, arguments);
	struct measured measured;
	int fd = floor_start(&bench, &bench.pid);

	begin(&measured, bench.pid);
	go(&bench, fd, floor_finish);
	end(&measured);
}

static void measure_device(int pid, char **arguments)
{
	struct bench bench = parse(pid, arguments + 2);
	struct measured measured;
	int fd;

	guest_start(arguments[0]);
	begin(&measured, pid);
	guest_begin(&bench);
	fd = guest_connect(arguments[1]);
	go(&bench, fd, guest_finish);
	end(&measured);
}

static void hold(char **arguments)
{
	size_t count = strtoul(arguments[3], NULL, 10);
	int *fds = calloc(count + 1, sizeof(*fds));

	if (!fds)
		die("hold");
	guest_start(arguments[0]);
	for (size_t i = 0; i < count; i++)
		fds[i] = guest_connect(arguments[1]);
	for (size_t i = 0; i < count && strcmp(arguments[2], "active") == 0; i++)
		write_amount(fds[i], sizeof(data), ACTIVE_BYTES);
	puts("held");
	fflush(stdout);
	while (getchar() != EOF)
		;
	free(fds);
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "floor") == 0)
		measure_floor(argv + 2);
	else if (argc == 6 && strcmp(argv[1], "hold") == 0)
		hold(argv + 2);
	else if (argc == 7)
		measure_device(atoi(argv[1]), argv + 2);
	else {
		fprintf(stderr, "usage: vsock PID DEVICE HOST WAY SIZE BYTES; vsock floor WAY SIZE BYTES; vsock hold DEVICE HOST idle|active COUNT\n");
		return 2;
	}
	return 0;
}
