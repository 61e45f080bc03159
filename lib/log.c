/* Log lines: formatted on the stack and written at once, or dropped and counted. */
#include "lib/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/version.h"

/* syscalls: write getpid clock_gettime */

#define LINE_SIZE 2048
#define MESSAGE_SIZE 1024
#define ESCAPED_SIZE (MESSAGE_SIZE + MESSAGE_SIZE / 2)

static struct {
	int fd;
	enum log_format format;
	enum log_level level;
	const char *name;
	unsigned long dropped;
} log_state = {.fd = 2, .format = LOG_TEXT, .level = LOG_WARNING, .name = "nacre"};

static const char *const text_names[] = {"error: ", "warning: ", "", "debug: ", "trace: "};
static const char *const json_names[] = {"ERRO", "WARN", "INFO", "DEBG", "TRCE"};

void log_open(int fd, enum log_format format, enum log_level level, const char *name)
{
	log_state.fd = fd;
	log_state.format = format;
	log_state.level = level;
	log_state.name = name;
}

void log_set_level(enum log_level level)
{
	log_state.level = level;
}

enum log_level log_get_level(void)
{
	return log_state.level;
}

/* The text as the inside of a JSON string, or as a line of a terminal: no byte of it ends the line or moves the cursor.
 * Bytes above 0x7f pass: what isn't UTF-8 is the writer's own fault. */
static void escape(char *to, size_t size, const char *from, enum log_format format)
{
	const char *control = format == LOG_JSON ? "\\u%04x" : "\\x%02x";
	size_t used = 0;

	for (; *from && used + 7 < size; from++) {
		unsigned char byte = (unsigned char)*from;

		if (format == LOG_JSON && (byte == '"' || byte == '\\')) {
			to[used++] = '\\';
			to[used++] = (char)byte;
		} else if (byte < 0x20 || byte == 0x7f) {
			used += (size_t)snprintf(to + used, size - used, control, byte);
		} else {
			to[used++] = (char)byte;
		}
	}
	to[used] = '\0';
}

/* `message` is escaped already. */
static int format_json(char line[LINE_SIZE], enum log_level level, const char *subsystem, const char *message)
{
	struct timespec now;
	struct tm utc;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	return snprintf(line, LINE_SIZE,
			"{\"msg\":\"%s\",\"level\":\"%s\",\"ts\":\"%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ\",\"pid\":\"%d\","
			"\"version\":\"%s\",\"name\":\"%s\",\"subsystem\":\"%s\",\"source\":\"agent\"}\n",
			message, json_names[level], utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
			utc.tm_min, utc.tm_sec, now.tv_nsec, getpid(), NACRE_VERSION, log_state.name, subsystem);
}

static void emit(enum log_level level, const char *subsystem, const char *message)
{
	char line[LINE_SIZE], escaped[ESCAPED_SIZE];
	int length;

	escape(escaped, sizeof(escaped), message, log_state.format);
	if (log_state.format == LOG_JSON)
		length = format_json(line, level, subsystem, escaped);
	else
		length = snprintf(line, sizeof(line), "%s: %s%s\n", log_state.name, text_names[level], escaped);
	if (length >= LINE_SIZE) {
		length = LINE_SIZE - 1;
		line[length - 1] = '\n';
	}
	if (write(log_state.fd, line, (size_t)length) != length)
		log_state.dropped++;
}

void log_write(enum log_level level, const char *subsystem, const char *format, ...)
{
	char message[MESSAGE_SIZE];
	va_list arguments;

	if (level > log_state.level)
		return;
	if (log_state.dropped > 0) {
		unsigned long dropped = log_state.dropped;

		snprintf(message, sizeof(message), "%lu log lines were lost", dropped);
		log_state.dropped = 0;
		emit(LOG_WARNING, "log", message);
		if (log_state.dropped > 0)
			log_state.dropped = dropped;
	}
	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	emit(level, subsystem, message);
}

bool log_limit_take(struct log_limit *limit, uint64_t now, unsigned long *left_out)
{
	if (limit->lines == 0 || now - limit->since >= LOG_LIMIT_TIME) {
		limit->since = now;
		limit->lines = 0;
	}
	if (limit->lines == LOG_LIMIT_LINES) {
		limit->left_out++;
		return false;
	}
	limit->lines++;
	*left_out = limit->left_out;
	limit->left_out = 0;
	return true;
}

void log_write_limited(struct log_limit *limit, enum log_level level, const char *subsystem, const char *format, ...)
{
	char message[MESSAGE_SIZE];
	unsigned long left_out;
	struct timespec now;
	va_list arguments;

	if (level > log_state.level)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!log_limit_take(limit, (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec, &left_out))
		return;
	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	if (left_out > 0)
		log_write(level, subsystem, "%s (and %lu more like it)", message, left_out);
	else
		log_write(level, subsystem, "%s", message);
}
