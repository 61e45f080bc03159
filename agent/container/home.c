/* HOME of a user, from the container's passwd file: looked up by number, never by name, as names there may be numbers.
 * The file belongs to the container: it is opened inside the root, must be a regular file, and is read to a bound. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container/helper.h"
#include "lib/cleanup.h"
#include "lib/path.h"

#define PASSWD_MAX (1 << 20)
#define FIELDS 7

enum passwd_field { PASSWD_UID = 2, PASSWD_HOME = 5 };

struct parser {
	char line[PATH_MAX + 256]; /* a longer line is no line */
	size_t length;
	bool too_long;
};

/* True for digits only, of this very number. */
static bool is_number(const char *text, uid_t number)
{
	unsigned long long value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || value > UINT32_MAX)
			return false;
		value = value * 10 + (unsigned)(*text - '0');
	}
	return value == number;
}

/* The home in a line for `uid`, or NULL. Cuts the line into its fields. */
static const char *match_line(char *line, uid_t uid)
{
	char *fields[FIELDS], *next = line;

	for (size_t i = 0; i < FIELDS; i++) {
		fields[i] = strsep(&next, ":");
		if (!fields[i])
			return NULL;
	}
	if (!is_number(fields[PASSWD_UID], uid) || fields[PASSWD_HOME][0] != '/' ||
	    strlen(fields[PASSWD_HOME]) >= PATH_MAX)
		return NULL;
	return fields[PASSWD_HOME];
}

static const char *feed(struct parser *parser, char byte, uid_t uid)
{
	const char *home = NULL;

	if (byte != '\n') {
		if (parser->length + 1 < sizeof(parser->line))
			parser->line[parser->length++] = byte;
		else
			parser->too_long = true;
		return NULL;
	}
	parser->line[parser->length] = '\0';
	if (!parser->too_long)
		home = match_line(parser->line, uid);
	parser->length = 0;
	parser->too_long = false;
	return home;
}

static const char *search(struct parser *parser, int fd, uid_t uid)
{
	char block[4096];
	const char *home = NULL;
	ssize_t count;

	for (size_t total = 0; total < PASSWD_MAX; total += (size_t)count) {
		count = read(fd, block, sizeof(block));
		if (count <= 0)
			break;
		for (ssize_t i = 0; i < count && !home; i++)
			home = feed(parser, block[i], uid);
		if (home)
			return home;
	}
	return feed(parser, '\n', uid); /* the last line may have no end */
}

int home_find(struct helper *helper)
{
	struct plan_process *process = &helper->plan.process;
	cleanup_close int fd = -1;
	struct parser parser = {.length = 0};
	const char *home = NULL;
	struct stat stat;

	if (!process->home_wanted)
		return 0;
	fd = path_open_in_root(helper->root, "/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, NULL);
	if (fd >= 0 && fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode))
		home = search(&parser, fd, process->uid);
	snprintf(helper->home, sizeof(helper->home), "HOME=%s", home ? home : "/");
	process->environment[process->environment_count] = helper->home;
	return 0;
}
