/* Log lines: one line an event, to one fd, never blocking.
 *
 * On the host a line is text ("nacre-proxy: warning: ..."). In the guest it is a JSON object a line as the Kata
 * runtimes read it (behaviour.md section 7): ts, level, msg, version, subsystem, pid, name, source. Control characters
 * are escaped in both, so that no text that comes from elsewhere can pass for a line of its own. A line which the fd doesn't take at once is dropped and counted; the next line that goes through says how many were lost.
 */
#ifndef NACRE_LIB_LOG_H
#define NACRE_LIB_LOG_H

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG, LOG_TRACE };
enum log_format { LOG_TEXT, LOG_JSON };

/* Until this is called lines are text on fd 2 from LOG_WARNING up. `name` is the program's, and is not copied. */
void log_open(int fd, enum log_format format, enum log_level level, const char *name);

/* The most detailed level that is written. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

void log_write(enum log_level level, const char *subsystem, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Each file that logs defines LOG_SUBSYSTEM before it includes this header. */
#define log_error(...) log_write(LOG_ERROR, LOG_SUBSYSTEM, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, LOG_SUBSYSTEM, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, LOG_SUBSYSTEM, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, LOG_SUBSYSTEM, __VA_ARGS__)

#endif
