/* Two libarchive readers on top of each other, so that the content between them can be counted up: blob -> "raw" with
 * its filters -> tar.
 */
#include "runtime/source_layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>

static la_ssize_t read_blob(struct archive *archive, void *data, const void **piece)
{
	struct layer_reader *reader = data;
	ssize_t length = blob_read(reader->blob, piece, &reader->error);

	if (length < 0)
		archive_set_error(archive, -(int)length, "%s", reader->error.text);
	return length < 0 ? ARCHIVE_FATAL : length;
}

static la_ssize_t read_content(struct archive *archive, void *data, const void **piece)
{
	struct layer_reader *reader = data;
	la_int64_t offset;
	size_t length = 0;
	int code;

	/* An empty piece would be the end to the reader above. */
	do {
		code = archive_read_data_block(reader->filter, piece, &length, &offset);
	} while (code == ARCHIVE_OK && length == 0);
	if (code == ARCHIVE_EOF)
		return 0;
	if (code < ARCHIVE_WARN) {
		archive_set_error(archive, EBADMSG, "%s", archive_error_string(reader->filter));
		return ARCHIVE_FATAL;
	}
	if (reader->room && length > *reader->room) {
		error_set(&reader->error, EFBIG, "%s unpacks to too much", reader->layer.blob.path);
		archive_set_error(archive, EFBIG, "%s", reader->error.text);
		return ARCHIVE_FATAL;
	}
	if (reader->room)
		*reader->room -= length;
	digest_add(&reader->state, *piece, length);
	return (la_ssize_t)length;
}

/* What went wrong first: below libarchive, or in it. */
static int fail(struct layer_reader *reader, struct archive *archive, struct error *error)
{
	if (reader->error.number)
		return error_set(error, reader->error.number, "layer %s", reader->error.text);
	return error_set(error, EBADMSG, "layer %s: %s", reader->layer.blob.path, archive_error_string(archive));
}

static int open_filter(struct layer_reader *reader, struct error *error)
{
	struct archive_entry *entry;

	reader->filter = archive_read_new();
	if (!reader->filter)
		return error_errno(error, ENOMEM, "layer");
	blob_support_filters(reader->filter);
	archive_read_support_format_raw(reader->filter);
	archive_read_support_format_empty(reader->filter);
	if (archive_read_open(reader->filter, reader, NULL, read_blob, NULL) != ARCHIVE_OK ||
	    archive_read_next_header(reader->filter, &entry) < ARCHIVE_WARN)
		return fail(reader, reader->filter, error);
	return 0;
}

int layer_open(struct layer_reader *reader, const struct blob_store *store, const struct layer *layer, uint64_t *room,
	       struct error *error)
{
	int status;

	*reader = (struct layer_reader){.layer = *layer, .room = room};
	digest_start(&reader->state, &layer->content);
	status = blob_open(&reader->blob, store, &layer->blob, error);
	if (status == 0)
		status = open_filter(reader, error);
	if (status < 0)
		return status;
	reader->tar = archive_read_new();
	if (!reader->tar)
		return error_errno(error, ENOMEM, "layer");
	archive_read_support_format_tar(reader->tar);
	archive_read_support_format_empty(reader->tar);
	if (archive_read_open(reader->tar, reader, NULL, read_content, NULL) != ARCHIVE_OK)
		return fail(reader, reader->tar, error);
	return 0;
}

/* tar ends before its file does: the rest counts as well. */
static int check_end(struct layer_reader *reader, struct error *error)
{
	const struct layer *layer = &reader->layer;
	struct digest actual;
	const void *piece;
	la_ssize_t length;

	do {
		length = read_content(reader->tar, reader, &piece);
	} while (length > 0);
	if (length < 0)
		return fail(reader, reader->tar, error);
	/* And what is behind the compressed data. */
	do {
		length = blob_read(reader->blob, &piece, error);
	} while (length > 0);
	if (length < 0)
		return error_wrap(error, "layer");
	digest_finish(&reader->state, &actual);
	if (layer->content.algorithm && !digest_same(&layer->content, &actual))
		return error_set(error, EBADMSG, "layer %s: its content isn't what the image's configuration says (%s:%s)",
				 layer->blob.path, actual.algorithm, actual.hex);
	return 0;
}

int layer_next(struct layer_reader *reader, struct archive_entry **entry, struct error *error)
{
	int code = archive_read_next_header(reader->tar, entry);

	if (code == ARCHIVE_EOF)
		return check_end(reader, error);
	return code < ARCHIVE_WARN ? fail(reader, reader->tar, error) : 1;
}

ssize_t layer_read(struct layer_reader *reader, void *data, size_t size, struct error *error)
{
	la_ssize_t length = archive_read_data(reader->tar, data, size);

	return length < 0 ? fail(reader, reader->tar, error) : length;
}

void layer_close(struct layer_reader *reader)
{
	archive_read_free(reader->tar);
	archive_read_free(reader->filter);
	blob_close(reader->blob);
	*reader = (struct layer_reader){0};
}
