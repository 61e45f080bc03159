/* Entries of a log, and the two formats in which others read them.
 *
 * The Kubernetes Container Runtime Interface's: TIME STREAM TAG TEXT, a line each, where TIME is UTC with nanoseconds (RFC
 * 3339), STREAM stdout or stderr, and TAG F for a text that was followed by a newline, P for one that wasn't (yet). So the
 * bytes of a stream are its texts, each with a newline behind it where the tag is F.
 *
 * JSON lines, as docker's json-file: {"log":TEXT,"stream":STREAM,"time":TIME}, where TEXT has its newline if there was one.
 */
#ifndef NACRE_RUNTIME_LOG_FORMAT_H
#define NACRE_RUNTIME_LOG_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/buffer.h"

#define LOG_TEXT_MOST 8192u /* of one entry; what is longer becomes several */

/* The texts are in what it was made from, and not terminated. */
struct log_entry {
	const char *time, *text;
	size_t time_length, length;
	unsigned stream; /* 0: stdout, 1: stderr */
	bool whole;	 /* a newline was behind it */
};

/* Cuts the first entry's text off bytes of a stream, of which there are some: how many bytes it was made of. Time and stream
 * are the caller's to set. */
size_t log_entry_cut(struct log_entry *entry, const char *bytes, size_t length);

/* Takes a line of the first format, without its newline, apart. 0, or -EPROTO where it isn't an entry. */
int log_entry_parse(const char *line, size_t length, struct log_entry *entry);

/* Appends an entry with its newline. 0, or -errno of the buffer, with a part of it written. JSON has characters alone:
 * bytes that are none become U+FFFD. */
int log_format_cri(struct buffer *text, const struct log_entry *entry);
int log_format_json(struct buffer *text, const struct log_entry *entry);

#endif
