/* What a helper keeps of the agent's memory: the plan, the stack, the program itself.
 *
 * A helper is a copy of the agent, and what becomes of it may be traced by a container that has CAP_SYS_PTRACE: it
 * must not hold what other containers are made of. Requests are never inherited (ARENA_NO_FORK); this takes away the
 * heap. From then on nothing may be allocated or freed.
 *
 * The heap are the anonymous private mappings in /proc/self/maps, but for those with the plan, the thread's own data
 * and the program's variables.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/container/helper.h"
#include "lib/cleanup.h"

#ifdef __GLIBC__

/* Only tests are built with it. Its own data lie in mappings that look like the heap's. */
int helper_forget(struct helper *helper)
{
	(void)helper;
	return 0;
}

#else

#define LINE_SIZE 256
#define MAPPINGS_MAX 1024

extern char __bss_start[], _end[];

struct range {
	char *start, *end;
};

struct reader {
	int fd;
	size_t next, filled;
	char bytes[4096];
};

/* A line of the file, cut where it is too long. False at the end. */
static bool read_line(struct reader *reader, char line[LINE_SIZE])
{
	size_t length = 0;

	for (;;) {
		if (reader->next == reader->filled) {
			ssize_t count = read(reader->fd, reader->bytes, sizeof(reader->bytes));

			if (count <= 0)
				return false;
			reader->filled = (size_t)count;
			reader->next = 0;
		}
		if (reader->bytes[reader->next] == '\n')
			break;
		if (length < LINE_SIZE - 1)
			line[length++] = reader->bytes[reader->next];
		reader->next++;
	}
	reader->next++;
	line[length] = '\0';
	return true;
}

/* "START-END rw-p OFFSET 00:00 0   [NAME]": true for an anonymous one that may be the heap's. */
static bool parse_line(const char *line, struct range *range)
{
	const char *name;
	char *next;

	range->start = (char *)strtoul(line, &next, 16);
	if (*next != '-')
		return false;
	range->end = (char *)strtoul(next + 1, &next, 16);
	if (strncmp(next, " rw-p ", 6) != 0)
		return false;
	name = strstr(next, " 00:00 0");
	if (!name)
		return false;
	name += strlen(" 00:00 0");
	name += strspn(name, " ");
	return !*name || strcmp(name, "[heap]") == 0;
}

static bool overlaps(const struct range *range, const void *start, const void *end)
{
	return (char *)start < range->end && (char *)end > range->start;
}

static bool is_needed(const struct helper *helper, const struct range *range)
{
	return overlaps(range, &errno, &errno + 1) || overlaps(range, __bss_start, _end) ||
	       overlaps(range, helper, helper + 1);
}

/* Mappings side by side are one line: what isn't the arena's is taken away page by page then. */
static int drop(const struct helper *helper, const struct range *range)
{
	const struct arena *arena = helper->plan.arena;
	const long page = sysconf(_SC_PAGESIZE);

	if (!arena_touches(arena, range->start, range->end))
		return munmap(range->start, (size_t)(range->end - range->start));
	for (char *start = range->start; start < range->end; start += page)
		if (!arena_touches(arena, start, start + page) && munmap(start, (size_t)page) < 0)
			return -1;
	return 0;
}

int helper_forget(struct helper *helper)
{
	cleanup_close int fd = openat(helper->proc, "self/maps", O_RDONLY | O_CLOEXEC);
	struct reader reader = {.fd = fd};
	struct range found[MAPPINGS_MAX];
	char line[LINE_SIZE];
	size_t count = 0;

	if (fd < 0)
		return error_errno(&helper->error, errno, "open the helper's maps");
	while (read_line(&reader, line)) {
		struct range *range = &found[count];

		if (!parse_line(line, range) || is_needed(helper, range))
			continue;
		if (++count == MAPPINGS_MAX)
			return error_set(&helper->error, E2BIG, "the agent has more than %d mappings", MAPPINGS_MAX);
	}
	for (size_t i = 0; i < count; i++)
		if (drop(helper, &found[i]) < 0)
			return error_errno(&helper->error, errno, "take the agent's heap away");
	return 0;
}

#endif
