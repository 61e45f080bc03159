/* Moments: nanoseconds since 1970 in UTC, as users and files see them. */
#ifndef NACRE_RUNTIME_MOMENT_H
#define NACRE_RUNTIME_MOMENT_H

#include <stdint.h>

#define MOMENT_SIZE 48
#define MOMENT_SECOND INT64_C(1000000000)

int64_t moment_now(void);

/* "2026-11-24T11:40:05.000000001Z" (RFC 3339); "" for 0, which is no moment. */
void moment_format(int64_t moment, char text[MOMENT_SIZE]);

/* The moment of such a text, or 0. */
int64_t moment_parse(const char *text);

/* How long `nanoseconds` are, as docker says it: "3 minutes", "About an hour". */
void moment_describe(int64_t nanoseconds, char text[MOMENT_SIZE]);

#endif
