/* Error texts: formatted in place, never allocated. */
#include "lib/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void fill(struct error *error, int number, const char *format, va_list arguments)
{
	error->number = number;
	vsnprintf(error->text, sizeof(error->text), format, arguments);
}

/* In brackets, as error.h has macros of these names for analyzers. */
int(error_set)(struct error *error, int number, const char *format, ...)
{
	if (error) {
		va_list arguments;

		va_start(arguments, format);
		fill(error, number, format, arguments);
		va_end(arguments);
	}
	return -number;
}

int(error_errno)(struct error *error, int number, const char *format, ...)
{
	if (error) {
		va_list arguments;
		size_t length;

		va_start(arguments, format);
		fill(error, number, format, arguments);
		va_end(arguments);
		length = strlen(error->text);
		snprintf(error->text + length, sizeof(error->text) - length, ": %s", strerror(number));
	}
	return -number;
}

int(error_wrap)(struct error *error, const char *format, ...)
{
	char inner[ERROR_TEXT_SIZE];
	va_list arguments;
	size_t length;

	if (!error)
		return -EIO;
	memcpy(inner, error->text, sizeof(inner));
	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	length = strlen(error->text);
	/* A text that doesn't fit is cut: what happened stands at the front, where the cut isn't. */
	snprintf(error->text + length, sizeof(error->text) - length, ": %.*s", (int)(sizeof(inner) - 1), inner);
	return error->number > 0 ? -error->number : -EIO;
}
