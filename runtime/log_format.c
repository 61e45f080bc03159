/* Cutting, parsing, writing. */
#include "runtime/log_format.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/utf8.h"

static const char *const stream_names[] = {"stdout", "stderr"};

size_t log_entry_cut(struct log_entry *entry, const char *bytes, size_t length)
{
	size_t most = length < LOG_TEXT_MOST ? length : LOG_TEXT_MOST;
	const char *newline = memchr(bytes, '\n', most);

	entry->text = bytes;
	entry->whole = newline != NULL;
	entry->length = newline ? (size_t)(newline - bytes) : most;
	return entry->length + (newline ? 1 : 0);
}

/* The part of the line up to the next space, which the cursor is set behind; NULL where there is none. */
static const char *take_word(const char **cursor, const char *end, size_t *length)
{
	const char *start = *cursor, *space = memchr(start, ' ', (size_t)(end - start));

	if (!space)
		return NULL;
	*length = (size_t)(space - start);
	*cursor = space + 1;
	return start;
}

static bool is_word(const char *word, size_t length, const char *expected)
{
	return word && length == strlen(expected) && memcmp(word, expected, length) == 0;
}

int log_entry_parse(const char *line, size_t length, struct log_entry *entry)
{
	const char *cursor = line, *end = line + length, *stream, *tag;
	size_t stream_length = 0, tag_length = 0;

	*entry = (struct log_entry){0};
	entry->time = take_word(&cursor, end, &entry->time_length);
	stream = entry->time ? take_word(&cursor, end, &stream_length) : NULL;
	tag = stream ? take_word(&cursor, end, &tag_length) : NULL;
	entry->stream = is_word(stream, stream_length, "stderr");
	entry->whole = is_word(tag, tag_length, "F");
	if (!entry->stream && !is_word(stream, stream_length, "stdout"))
		return -EPROTO;
	if (!entry->whole && !is_word(tag, tag_length, "P"))
		return -EPROTO;
	entry->text = cursor;
	entry->length = (size_t)(end - cursor);
	return 0;
}

int log_format_cri(struct buffer *text, const struct log_entry *entry)
{
	char middle[16];
	int length = snprintf(middle, sizeof(middle), " %s %c ", stream_names[entry->stream], entry->whole ? 'F' : 'P');
	int status = buffer_append(text, entry->time, entry->time_length);

	if (status == 0)
		status = buffer_append(text, middle, (size_t)length);
	if (status == 0)
		status = buffer_append(text, entry->text, entry->length);
	return status < 0 ? status : buffer_append(text, "\n", 1);
}

/* A string of JSON, without its quotes. */
static int append_escaped(struct buffer *text, const char *string)
{
	int status = 0;

	while (*string && status == 0) {
		char escape[8];
		size_t plain = 0;

		while ((unsigned char)string[plain] >= ' ' && string[plain] != '"' && string[plain] != '\\')
			plain++;
		status = buffer_append(text, string, plain);
		string += plain;
		if (!*string || status < 0)
			break;
		snprintf(escape, sizeof(escape), *string == '"' || *string == '\\' ? "\\%c" : "\\u%04x", *string);
		status = buffer_append(text, escape, strlen(escape));
		string++;
	}
	return status;
}

static int append(struct buffer *text, const char *string)
{
	return buffer_append(text, string, strlen(string));
}

int log_format_json(struct buffer *text, const struct log_entry *entry)
{
	char valid[UTF8_COPY_SIZE(LOG_TEXT_MOST)];
	int status = append(text, "{\"log\":\"");

	utf8_copy(valid, entry->text, entry->length < LOG_TEXT_MOST ? entry->length : LOG_TEXT_MOST);
	if (status == 0)
		status = append_escaped(text, valid);
	if (status == 0)
		status = append(text, entry->whole ? "\\n\",\"stream\":\"" : "\",\"stream\":\"");
	if (status == 0)
		status = append(text, stream_names[entry->stream]);
	if (status == 0)
		status = append(text, "\",\"time\":\"");
	if (status == 0)
		status = buffer_append(text, entry->time, entry->time_length);
	return status < 0 ? status : append(text, "\"}\n");
}
