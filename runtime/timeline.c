/* Lines on stderr, or for somebody else's. */
#include "runtime/timeline.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/loop.h"

#define LINE_SIZE 2048

/* A guest's words may be among ours (an agent's refusal), and must not steer the terminal: no control character stays. Names
 * of files are in any language, so the second byte of those that UTF-8 writes as two (U+0080 to U+009F) is looked for. */
static void tame(char *text)
{
	for (char *byte = text; *byte; byte++)
		if ((unsigned char)*byte < ' ' || *byte == 0x7f ||
		    (byte > text && (unsigned char)byte[-1] == 0xc2 && (unsigned char)*byte < 0xa0))
			*byte = '?';
}

/* In one write, so that lines of several writers don't mix. A raw terminal doesn't return the carriage itself. */
static void print(const struct timeline *timeline, const char *prefix, const char *format, va_list arguments)
{
	char line[LINE_SIZE];
	int length = snprintf(line, sizeof(line), "%s", prefix);

	vsnprintf(line + length, sizeof(line) - (size_t)length, format, arguments);
	tame(line);
	if (timeline && timeline->print)
		timeline->print(timeline->data, line);
	else
		dprintf(STDERR_FILENO, "nacre: %s%s\n", line, isatty(STDERR_FILENO) ? "\r" : "");
}

void timeline_start(struct timeline *timeline, bool verbose)
{
	*timeline = (struct timeline){.verbose = verbose, .start = loop_now()};
}

void timeline_note(const struct timeline *timeline, const char *format, ...)
{
	uint64_t passed = loop_now() - timeline->start;
	char prefix[32];
	va_list arguments;

	if (!timeline->verbose)
		return;
	snprintf(prefix, sizeof(prefix), "%7.3f s  ", (double)passed / LOOP_SECOND);
	va_start(arguments, format);
	print(timeline, prefix, format, arguments);
	va_end(arguments);
}

void timeline_tell(const struct timeline *timeline, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print(timeline, "", format, arguments);
	va_end(arguments);
}

void timeline_say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print(NULL, "", format, arguments);
	va_end(arguments);
}
