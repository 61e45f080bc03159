/* From files of ours to a tar stream. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "runtime/archive.h"

#define ZEROES 4096

struct packing {
	const struct archive_options *options;
	const char *source;
	struct archive *disk, *stream;
	struct archive_entry_linkresolver *links;
	unsigned left_out;
	struct error *error;
};

static int fail(struct packing *packing, struct archive *archive)
{
	int number = archive_errno(archive);

	return error_set(packing->error, number > 0 ? number : EIO, "pack %s: %s", packing->source,
			 archive_error_string(archive));
}

/* As it is to be called in the stream, and whose it is there. */
static int describe(struct packing *packing, struct archive_entry *entry)
{
	const char *path = archive_entry_pathname(entry), *inside = packing->options->inside;
	cleanup_free char *name = NULL;

	if (asprintf(&name, "%s%s", *inside ? inside : ".", path + strlen(packing->source)) < 0) {
		name = NULL;
		return error_errno(packing->error, ENOMEM, "pack %s", packing->source);
	}
	archive_entry_set_pathname(entry, name);
	archive_entry_set_uname(entry, NULL);
	archive_entry_set_gname(entry, NULL);
	if (!packing->options->owners) {
		archive_entry_set_uid(entry, 0);
		archive_entry_set_gid(entry, 0);
	}
	return 0;
}

/* Holes are written as zeroes. */
static int fill(struct packing *packing, la_int64_t length)
{
	static const char zeroes[ZEROES];

	while (length > 0) {
		size_t part = length < ZEROES ? (size_t)length : ZEROES;

		if (archive_write_data(packing->stream, zeroes, part) < 0)
			return fail(packing, packing->stream);
		length -= (la_int64_t)part;
	}
	return 0;
}

static int copy_contents(struct packing *packing)
{
	la_int64_t offset, written = 0;
	const void *data;
	size_t length;
	int code, status;

	while ((code = archive_read_data_block(packing->disk, &data, &length, &offset)) == ARCHIVE_OK) {
		status = fill(packing, offset - written);
		if (status < 0)
			return status;
		if (archive_write_data(packing->stream, data, length) < 0)
			return fail(packing, packing->stream);
		written = offset + (la_int64_t)length;
	}
	return code == ARCHIVE_EOF ? 0 : fail(packing, packing->disk);
}

static int pack_entry(struct packing *packing, struct archive_entry *entry)
{
	struct archive_entry *spare = NULL;
	int status = describe(packing, entry);

	if (status < 0)
		return status;
	if (archive_entry_filetype(entry) == AE_IFSOCK) {
		packing->left_out++;
		return 0;
	}
	/* The tar way: a further name of a file is a link to the first, and has no contents. */
	archive_entry_linkify(packing->links, &entry, &spare);
	if (archive_write_header(packing->stream, entry) < ARCHIVE_WARN)
		return fail(packing, packing->stream);
	return archive_entry_size(entry) > 0 ? copy_contents(packing) : 0;
}

static int pack_all(struct packing *packing)
{
	struct archive_entry *entry = archive_entry_new();
	int code = ARCHIVE_OK, status = 0;

	if (!entry)
		return error_errno(packing->error, ENOMEM, "pack %s", packing->source);
	while (status == 0) {
		code = archive_read_next_header2(packing->disk, entry);
		if (code == ARCHIVE_EOF)
			break;
		if (code < ARCHIVE_WARN) {
			status = fail(packing, packing->disk);
			break;
		}
		archive_read_disk_descend(packing->disk);
		status = pack_entry(packing, entry);
		archive_entry_clear(entry);
	}
	archive_entry_free(entry);
	if (status == 0 && archive_write_close(packing->stream) != ARCHIVE_OK)
		status = fail(packing, packing->stream);
	return status;
}

static int open_both(struct packing *packing, int to)
{
	archive_read_disk_set_symlink_physical(packing->disk);
	archive_read_disk_set_behavior(packing->disk, ARCHIVE_READDISK_NO_XATTR | ARCHIVE_READDISK_NO_ACL |
							       ARCHIVE_READDISK_NO_FFLAGS);
	/* What every tar reads, names of any length included. */
	archive_write_set_format_gnutar(packing->stream);
	archive_write_set_options(packing->stream, "hdrcharset=BINARY");
	archive_entry_linkresolver_set_strategy(packing->links, archive_format(packing->stream));
	if (archive_write_open_fd(packing->stream, to) != ARCHIVE_OK)
		return fail(packing, packing->stream);
	return archive_read_disk_open(packing->disk, packing->source) == ARCHIVE_OK ? 0 : fail(packing, packing->disk);
}

int archive_pack(int to, const char *source, const struct archive_options *options, unsigned *left_out,
		 struct error *error)
{
	struct packing packing = {
		.options = options,
		.source = source,
		.disk = archive_read_disk_new(),
		.stream = archive_write_new(),
		.links = archive_entry_linkresolver_new(),
		.error = error,
	};
	int status = -ENOMEM;

	if (packing.disk && packing.stream && packing.links)
		status = open_both(&packing, to);
	else
		error_errno(error, ENOMEM, "pack %s", source);
	if (status == 0)
		status = pack_all(&packing);
	archive_read_free(packing.disk);
	archive_write_free(packing.stream);
	archive_entry_linkresolver_free(packing.links);
	*left_out = packing.left_out;
	return status;
}
