/* Lines: "# HELP NAME TEXT", "# TYPE NAME TYPE", "NAME{LABEL="VALUE",...} NUMBER [TIME]". */
#include "runtime/metrics_text.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "runtime/printable.h"

#define FAMILIES_MOST 1024
#define LABELS_MOST 16
#define NUMBER_SIZE 64

/* A name that has been there, and what must not come a second time, or any more. */
struct family {
	const char *name;
	size_t length;
	bool helped, typed, sampled;
};

struct families {
	struct family list[FAMILIES_MOST];
	size_t count;
};

static bool is_letter(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
}

/* The length of the name at `text`; 0 where there is none. */
static size_t name_length(const char *text, const char *end, bool colons)
{
	size_t length = 0;

	while (text + length < end && (is_letter(text[length]) || (colons && text[length] == ':') ||
				       (length > 0 && text[length] >= '0' && text[length] <= '9')))
		length++;
	return length;
}

/* That of this name, which is added where it is new. NULL where there are too many. */
static struct family *find_family(struct families *families, const char *name, size_t length)
{
	for (size_t i = 0; i < families->count; i++)
		if (families->list[i].length == length && memcmp(families->list[i].name, name, length) == 0)
			return &families->list[i];
	if (families->count == FAMILIES_MOST)
		return NULL;
	families->list[families->count] = (struct family){.name = name, .length = length};
	return &families->list[families->count++];
}

/* The guest's name at *cursor, which moves behind it. NULL where it isn't one. */
static struct family *take_family(struct families *families, const char **cursor, const char *end)
{
	const char *name = *cursor;
	size_t length = name_length(name, end, true);

	if (length <= strlen(METRICS_OF_GUEST) || strncmp(name, METRICS_OF_GUEST, strlen(METRICS_OF_GUEST)) != 0)
		return NULL;
	*cursor += length;
	return find_family(families, name, length);
}

static bool take(const char **cursor, const char *end, const char *text)
{
	size_t length = strlen(text);

	if ((size_t)(end - *cursor) < length || memcmp(*cursor, text, length) != 0)
		return false;
	*cursor += length;
	return true;
}

/* A value with its quotes, in which a backslash is followed by what may follow it. */
static bool take_value(const char **cursor, const char *end)
{
	if (!take(cursor, end, "\""))
		return false;
	while (*cursor < end && **cursor != '"') {
		if (**cursor == '\\' && (*cursor + 1 == end || !strchr("\\\"n", *++*cursor)))
			return false;
		++*cursor;
	}
	return take(cursor, end, "\"");
}

/* "{NAME="VALUE",...}", each name once. */
static bool take_labels(const char **cursor, const char *end)
{
	struct {
		const char *name;
		size_t length;
	} seen[LABELS_MOST];
	size_t count = 0;

	while (!take(cursor, end, "}")) {
		const char *name = *cursor;
		size_t length = name_length(name, end, false);

		if (length == 0 || count == LABELS_MOST || strncmp(name, "__", 2) == 0)
			return false;
		for (size_t i = 0; i < count; i++)
			if (seen[i].length == length && memcmp(seen[i].name, name, length) == 0)
				return false;
		seen[count].name = name;
		seen[count++].length = length;
		*cursor += length;
		if (!take(cursor, end, "=") || !take_value(cursor, end))
			return false;
		if (!take(cursor, end, ",") && (*cursor == end || **cursor != '}'))
			return false;
	}
	return true;
}

static bool take_number(const char **cursor, const char *end)
{
	size_t length = 0;
	char text[NUMBER_SIZE], *behind;

	if (take(cursor, end, "NaN") || take(cursor, end, "+Inf") || take(cursor, end, "-Inf"))
		return true;
	while (*cursor + length < end && length + 1 < sizeof(text) && strchr("0123456789+-.eE", (*cursor)[length])) {
		text[length] = (*cursor)[length];
		length++;
	}
	text[length] = '\0';
	*cursor += length;
	return length > 0 && isfinite(strtod(text, &behind)) && *behind == '\0';
}

/* Milliseconds. */
static bool take_time(const char **cursor, const char *end)
{
	size_t digits = 0;

	take(cursor, end, "-");
	for (; *cursor < end && **cursor >= '0' && **cursor <= '9'; ++*cursor)
		digits++;
	return digits > 0 && digits <= 18;
}

static bool is_sample(struct families *families, const char *line, const char *end)
{
	struct family *family = take_family(families, &line, end);

	if (!family || (take(&line, end, "{") && !take_labels(&line, end)))
		return false;
	if (!take(&line, end, " ") || !take_number(&line, end))
		return false;
	if (line < end && (!take(&line, end, " ") || !take_time(&line, end) || line < end))
		return false;
	family->sampled = true;
	return true;
}

static bool is_help(struct families *families, const char *line, const char *end)
{
	struct family *family = take_family(families, &line, end);

	if (!family || family->helped || !take(&line, end, " "))
		return false;
	for (; line < end; line++)
		if (*line == '\\' && (line + 1 == end || !strchr("\\n", *++line)))
			return false;
	family->helped = true;
	return true;
}

/* Those of several samples each (histogram, summary) have rules of their own, and no agent has any: their samples go
 * without a type. */
static bool is_type(struct families *families, const char *line, const char *end)
{
	static const char *const types[] = {" gauge", " counter", " untyped"};
	struct family *family = take_family(families, &line, end);

	if (!family || family->typed || family->sampled)
		return false;
	for (size_t i = 0; i < array_size(types); i++)
		if (take(&line, end, types[i])) {
			family->typed = true;
			return line == end;
		}
	return false;
}

static bool is_good(struct families *families, const char *line, const char *end)
{
	if (take(&line, end, "# HELP "))
		return is_help(families, line, end);
	if (take(&line, end, "# TYPE "))
		return is_type(families, line, end);
	return is_sample(families, line, end);
}

size_t metrics_text_pass(FILE *file, const char *text)
{
	struct families *families = calloc(1, sizeof(*families));
	size_t dropped = 0;

	for (const char *end; families && *text; text = *end ? end + 1 : end) {
		end = strchrnul(text, '\n');
		if (end == text)
			continue;
		if (!is_good(families, text, end)) {
			dropped++;
			continue;
		}
		for (const char *byte = text; byte < end; byte++)
			putc(printable(*byte), file);
		putc('\n', file);
	}
	free(families);
	return dropped;
}

void metrics_text_value(FILE *file, const char *value)
{
	putc('"', file);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			putc('\\', file);
		putc(printable(*value), file);
	}
	putc('"', file);
}
