/* Names of a stream's entries. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/archive.h"
#include "runtime/printable.h"

/* The guest's names don't go to anybody's terminal as they are. */
static int refuse(struct error *error, int number, const char *name, const char *reason)
{
	char text[96];
	size_t length = 0;

	for (; length < sizeof(text) - 1 && name[length]; length++)
		text[length] = printable(name[length]);
	text[length] = '\0';
	return error_set(error, number, "'%s' %s", text, reason);
}

static bool is(const char *component, size_t length, const char *wanted)
{
	return strlen(wanted) == length && memcmp(component, wanted, length) == 0;
}

static bool append(char *place, unsigned size, const char *component, size_t length)
{
	size_t used = strlen(place);

	if (length == 0)
		return true;
	if (used + 1 + length >= size)
		return false;
	if (used > 0)
		place[used++] = '/';
	memcpy(place + used, component, length);
	place[used + length] = '\0';
	return true;
}

int archive_place(const struct archive_options *options, const char *name, char *place, unsigned size,
		  struct error *error)
{
	bool first = *options->inside != '\0';

	*place = '\0';
	if (*name == '/')
		return refuse(error, EPERM, name, "is an absolute name");
	if (!first && !append(place, size, options->outside, strlen(options->outside)))
		return error_errno(error, ENAMETOOLONG, "unpack");
	for (const char *part = name; *part;) {
		size_t length = strcspn(part, "/");

		if (is(part, length, ".."))
			return refuse(error, EPERM, name, "has '..' in it");
		if (first && length > 0 && !is(part, length, ".")) {
			if (!is(part, length, options->inside))
				return refuse(error, EPERM, name, "is not what was asked for");
			first = false;
			if (!append(place, size, options->outside, strlen(options->outside)))
				return error_errno(error, ENAMETOOLONG, "unpack");
		} else if (!is(part, length, ".") && !append(place, size, part, length)) {
			return refuse(error, ENAMETOOLONG, name, "is too long");
		}
		part += length;
		part += *part == '/';
	}
	return first ? refuse(error, EPERM, name, "is not what was asked for") : 0;
}
