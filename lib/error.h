/* What went wrong, in one line, without allocating.
 *
 * The convention everywhere in nacre: a function that can fail takes `struct error *error` last, returns 0 (or a
 * useful non-negative value) or a negative errno, and has filled `error` when it returns negative. Callers add
 * context on the way up with error_wrap(), and print the text once, at the top. `error` may be NULL where a
 * caller doesn't care for the text.
 */
#ifndef NACRE_LIB_ERROR_H
#define NACRE_LIB_ERROR_H

#define ERROR_TEXT_SIZE 512

struct error {
	int number;		    /* a positive errno; 0 while nothing has gone wrong */
	char text[ERROR_TEXT_SIZE]; /* one line, always terminated, cut where it is too long */
};

/* Fills `error` with the formatted text and returns -number. `number` must be a positive errno.
 * error_errno() appends ": " and strerror(number): for a system call that failed.
 * error_set() appends nothing: for what nacre itself refuses. */
int error_errno(struct error *error, int number, const char *format, ...) __attribute__((format(printf, 3, 4)));
int error_set(struct error *error, int number, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts the formatted text and ": " before what `error` says, and returns -error->number (-EIO for NULL), so that
 * `return error_wrap(error, "container %s", id);` reads well. */
int error_wrap(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#ifdef ERROR_ANALYZED
/* The promise above, for an analyzer (make lint), which sees one file at a time. */
static inline int error_negative(int status)
{
	if (status >= 0)
		__builtin_unreachable();
	return status;
}
#define error_errno(...) error_negative(error_errno(__VA_ARGS__))
#define error_set(...) error_negative(error_set(__VA_ARGS__))
#define error_wrap(...) error_negative(error_wrap(__VA_ARGS__))
#endif

#endif
