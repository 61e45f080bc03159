// uses: lib/error.c lib/fd.c lib/log.c proxy/confine_files.c proxy/confine_calls.c
/* What confinement leaves, and what it doesn't: each in a process of its own. */
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
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "proxy/confine_calls.h"
#include "proxy/confine_files.h"

#define LOG_SUBSYSTEM "test"
#include "lib/log.h"

/* ---- System calls ---------------------------------------------------------------------------------------------- */

static void refused(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	syscall(SYS_exit_group, info->si_syscall == SYS_getppid ? 2 : 1);
}

/* How a process ends that may make these calls, and does what it is to do: 0 where it came to its end, 1 where one was refused,
 * and 2 where that was getppid. */
static int confined(void (*what)(void))
{
	static const int calls[] = {SYS_exit_group, SYS_getpid, SYS_socket, SYS_mmap, SYS_mprotect, SYS_clone, SYS_close};
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct sigaction action = {.sa_sigaction = refused, .sa_flags = SA_SIGINFO};

		if (sigaction(SIGSYS, &action, NULL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    confine_calls_to(calls, array_size(calls), NULL) < 0)
			syscall(SYS_exit_group, 3);
		what();
		syscall(SYS_exit_group, 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void call_pid(void)
{
	syscall(SYS_getpid);
}

static void call_parent(void)
{
	syscall(SYS_getppid);
}

static void socket_unix(void)
{
	syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
}

static void socket_inet(void)
{
	syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

static void map(void)
{
	syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void map_code(void)
{
	syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void change(void)
{
	syscall(SYS_mprotect, NULL, 0, PROT_READ);
}

static void change_to_code(void)
{
	syscall(SYS_mprotect, NULL, 0, PROT_EXEC);
}

static void clone_plain(void)
{
	if (syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) == 0)
		syscall(SYS_exit_group, 0);
}

static void clone_files(void)
{
	if (syscall(SYS_clone, SIGCHLD | 0x400, NULL, NULL, NULL, NULL) == 0)
		syscall(SYS_exit_group, 0);
}

static void program(void)
{
	syscall(SYS_execve, "/bin/true", NULL, NULL);
}

static void calls_that_are_not_named_are_refused(void **state)
{
	static const struct {
		void (*what)(void);
		int status;
	} cases[] = {
		{call_pid, 0}, {call_parent, 2}, {socket_unix, 0},    {socket_inet, 1}, {map, 0},     {map_code, 1},
		{change, 0},   {clone_plain, 0}, {change_to_code, 1}, {clone_files, 1}, {program, 1},
	};

	(void)state;
	for (size_t i = 0; i < array_size(cases); i++)
		assert_int_equal(confined(cases[i].what), cases[i].status);
}

/* ---- Files ----------------------------------------------------------------------------------------------------- */

static char top[64];

static char *path_of(const char *name)
{
	char *path = NULL;

	assert_true(asprintf(&path, "%s/%s", top, name) > 0);
	return path;
}

static int make_directories(void **state)
{
	static const char *const names[] = {"run", "carrier", "forward", "other"};

	(void)state;
	strcpy(top, "/tmp/nacre-confine-test-XXXXXX");
	if (!mkdtemp(top))
		return -1;
	for (size_t i = 0; i < array_size(names); i++) {
		cleanup_free char *path = path_of(names[i]);
		cleanup_free char *file = NULL;
		int fd;

		if (mkdir(path, 0755) < 0 || asprintf(&file, "%s/file", path) < 0)
			return -1;
		fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
		if (fd < 0)
			return -1;
		close(fd);
	}
	return 0;
}

static int remove_directories(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", top);
	return system(command);
}

/* What has to hold, by name, in the confined process; its number is the exit status where it doesn't. */
#define expect(condition)                    \
	do {                                 \
		if (!(condition))            \
			_exit(__LINE__ % 256); \
	} while (0)

static bool can_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool can_bind(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), status;

	strcpy(address.sun_path, path);
	status = bind(fd, (struct sockaddr *)&address, sizeof(address));
	close(fd);
	return status == 0;
}

static bool can_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), status;

	strcpy(address.sun_path, path);
	status = connect(fd, (struct sockaddr *)&address, sizeof(address));
	close(fd);
	return status == 0;
}

static void check_files(bool hidden)
{
	/* Its own directory, by the path it has. */
	expect(can_open("run", O_RDONLY | O_DIRECTORY));
	expect(can_open("run/new", O_WRONLY | O_CREAT));
	expect(unlink("run/new") == 0);
	expect(can_bind("run/sock"));
	expect(unlink("run/sock") == 0);
	/* The carrier's: sockets alone. */
	expect(can_bind("carrier/vmm.sock_80"));
	expect(unlink("carrier/vmm.sock_80") == 0);
	expect(hidden || !can_open("carrier/file", O_RDONLY));
	expect(hidden || !can_open("carrier/new", O_WRONLY | O_CREAT));
	expect(can_connect("forward/listening"));
	expect(hidden || !can_bind("forward/new"));
	/* All else. */
	expect(!can_open("other/file", O_RDONLY));
	expect(!can_bind("other/sock"));
	expect(unlink("other/file") < 0);
	expect(!can_open("/etc/passwd", O_RDONLY));
	expect(!can_open("/../etc/passwd", O_RDONLY)); /* a root below the root */
	expect(!can_open("/proc/self/environ", O_RDONLY));
	expect(!can_open("/", O_RDONLY | O_DIRECTORY) || hidden);
	expect(mkdir("/new", 0700) < 0 && (errno == EROFS || errno == EACCES));
	expect(can_connect("other/listening") == !hidden);
	_exit(0);
}

static int listening_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static bool missing(int status)
{
	return status == -ENOSYS || status == -EOPNOTSUPP || status == -EPERM;
}

static void check_way(int (*confine)(const struct options *options, struct error *error), bool hidden)
{
	cleanup_free char *forward = path_of("forward/listening"), *other = path_of("other/listening");
	int listeners[] = {listening_at(forward), listening_at(other)}, status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct options options = OPTIONS;
		struct error error = {0};

		expect(chdir(top) == 0);
		options.directory = "run"; /* as anybody may write it */
		options.carrier.type = CARRIER_HYBRID;
		options.carrier.path = path_of("carrier/vmm.sock");
		options.forwards.count = 1;
		options.forwards.list[0] = (struct forward_rule){.port = 7, .path = path_of("forward/listening")};
		expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
		status = confine(&options, &error);
		if (status < 0)
			dprintf(STDOUT_FILENO, "%s\n", error.text);
		if (missing(status))
			_exit(254);
		expect(status == 0);
		check_files(hidden);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (size_t i = 0; i < array_size(listeners); i++)
		close(listeners[i]);
	unlink(forward);
	unlink(other);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 254)
		skip();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int by_namespace(const struct options *options, struct error *error)
{
	return confine_files_namespace(options, true, error);
}

static int by_user_namespace(const struct options *options, struct error *error)
{
	expect(lchown("run", 65534, 65534) == 0 && lchown("carrier", 65534, 65534) == 0);
	expect(chmod(top, 0755) == 0 && lchown("forward/listening", 65534, 65534) == 0);
	expect(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
	return confine_files_namespace(options, true, error);
}

static void landlock_leaves_the_directories(void **state)
{
	(void)state;
	check_way(confine_files_landlock, false);
}

static void a_namespace_leaves_the_directories(void **state)
{
	(void)state;
	check_way(by_namespace, true);
}

static void a_user_namespace_leaves_the_directories(void **state)
{
	(void)state;
	check_way(by_user_namespace, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_that_are_not_named_are_refused),
		cmocka_unit_test(landlock_leaves_the_directories),
		cmocka_unit_test(a_namespace_leaves_the_directories),
		cmocka_unit_test(a_user_namespace_leaves_the_directories),
	};

	alarm(60);
	log_open(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_TEXT, LOG_ERROR, "test");
	return cmocka_run_group_tests(tests, make_directories, remove_directories);
}
