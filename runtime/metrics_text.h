/* Metrics that a guest has sent, in Prometheus' text format: what is well-formed is passed on. One bad line would make
 * Prometheus refuse the whole text, and with it what this machine says of the VM itself. */
#ifndef NACRE_RUNTIME_METRICS_TEXT_H
#define NACRE_RUNTIME_METRICS_TEXT_H

#include <stddef.h>
#include <stdio.h>

/* All of a guest's names begin so, as Kata's do: it can't put words into our mouth. */
#define METRICS_OF_GUEST "kata_"

/* Writes the lines of `text` that are whole and true to the format, with '?' for each byte outside of ASCII. How many were
 * left out. */
size_t metrics_text_pass(FILE *file, const char *text);

/* Writes a label's value, escaped, with its quotes. */
void metrics_text_value(FILE *file, const char *value);

#endif
