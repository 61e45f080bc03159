/* Trees of files as tar streams: packing our own, and unpacking what a guest sends.
 *
 * What comes from a guest is hostile. It is unpacked below one directory and nowhere else: its names are resolved by the
 * kernel below that (openat2(2), RESOLVE_BENEATH), and no symbolic link is ever followed, neither one that was there nor
 * one that the stream itself brings. Absolute names, "..", names outside of the one that was asked for, and links to
 * such are refused. Devices, FIFOs and sockets are left out; set-user-ID, set-group-ID and sticky bits are taken away.
 */
#ifndef NACRE_RUNTIME_ARCHIVE_H
#define NACRE_RUNTIME_ARCHIVE_H

#include <stdbool.h>

#include "lib/error.h"

struct archive_options {
	/* The first component of every name in the stream; "" for a stream whose names are below ".". */
	const char *inside;
	/* What stands in its place outside of the stream; "" for the contents alone. */
	const char *outside;
	bool owners;  /* user and group as well; otherwise they become root's (packed), or ours (unpacked) */
};

/* Unpacks the stream `from` into `directory`. *left_out counts what was. Reads to the end of the stream, also after the
 * end of the archive. 0 or -errno, with what had come before still there. */
int archive_unpack(int from, int directory, const struct archive_options *options, unsigned *left_out,
		   struct error *error);

/* Packs the file or tree `source`, without following links in it, to the stream `to`. Names begin with `inside` (or
 * "."); `outside` doesn't matter. 0 or -errno (EPIPE: nobody reads any more). */
int archive_pack(int to, const char *source, const struct archive_options *options, unsigned *left_out,
		 struct error *error);

/* Where an entry of the stream goes: its name, with `outside` in the place of `inside`, without anything that isn't a
 * plain component; "" for the place itself. 0, or -EPERM where it is no name to be unpacked, -ENAMETOOLONG. */
int archive_place(const struct archive_options *options, const char *name, char *place, unsigned size,
		  struct error *error);

#endif
