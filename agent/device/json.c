/* By recursive descent. A text is never longer than it is written, so it is made where it stands. */
#include "agent/device/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 32

struct parser {
	char *at;
	struct arena *arena;
	unsigned depth;
};

static bool take(struct parser *parser, char wanted)
{
	parser->at += strspn(parser->at, " \t\r\n");
	if (*parser->at != wanted)
		return false;
	parser->at++;
	return true;
}

/* Four hexadecimal digits; 0, which no text may have, for anything else. */
static unsigned take_code(struct parser *parser)
{
	char digits[5] = "", *end;
	unsigned code;

	memccpy(digits, parser->at, '\0', 4);
	if (strspn(digits, "0123456789abcdefABCDEF") != 4)
		return 0;
	code = (unsigned)strtoul(digits, &end, 16);
	parser->at += 4;
	return code;
}

static char *put_utf8(char *to, unsigned code)
{
	static const struct {
		unsigned below;
		unsigned char mark;
	} lengths[] = {{0x80, 0}, {0x800, 0xc0}, {0x10000, 0xe0}, {0x110000, 0xf0}};
	int more = 0;

	while (code >= lengths[more].below)
		more++;
	*to++ = (char)(lengths[more].mark | code >> 6 * more);
	while (more-- > 0)
		*to++ = (char)(0x80 | (code >> 6 * more & 0x3f));
	return to;
}

/* After "\u". Characters beyond the first 65536 are written as two codes. */
static char *take_character(struct parser *parser, char *to)
{
	unsigned code = take_code(parser), low;

	if (code == 0 || (code >= 0xdc00 && code < 0xe000))
		return NULL;
	if (code >= 0xd800 && code < 0xdc00) {
		if (strncmp(parser->at, "\\u", 2) != 0)
			return NULL;
		parser->at += 2;
		low = take_code(parser);
		if (low < 0xdc00 || low >= 0xe000)
			return NULL;
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	}
	return put_utf8(to, code);
}

static char *take_escaped(struct parser *parser, char *to)
{
	static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	const char *letter = *parser->at ? strchr(letters, *parser->at) : NULL;

	if (letter) {
		parser->at++;
		*to++ = meant[letter - letters];
		return to;
	}
	return *parser->at++ == 'u' ? take_character(parser, to) : NULL;
}

/* After the opening quote. */
static const char *take_text(struct parser *parser)
{
	char *text = parser->at, *to = text;

	while (to && *parser->at != '"') {
		if ((unsigned char)*parser->at < ' ')
			return NULL;
		if (*parser->at == '\\') {
			parser->at++;
			to = take_escaped(parser, to);
		} else {
			*to++ = *parser->at++;
		}
	}
	if (!to)
		return NULL;
	parser->at++;
	*to = '\0';
	return text;
}

static bool take_word(struct parser *parser, struct json *value)
{
	static const char *const words[] = {"null", "true", "false"};

	value->kind = JSON_OTHER;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strncmp(parser->at, words[i], strlen(words[i])) != 0)
			continue;
		parser->at += strlen(words[i]);
		return true;
	}
	return false;
}

static bool take_digits(struct parser *parser)
{
	size_t count = strspn(parser->at, "0123456789");

	parser->at += count;
	return count > 0;
}

static bool take_number(struct parser *parser, struct json *value)
{
	const char *start = parser->at;
	bool whole = true;

	parser->at += *parser->at == '-';
	if (*parser->at == '0')
		parser->at++;
	else if (!take_digits(parser))
		return false;
	if (*parser->at == '.') {
		whole = false;
		parser->at++;
		if (!take_digits(parser))
			return false;
	}
	if (*parser->at == 'e' || *parser->at == 'E') {
		whole = false;
		parser->at++;
		parser->at += *parser->at == '-' || *parser->at == '+';
		if (!take_digits(parser))
			return false;
	}
	errno = 0;
	value->number = strtoll(start, NULL, 10);
	value->kind = whole && errno == 0 ? JSON_NUMBER : JSON_OTHER;
	return true;
}

static struct json *take_value(struct parser *parser);

/* What is between the brackets of a list or an object. */
static bool take_members(struct parser *parser, struct json *parent, char end)
{
	const struct json **link = &parent->first;

	if (take(parser, end))
		return true;
	do {
		const char *name = NULL;
		struct json *child;

		if (end == '}' && (!take(parser, '"') || !(name = take_text(parser)) || !take(parser, ':')))
			return false;
		child = take_value(parser);
		if (!child)
			return false;
		child->name = name;
		*link = child;
		link = &child->next;
	} while (take(parser, ','));
	return take(parser, end);
}

static struct json *take_value(struct parser *parser)
{
	struct json *value = arena_alloc(parser->arena, sizeof(*value));
	bool good;

	if (!value || parser->depth == DEPTH_MAX)
		return NULL;
	parser->depth++;
	if (take(parser, '{')) {
		value->kind = JSON_OBJECT;
		good = take_members(parser, value, '}');
	} else if (take(parser, '[')) {
		value->kind = JSON_LIST;
		good = take_members(parser, value, ']');
	} else if (take(parser, '"')) {
		value->kind = JSON_TEXT;
		value->text = take_text(parser);
		good = value->text != NULL;
	} else {
		good = take_word(parser, value) || take_number(parser, value);
	}
	parser->depth--;
	return good ? value : NULL;
}

const struct json *json_parse(char *text, struct arena *arena)
{
	struct parser parser = {.at = text, .arena = arena};
	struct json *value = take_value(&parser);

	return value && take(&parser, '\0') ? value : NULL;
}

const struct json *json_find(const struct json *object, const char *name)
{
	const struct json *value = object && object->kind == JSON_OBJECT ? object->first : NULL;

	while (value && strcmp(value->name, name) != 0)
		value = value->next;
	return value;
}

const char *json_text(const struct json *object, const char *name)
{
	const struct json *value = json_find(object, name);

	return value && value->kind == JSON_TEXT ? value->text : NULL;
}

int64_t json_number(const struct json *object, const char *name, int64_t otherwise)
{
	const struct json *value = json_find(object, name);

	return value && value->kind == JSON_NUMBER ? value->number : otherwise;
}
