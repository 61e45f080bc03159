/* Amounts: those in options (memory, counts), and bytes for people. */
#ifndef NACRE_RUNTIME_QUANTITY_H
#define NACRE_RUNTIME_QUANTITY_H

#include <stdint.h>

#include "lib/error.h"

#define MEBIBYTE (UINT64_C(1) << 20)

/* A size in bytes as docker takes it: a whole number and b, k, m, g or t (of 1024), or none for bytes; "mb" and "MiB"
 * are the same as "m". 0, or -EINVAL or -ERANGE. */
int quantity_parse_memory(const char *text, uint64_t *bytes, struct error *error);

/* A whole number from `least` to `most`; `option` is for the error. 0 or -EINVAL. */
int quantity_parse_count(const char *option, const char *text, unsigned least, unsigned most, unsigned *count,
			 struct error *error);

/* Bytes for people, as docker writes them: "1.5MiB". */
#define QUANTITY_SIZE 24
void quantity_format_bytes(uint64_t bytes, char text[QUANTITY_SIZE]);

#endif
