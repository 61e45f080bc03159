/* Lines on stderr. */
#include "runtime/timeline.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/loop.h"

/* In one write, so that lines of several writers don't mix. A raw terminal doesn't return the carriage itself. */
static void print(const char *prefix, const char *format, va_list arguments)
{
	char text[2048];

	vsnprintf(text, sizeof(text), format, arguments);
	dprintf(STDERR_FILENO, "nacre: %s%s%s\n", prefix, text, isatty(STDERR_FILENO) ? "\r" : "");
}

void timeline_start(struct timeline *timeline, bool verbose)
{
	timeline->verbose = verbose;
	timeline->start = loop_now();
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
	print(prefix, format, arguments);
	va_end(arguments);
}

void timeline_say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print("", format, arguments);
	va_end(arguments);
}
