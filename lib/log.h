/* Log lines: one line an event, to one fd, never blocking.
 *
 * On the host a line is text ("nacre-proxy: warning: ..."). In the guest it is a JSON object a line as the Kata
 * runtimes read it (behaviour.md section 7): ts, level, msg, version, subsystem, pid, name, source. Control characters
 * are escaped in both, so that no text that comes from elsewhere can pass for a line of its own. A line which the fd doesn't take at once is dropped and counted; the next line that goes through says how many were lost.
 */
#ifndef NACRE_LIB_LOG_H
#define NACRE_LIB_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG, LOG_TRACE };
enum log_format { LOG_TEXT, LOG_JSON };

/* Until this is called lines are text on fd 2 from LOG_WARNING up. `name` is the program's, and is not copied. */
void log_open(int fd, enum log_format format, enum log_level level, const char *name);

/* The most detailed level that is written. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

void log_write(enum log_level level, const char *subsystem, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Lines that somebody else can cause as often as he likes: of each place in the code that logs by log_limited()
 * LOG_LIMIT_LINES are written in LOG_LIMIT_TIME, and the first one after that says how many were left out. */
#define LOG_LIMIT_LINES 5
#define LOG_LIMIT_TIME UINT64_C(10000000000) /* nanoseconds */

/* All zeros at first. */
struct log_limit {
	uint64_t since; /* of the first line that counts */
	unsigned int lines;
	unsigned long left_out;
};

/* Whether there is room for a line at this time, in nanoseconds; *left_out is how many it has to speak of, and is written only
 * then. */
bool log_limit_take(struct log_limit *limit, uint64_t now, unsigned long *left_out);

void log_write_limited(struct log_limit *limit, enum log_level level, const char *subsystem, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#define log_limited(level, ...) \
	do { \
		static struct log_limit limit_here; \
		log_write_limited(&limit_here, level, LOG_SUBSYSTEM, __VA_ARGS__); \
	} while (0)

/* Each file that logs defines LOG_SUBSYSTEM before it includes this header. */
#define log_error(...) log_write(LOG_ERROR, LOG_SUBSYSTEM, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, LOG_SUBSYSTEM, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, LOG_SUBSYSTEM, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, LOG_SUBSYSTEM, __VA_ARGS__)

#endif
