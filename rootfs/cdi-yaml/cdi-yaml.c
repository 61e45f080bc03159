/* cdi-yaml: YAML on stdin, JSON on stdout: the agent's reader of CDI's files in YAML (agent/device/cdi.c), a program of its own
 * in the full image, as a reader of YAML is a fifth of the agent's size.
 *
 * What comes out is a few times as large as what goes in at the most: there are no aliases, nothing is deeper than DEPTH_MAX,
 * and nothing larger than SIZE_MAX_READ is read. Words are taken as the JSON schema of YAML 1.2 has them, and numbers with a leading 0 are
 * octal, as 1.1 has it, which modes of files are written in.
 *
 * Exit status 0, or 1 with a line on stderr.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#define SIZE_MAX_READ (1u << 20)
#define DEPTH_MAX 32

/* What we are in the middle of. */
struct level {
	bool mapping;
	size_t count; /* of what has come in it; names and values are two */
};

struct converter {
	yaml_parser_t parser;
	struct level levels[DEPTH_MAX];
	size_t depth;
	bool any; /* a document has begun */
};

static _Noreturn void fail(const yaml_mark_t *mark, const char *text)
{
	fprintf(stderr, "line %zu: %s\n", mark->line + 1, text);
	exit(1);
}

/* Scalars ---------------------------------------------------------------------------------------------------------- */

static void put_text(const yaml_char_t *text, size_t length)
{
	putchar('"');
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '"' || text[i] == '\\')
			printf("\\%c", text[i]);
		else if (text[i] < ' ')
			printf("\\u%04x", text[i]);
		else
			putchar(text[i]);
	}
	putchar('"');
}

static bool is_one_of(const char *text, const char *const words[])
{
	while (*words && strcmp(*words, text) != 0)
		words++;
	return *words != NULL;
}

/* A whole number, in any notation. */
static bool put_integer(const char *text)
{
	const char *digits = text + (*text == '-' || *text == '+');
	long long number;
	char *end;
	int base = 10;

	if (!isdigit((unsigned char)*digits))
		return false;
	if (digits[0] == '0' && (digits[1] == 'o' || digits[1] == 'x'))
		base = digits[1] == 'o' ? 8 : 16;
	else if (digits[0] == '0' && digits[1])
		base = 8;
	errno = 0;
	number = strtoll(base == 8 && digits[1] == 'o' ? digits + 2 : digits, &end, base);
	if (*end || end == digits || errno)
		return false;
	printf("%s%lld", *text == '-' ? "-" : "", number);
	return true;
}

/* Digits, a point, digits, an exponent: what JSON has as a number, too. */
static bool put_fraction(const char *text)
{
	const char *rest = text + (*text == '-');
	size_t whole = strspn(rest, "0123456789"), more;

	if (whole == 0 || (whole > 1 && *rest == '0'))
		return false;
	rest += whole;
	if (*rest == '.') {
		more = strspn(++rest, "0123456789");
		if (more == 0)
			return false;
		rest += more;
	}
	if (*rest == 'e' || *rest == 'E') {
		rest += 1 + (rest[1] == '+' || rest[1] == '-');
		more = strspn(rest, "0123456789");
		if (more == 0)
			return false;
		rest += more;
	}
	if (*rest)
		return false;
	fputs(text, stdout);
	return true;
}

/* A scalar without quotes may be anything. */
static void put_plain(const yaml_char_t *value, size_t length)
{
	static const char *const nothing[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const yes[] = {"true", "True", "TRUE", NULL}, *const no[] = {"false", "False", "FALSE", NULL};
	const char *text = (const char *)value;

	if (strlen(text) == length && is_one_of(text, nothing))
		fputs("null", stdout);
	else if (is_one_of(text, yes))
		fputs("true", stdout);
	else if (is_one_of(text, no))
		fputs("false", stdout);
	else if (!put_integer(text) && !put_fraction(text))
		put_text(value, length);
}

static void put_scalar(const yaml_event_t *event, bool name)
{
	const yaml_char_t *value = event->data.scalar.value;
	const char *tag = (const char *)event->data.scalar.tag;
	size_t length = event->data.scalar.length;

	if (tag && strcmp(tag, YAML_STR_TAG) != 0 && strcmp(tag, "!") != 0)
		fail(&event->start_mark, "a tag");
	if (name || tag || event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		put_text(value, length);
	else
		put_plain(value, length);
}

/* Structure -------------------------------------------------------------------------------------------------------- */

/* What comes before a value or a name, wherever we are. True for a name. */
static bool begin(struct converter *converter, const yaml_event_t *event)
{
	struct level *level;
	bool name;

	if (converter->depth == 0)
		return false;
	level = &converter->levels[converter->depth - 1];
	name = level->mapping && level->count % 2 == 0;
	if (name && event->type != YAML_SCALAR_EVENT)
		fail(&event->start_mark, "a name that is no text");
	if (level->count > 0)
		putchar(level->mapping && !name ? ':' : ',');
	level->count++;
	return name;
}

static void enter(struct converter *converter, const yaml_event_t *event, bool mapping)
{
	begin(converter, event);
	if (converter->depth == DEPTH_MAX)
		fail(&event->start_mark, "too deep");
	converter->levels[converter->depth++] = (struct level){.mapping = mapping};
	putchar(mapping ? '{' : '[');
}

static void leave(struct converter *converter)
{
	putchar(converter->levels[--converter->depth].mapping ? '}' : ']');
}

/* False at the end. */
static bool convert(struct converter *converter, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (converter->any)
			fail(&event->start_mark, "a second document");
		converter->any = true;
		break;
	case YAML_ALIAS_EVENT:
		fail(&event->start_mark, "an alias");
	case YAML_SCALAR_EVENT:
		put_scalar(event, begin(converter, event));
		break;
	case YAML_MAPPING_START_EVENT:
	case YAML_SEQUENCE_START_EVENT:
		enter(converter, event, event->type == YAML_MAPPING_START_EVENT);
		break;
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		leave(converter);
		break;
	case YAML_STREAM_END_EVENT:
		return false;
	default:
		break;
	}
	return true;
}

int main(void)
{
	static struct converter converter;
	static unsigned char text[SIZE_MAX_READ + 1];
	size_t length = fread(text, 1, sizeof(text), stdin);
	yaml_event_t event;
	bool more = true;

	if (ferror(stdin) || length > SIZE_MAX_READ) {
		fputs(ferror(stdin) ? "can't be read\n" : "larger than 1 MiB\n", stderr);
		return 1;
	}
	if (!yaml_parser_initialize(&converter.parser)) {
		fputs("out of memory\n", stderr);
		return 1;
	}
	yaml_parser_set_input_string(&converter.parser, text, length);
	while (more) {
		if (!yaml_parser_parse(&converter.parser, &event))
			fail(&converter.parser.problem_mark, converter.parser.problem ? converter.parser.problem : "broken");
		more = convert(&converter, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&converter.parser);
	if (!converter.any) {
		fputs("empty\n", stderr);
		return 1;
	}
	putchar('\n');
	return fflush(stdout) == 0 ? 0 : 1;
}
