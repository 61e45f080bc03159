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
	const char *end = NULL;
	size_t length = 0;

	while (!end) {
		size_t part, taken;

		if (reader->next == reader->filled) {
			ssize_t count = read(reader->fd, reader->bytes, sizeof(reader->bytes));

			if (count <= 0)
				return false;
			reader->filled = (size_t)count;
			reader->next = 0;
		}
		end = memchr(reader->bytes + reader->next, '\n', reader->filled - reader->next);
		part = end ? (size_t)(end - reader->bytes) - reader->next : reader->filled - reader->next;
		taken = part < LINE_SIZE - 1 - length ? part : LINE_SIZE - 1 - length;
		memcpy(line + length, reader->bytes + reader->next, taken);
		length += taken;
		reader->next += part + (end != NULL);
	}
	line[length] = '\0';
	return true;
}

/* An address, as the kernel writes them. strtoul(3) takes ten times as long. */
static char *parse_address(const char **text)
{
	uintptr_t address = 0;

	for (;; ++*text) {
		unsigned digit = (unsigned char)**text - '0';

		if (digit > 9)
			digit = (unsigned char)**text - 'a' + 10u;
		if (digit > 15)
			return (char *)address;
		address = address << 4 | digit;
	}
}

/* "START-END rw-p OFFSET 00:00 0   [NAME]": true for an anonymous one that may be the heap's. */
static bool parse_line(const char *line, struct range *range)
{
	const char *name;

	range->start = parse_address(&line);
	if (*line++ != '-')
		return false;
	range->end = parse_address(&line);
	if (strncmp(line, " rw-p ", 6) != 0)
		return false;
	/* Behind the offset. */
	name = line + strlen(" rw-p ");
	name += strcspn(name, " ");
	if (strncmp(name, " 00:00 0", strlen(" 00:00 0")) != 0)
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

/* Mappings side by side are one line: what is between the arena's goes. The mappings stay, which costs less, but nothing that was in
 * them. */
static int drop(const struct helper *helper, const struct range *range)
{
	const struct arena *arena = helper->plan.arena;
	const long page = sysconf(_SC_PAGESIZE);
	char *end;

	for (char *start = range->start; start < range->end; start = end + page) {
		for (end = start; end < range->end && !arena_touches(arena, end, end + page);)
			end += page;
		if (end > start && madvise(start, (size_t)(end - start), MADV_DONTNEED) < 0)
			return -1;
	}
	return 0;
}

/* The file goes on where the last line that was read ended, whatever has become of the mapping there. */
int helper_forget(struct helper *helper)
{
	cleanup_close int fd = openat(helper->proc, "self/maps", O_RDONLY | O_CLOEXEC);
	struct reader reader = {.fd = fd};
	struct range range;
	char line[LINE_SIZE];

	if (fd < 0)
		return error_errno(&helper->error, errno, "open the helper's maps");
	while (read_line(&reader, line))
		if (parse_line(line, &range) && !is_needed(helper, &range) && drop(helper, &range) < 0)
			return error_errno(&helper->error, errno, "take the agent's heap away");
	return 0;
}

#endif
