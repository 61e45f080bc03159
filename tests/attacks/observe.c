/* Looks into processes as a hostile neighbour in their pid namespace does, and says what it could get of them.
 *
 *	observe new STOPFILE EXPECTED OWN MARK...   every process that appears, until STOPFILE does
 *	observe pid PID EXPECTED OWN MARK...        this one
 *
 * EXPECTED is the program that a process is meant to run (what /proc/PID/exe says): before it runs that, it is "early".
 * OWN is a text that an early process has in its memory: finding it proves that the memory could be searched. MARK... are
 * the parts of a text that none may have (in parts, so that this program's own arguments aren't it).
 *
 * Where it may, it stops the process, so that nothing goes away while it looks. One line for what it got; the last one
 * counts: "seen N early N traced N refused N searched N".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define AHEAD 16		/* how many pids beyond the last one are looked for */
#define ROUNDS_BEFORE_STOP 2000 /* between two looks for the stop file */

static const char *expected, *own;
static char mark[256];
static unsigned seen, early, traced, refused, searched;
static unsigned long long own_capabilities;

/* "Name:\tHEX" in a status file. */
static unsigned long long capabilities(int process, const char *name)
{
	char text[4096], *line;
	int fd = openat(process, "status", O_RDONLY);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	close(fd);
	if (length <= 0)
		return 0;
	text[length] = '\0';
	line = strstr(text, name);
	return line ? strtoull(line + strlen(name) + 1, NULL, 16) : 0;
}

static void look_at_rights(int process, pid_t pid)
{
	static const char *const sets[] = {"CapPrm", "CapEff", "CapInh", "CapBnd"};

	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		unsigned long long more = capabilities(process, sets[i]) & ~own_capabilities;

		if (more)
			printf("RIGHTS %d has more in %s: %llx\n", pid, sets[i], more);
	}
}

/* The guest's root, and nothing else, has an /init. */
static void look_for_guest(int process, pid_t pid, const char *by)
{
	static const char *const ways[] = {"init", "1/root/init", "self/root/init", "../init", "../../../init"};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/%s", by, ways[i]);
		if (faccessat(process, path, F_OK, 0) == 0)
			printf("ESCAPE %d has the guest's root: %s\n", pid, path);
	}
}

static void look_at_descriptors(int process, pid_t pid)
{
	int fd = openat(process, "fd", O_RDONLY | O_DIRECTORY), sockets = 0;
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	while (stream && (entry = readdir(stream))) {
		char path[300], target[256];
		ssize_t length;

		if (*entry->d_name == '.')
			continue;
		snprintf(path, sizeof(path), "fd/%s", entry->d_name);
		length = readlinkat(process, path, target, sizeof(target) - 1);
		if (length < 0)
			continue;
		target[length] = '\0';
		look_for_guest(process, pid, path);
		/* Three sockets at first: to the agent, from which the word comes to go on, and a pair with the helper. */
		if (atoi(entry->d_name) > 2 && (strncmp(target, "socket:", 7) != 0 || ++sockets > 3))
			printf("DESCRIPTOR %d has %s open: %s\n", pid, entry->d_name, target);
	}
	if (stream)
		closedir(stream);
}

/* Opens its program in that way, unless it has become what it was meant to run, which is the container's own: -1. */
static int open_program(int process, int flags)
{
	int fd = openat(process, "exe", flags);
	char path[32], program[256];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = fd < 0 ? -1 : readlink(path, program, sizeof(program) - 1);
	program[length < 0 ? 0 : length] = '\0';
	if (length >= 0 && strcmp(program, expected) != 0)
		return fd;
	close(fd);
	return -1;
}

static void look_at_program(int process, pid_t pid)
{
	static const int ways[] = {O_WRONLY, O_RDWR, O_WRONLY | O_APPEND};
	int fd;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		fd = open_program(process, ways[i]);
		if (fd >= 0)
			printf("PROGRAM of %d can be opened for writing\n", pid);
		close(fd);
	}
	fd = open_program(process, O_RDONLY);
	if (fd >= 0 && (fchmod(fd, 0777) == 0 || fchown(fd, 1, 1) == 0))
		printf("PROGRAM of %d can be changed\n", pid);
	close(fd);
}

static bool is_early(int process)
{
	char program[256];
	ssize_t length = readlinkat(process, "exe", program, sizeof(program) - 1);

	if (length < 0)
		return errno == EACCES || errno == EPERM; /* undumpable, as nothing that runs is */
	program[length] = '\0';
	return strcmp(program, expected) != 0;
}

/* Texts in a range of its memory. */
static void search(int memory, unsigned long start, unsigned long end, bool *found_own, bool *found_mark)
{
	static char block[1 << 16];
	size_t overlap = 256;

	for (unsigned long at = start; at < end; at += sizeof(block) - overlap) {
		size_t size = end - at < sizeof(block) ? end - at : sizeof(block);
		ssize_t length = pread(memory, block, size, (off_t)at);

		if (length <= 0)
			continue;
		*found_own |= memmem(block, (size_t)length, own, strlen(own)) != NULL;
		*found_mark |= memmem(block, (size_t)length, mark, strlen(mark)) != NULL;
	}
}

static void look_at_memory(int process, pid_t pid)
{
	int memory = openat(process, "mem", O_RDONLY), maps = openat(process, "maps", O_RDONLY);
	FILE *lines = maps < 0 ? NULL : fdopen(maps, "r");
	bool found_own = false, found_mark = false;
	unsigned long start, end;
	char line[512];

	while (lines && memory >= 0 && fgets(line, sizeof(line), lines))
		if (sscanf(line, "%lx-%lx r", &start, &end) == 2)
			search(memory, start, end, &found_own, &found_mark);
	if (found_mark)
		printf("MEMORY of %d holds what isn't its own\n", pid);
	searched += found_own;
	if (lines)
		fclose(lines);
	close(memory);
}

static bool stop(pid_t pid)
{
	int status;

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
		return false;
	ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
	return waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status);
}

static void look(pid_t pid)
{
	char path[32];
	bool stopped;
	int process;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	process = open(path, O_PATH | O_DIRECTORY);
	errno = 0;
	stopped = stop(pid);
	refused += !stopped && errno == EPERM;
	traced += stopped;
	seen++;
	if (process >= 0 && is_early(process)) {
		early++;
		look_at_rights(process, pid);
		look_at_descriptors(process, pid);
		look_for_guest(process, pid, "root");
		look_for_guest(process, pid, "cwd");
		look_at_memory(process, pid);
		look_at_program(process, pid);
		fflush(stdout);
	}
	close(process);
	/* One that was killed meanwhile is its tracer's to wait for. */
	if (stopped && ptrace(PTRACE_DETACH, pid, NULL, NULL) < 0)
		waitpid(pid, NULL, __WALL);
}

static void look_at_new(const char *stop_file)
{
	pid_t last = fork();

	if (last == 0)
		_exit(0);
	waitpid(last, NULL, 0);
	printf("ready\n");
	fflush(stdout);
	for (unsigned round = 0; round % ROUNDS_BEFORE_STOP || access(stop_file, F_OK) < 0; round++)
		for (pid_t next = last + 1; next <= last + AHEAD; next++)
			if (kill(next, 0) == 0 || errno == EPERM) {
				look(next);
				last = next;
			}
}

int main(int argc, char **argv)
{
	if (argc < 6)
		return 2;
	expected = argv[3];
	own = argv[4];
	for (int i = 5; i < argc; i++)
		strncat(mark, argv[i], sizeof(mark) - strlen(mark) - 1);
	int self = open("/proc/self", O_PATH | O_DIRECTORY);
	own_capabilities = capabilities(self, "CapBnd");
	if (strcmp(argv[1], "new") == 0)
		look_at_new(argv[2]);
	else
		look(atoi(argv[2]));
	printf("seen %u early %u traced %u refused %u searched %u\n", seen, early, traced, refused, searched);
	return 0;
}
