/* One pass over the text, by recursive descent. */
#include "agent/toml.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 16 /* of arrays and inline tables in each other */

struct toml {
	const char *at;
	unsigned line;
	unsigned depth;
	bool in_array;
	char path[TOML_PATH_SIZE];
	char value[TOML_VALUE_SIZE];
	size_t used; /* of value; TOML_VALUE_SIZE and more: it didn't fit */
	toml_entry *entry;
	void *context;
	struct error *error;
};

static int parse_value(struct toml *toml);

static int fail(struct toml *toml, const char *what)
{
	return error_set(toml->error, EINVAL, "%s", what);
}

static void skip_blanks(struct toml *toml)
{
	while (*toml->at == ' ' || *toml->at == '\t')
		toml->at++;
}

/* Also comments and ends of lines. */
static void skip_space(struct toml *toml)
{
	for (;;) {
		skip_blanks(toml);
		if (*toml->at == '#')
			toml->at += strcspn(toml->at, "\n");
		if (*toml->at == '\r' && toml->at[1] == '\n')
			toml->at++;
		if (*toml->at != '\n')
			return;
		toml->line++;
		toml->at++;
	}
}

static bool take(struct toml *toml, char byte)
{
	if (*toml->at != byte)
		return false;
	toml->at++;
	return true;
}

/* Strings ------------------------------------------------------------------------------------------------------ */

static void put(struct toml *toml, unsigned byte)
{
	if (toml->used < TOML_VALUE_SIZE - 1)
		toml->value[toml->used] = (char)byte;
	toml->used++;
}

static int put_character(struct toml *toml, unsigned digits)
{
	uint32_t code = 0;

	while (digits-- > 0) {
		if (!isxdigit((unsigned char)*toml->at))
			return fail(toml, "a hexadecimal digit is missing behind \\u");
		code = code << 4 | (uint32_t)(*toml->at <= '9' ? *toml->at - '0' : (*toml->at | 0x20) - 'a' + 10);
		toml->at++;
	}
	if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return fail(toml, "\\u with what is no character");
	if (code < 0x80) {
		put(toml, code);
		return 0;
	}
	if (code < 0x800) {
		put(toml, 0xc0 | code >> 6);
	} else {
		if (code < 0x10000) {
			put(toml, 0xe0 | code >> 12);
		} else {
			put(toml, 0xf0 | code >> 18);
			put(toml, 0x80 | (code >> 12 & 0x3f));
		}
		put(toml, 0x80 | (code >> 6 & 0x3f));
	}
	put(toml, 0x80 | (code & 0x3f));
	return 0;
}

/* Behind a backslash. */
static int parse_escape(struct toml *toml, bool lines)
{
	static const char from[] = "btnfre\"\\", to[] = "\b\t\n\f\r\033\"\\";
	const char *found = *toml->at ? strchr(from, *toml->at) : NULL;

	if (found) {
		put(toml, (unsigned char)to[found - from]);
		toml->at++;
		return 0;
	}
	if (take(toml, 'u'))
		return put_character(toml, 4);
	if (take(toml, 'U'))
		return put_character(toml, 8);
	if (!lines || !isspace((unsigned char)*toml->at))
		return fail(toml, "an unknown escape in a string");
	/* The end of a line, and what the next one begins with. */
	for (; isspace((unsigned char)*toml->at); toml->at++)
		toml->line += *toml->at == '\n';
	return 0;
}

/* A string of any of the four kinds into toml->value; `at` is at its first quote. */
static int parse_string(struct toml *toml)
{
	char quote = *toml->at, end[4] = {quote, quote, quote, '\0'};
	bool lines = strncmp(toml->at, end, 3) == 0;
	int status = 0;

	end[lines ? 3 : 1] = '\0';
	toml->at += strlen(end);
	if (lines && *toml->at == '\r')
		toml->at++;
	if (lines && take(toml, '\n'))
		toml->line++;
	toml->used = 0;
	while (status == 0 && strncmp(toml->at, end, strlen(end)) != 0) {
		if (*toml->at == '\0' || (*toml->at == '\n' && !lines))
			return fail(toml, "a string doesn't end");
		if (quote == '"' && take(toml, '\\')) {
			status = parse_escape(toml, lines);
			continue;
		}
		toml->line += *toml->at == '\n';
		put(toml, (unsigned char)*toml->at++);
	}
	if (status < 0)
		return status;
	toml->at += strlen(end);
	/* One or two quotes may stand in front of the three. */
	while (lines && take(toml, quote))
		put(toml, (unsigned char)quote);
	toml->value[toml->used < TOML_VALUE_SIZE ? toml->used : TOML_VALUE_SIZE - 1] = '\0';
	return 0;
}

/* Keys --------------------------------------------------------------------------------------------------------- */

/* Appends a part of a key to the path. A dot inside a quoted part doesn't divide it. */
static int push(struct toml *toml, const char *part, size_t length)
{
	size_t used = strlen(toml->path);

	if (used + length + 2 > sizeof(toml->path))
		return fail(toml, "a key is too long");
	if (used > 0)
		toml->path[used++] = '.';
	for (size_t i = 0; i < length; i++)
		toml->path[used++] = part[i] == '.' ? '\1' : part[i];
	toml->path[used] = '\0';
	return 0;
}

/* A key, of one part or more, behind the path. */
static int parse_key(struct toml *toml)
{
	int status;

	do {
		size_t length = 0;

		skip_blanks(toml);
		if (*toml->at == '"' || *toml->at == '\'') {
			status = parse_string(toml);
			if (status == 0)
				status = push(toml, toml->value, strlen(toml->value));
		} else {
			while (isalnum((unsigned char)toml->at[length]) || toml->at[length] == '_' || toml->at[length] == '-')
				length++;
			if (length == 0)
				return fail(toml, "a key is missing");
			status = push(toml, toml->at, length);
			toml->at += length;
		}
		skip_blanks(toml);
	} while (status == 0 && take(toml, '.'));
	return status;
}

/* KEY = VALUE; the path is afterwards what it was. */
static int parse_pair(struct toml *toml)
{
	size_t before = strlen(toml->path);
	int status = parse_key(toml);

	if (status == 0 && !take(toml, '='))
		return fail(toml, "= is missing behind a key");
	skip_blanks(toml);
	if (status == 0)
		status = parse_value(toml);
	toml->path[before] = '\0';
	return status;
}

/* Values ------------------------------------------------------------------------------------------------------- */

static int tell(struct toml *toml, enum toml_type type)
{
	if (toml->in_array)
		return 0;
	return toml->entry(toml->context, toml->path, type, toml->value, toml->error);
}

/* A whole number in any of its notations, as decimal in toml->value. */
static bool is_integer(struct toml *toml)
{
	const char *digits = toml->value + (*toml->value == '-' || *toml->value == '+');
	int base = 10;
	long long number;
	char *end;

	if (*digits == '0' && digits[1] != '\0') {
		base = digits[1] == 'x' ? 16 : digits[1] == 'o' ? 8 : digits[1] == 'b' ? 2 : 0;
		if (base == 0 || digits != toml->value || !isxdigit((unsigned char)digits[2]))
			return false;
		digits += 2;
	}
	errno = 0;
	number = strtoll(base == 10 ? toml->value : digits, &end, base);
	if (errno != 0 || *end || !isxdigit((unsigned char)*digits))
		return false;
	snprintf(toml->value, sizeof(toml->value), "%lld", number);
	return true;
}

/* A number, a boolean, a date. */
static int parse_word(struct toml *toml)
{
	static const char inner[] = "+-.:_";
	const char *word;

	toml->used = 0;
	while (isalnum((unsigned char)*toml->at) || (*toml->at && strchr(inner, *toml->at))) {
		if (*toml->at != '_')
			put(toml, (unsigned char)*toml->at);
		toml->at++;
	}
	if (toml->used == 0)
		return fail(toml, "a value is missing");
	if (toml->used >= TOML_VALUE_SIZE)
		return fail(toml, "a value is too long");
	toml->value[toml->used] = '\0';
	if (strcmp(toml->value, "true") == 0 || strcmp(toml->value, "false") == 0)
		return tell(toml, TOML_BOOLEAN);
	if (is_integer(toml))
		return tell(toml, TOML_INTEGER);
	word = toml->value + strspn(toml->value, "+-");
	if (!isdigit((unsigned char)*word) && strcmp(word, "inf") != 0 && strcmp(word, "nan") != 0)
		return error_set(toml->error, EINVAL, "'%.80s' is no value; are quotes missing?", toml->value);
	return tell(toml, TOML_OTHER);
}

static int parse_array(struct toml *toml)
{
	bool before = toml->in_array;
	int status = 0;

	toml->in_array = true;
	skip_space(toml);
	while (status == 0 && !take(toml, ']')) {
		status = parse_value(toml);
		skip_space(toml);
		if (status == 0 && !take(toml, ',') && *toml->at != ']')
			return fail(toml, "an array doesn't end");
		skip_space(toml);
	}
	toml->in_array = before;
	return status;
}

static int parse_inline_table(struct toml *toml)
{
	int status = 0;

	skip_blanks(toml);
	if (take(toml, '}'))
		return 0;
	do {
		status = parse_pair(toml);
		skip_blanks(toml);
	} while (status == 0 && take(toml, ','));
	if (status == 0 && !take(toml, '}'))
		return fail(toml, "an inline table doesn't end");
	return status;
}

static int parse_value(struct toml *toml)
{
	int status;

	if (*toml->at == '"' || *toml->at == '\'') {
		status = parse_string(toml);
		return status < 0 ? status : tell(toml, toml->used < TOML_VALUE_SIZE ? TOML_STRING : TOML_OTHER);
	}
	if (*toml->at != '[' && *toml->at != '{')
		return parse_word(toml);
	if (++toml->depth > DEPTH_MAX)
		return fail(toml, "values are nested too deeply");
	status = *toml->at++ == '[' ? parse_array(toml) : parse_inline_table(toml);
	toml->depth--;
	return status;
}

/* Lines -------------------------------------------------------------------------------------------------------- */

/* [TABLE] or [[TABLE]], of which there may be many, so that none of them is a plain one. */
static int parse_header(struct toml *toml)
{
	bool many = take(toml, '[');
	int status;

	*toml->path = '\0';
	status = parse_key(toml);
	if (status == 0 && many)
		status = push(toml, "[]", 2);
	if (status == 0 && (!take(toml, ']') || (many && !take(toml, ']'))))
		return fail(toml, "] is missing behind a table's name");
	return status;
}

int toml_read(const char *file, const char *text, toml_entry *entry, void *context, struct error *error)
{
	struct toml toml = {.at = text, .line = 1, .entry = entry, .context = context, .error = error};
	int status = 0;

	skip_space(&toml);
	while (status == 0 && *toml.at) {
		status = take(&toml, '[') ? parse_header(&toml) : parse_pair(&toml);
		skip_blanks(&toml);
		if (status == 0 && *toml.at && !strchr("#\r\n", *toml.at))
			status = fail(&toml, "something is left at the end of the line");
		if (status == 0)
			skip_space(&toml);
	}
	return status < 0 ? error_wrap(error, "%s:%u", file, toml.line) : 0;
}
