/* Reading blobs: by read(2), or out of a tar by libarchive. */
#include "runtime/source_blob.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/path.h"
#include "runtime/source_path.h"

#define PIECE_SIZE (64u << 10)
#define LINKS_MOST 8	   /* one member that stands for another, in a row */
#define MEMBERS_MOST 1000000u /* of an archive of blobs */

struct blob_reader {
	struct blob blob;
	int fd;			 /* of a file, or -1 */
	struct archive *archive; /* or the archive, at the member */
	uint64_t done;
	bool ended; /* and all was as it should be; or */
	struct error failure;
	struct digest_state state;
	char piece[PIECE_SIZE];
};

void blob_support_filters(struct archive *archive)
{
	archive_read_support_filter_gzip(archive);
	archive_read_support_filter_zstd(archive);
	archive_read_support_filter_xz(archive);
}

static void close_own(struct archive *archive, void *data)
{
	(void)archive;
	close(*(int *)data);
	free(data);
}

struct archive_file {
	int fd; /* first: see close_own() */
	off_t position;
	char piece[PIECE_SIZE];
};

/* By pread(2), as a descriptor's position is shared with whoever else has it. */
static la_ssize_t read_own(struct archive *archive, void *data, const void **piece)
{
	struct archive_file *file = data;
	ssize_t length;

	do {
		length = pread(file->fd, file->piece, sizeof(file->piece), file->position);
	} while (length < 0 && errno == EINTR);
	if (length < 0) {
		archive_set_error(archive, errno, "%s", strerror(errno));
		return ARCHIVE_FATAL;
	}
	file->position += length;
	*piece = file->piece;
	return length;
}

static la_int64_t skip_own(struct archive *archive, void *data, la_int64_t request)
{
	struct archive_file *file = data;
	struct stat stat;

	(void)archive;
	if (fstat(file->fd, &stat) < 0 || request > stat.st_size - file->position)
		return 0;
	file->position += request;
	return request;
}

static int close_file(struct archive *archive, void *data)
{
	close_own(archive, data);
	return ARCHIVE_OK;
}

struct archive *blob_archive_open(int fd, struct error *error)
{
	struct archive *archive = archive_read_new();
	struct archive_file *file = calloc(1, sizeof(*file));

	if (file)
		file->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (!archive || !file || file->fd < 0) {
		free(file);
		archive_read_free(archive);
		error_errno(error, file ? errno : ENOMEM, "open the archive");
		return NULL;
	}
	blob_support_filters(archive);
	archive_read_support_format_tar(archive);
	archive_read_support_format_empty(archive);
	if (archive_read_open2(archive, file, NULL, read_own, skip_own, close_file) == ARCHIVE_OK)
		return archive;
	error_set(error, EBADMSG, "no tar archive: %s", archive_error_string(archive));
	archive_read_free(archive);
	return NULL;
}

/* Goes to the member of that name: 0. Where it is a link to another member, *next gets that one's name: 1. */
static int find_member(struct archive *archive, const char *path, char next[PATH_MAX], struct error *error)
{
	char name[PATH_MAX];
	struct archive_entry *entry;
	int code;

	for (unsigned i = 0; i < MEMBERS_MOST; i++) {
		const char *text;

		code = archive_read_next_header(archive, &entry);
		if (code == ARCHIVE_EOF)
			return error_set(error, ENOENT, "there is no %s in the archive", path);
		if (code < ARCHIVE_WARN)
			return error_set(error, EBADMSG, "read the archive: %s", archive_error_string(archive));
		text = archive_entry_pathname(entry);
		if (!text || source_path_clean(text, name, NULL) < 0 || strcmp(name, path) != 0)
			continue;
		if (archive_entry_hardlink(entry))
			return source_path_clean(archive_entry_hardlink(entry), next, error) < 0 ? -error->number : 1;
		if (archive_entry_filetype(entry) == AE_IFLNK)
			return source_path_link(name, archive_entry_symlink(entry), next, error) < 0 ? -error->number : 1;
		if (archive_entry_filetype(entry) != AE_IFREG)
			return error_set(error, EINVAL, "%s in the archive is no file", path);
		return 0;
	}
	return error_set(error, EBADMSG, "the archive has more than %u members", MEMBERS_MOST);
}

static int open_member(struct blob_reader *reader, const struct blob_store *store, struct error *error)
{
	char path[PATH_MAX], next[PATH_MAX];
	int status = source_path_clean(reader->blob.path, path, error);

	for (int i = 0; i < LINKS_MOST && status == 0; i++) {
		reader->archive = blob_archive_open(store->fd, error);
		if (!reader->archive)
			return -EBADMSG;
		status = find_member(reader->archive, path, next, error);
		if (status <= 0)
			return status;
		archive_read_free(reader->archive);
		reader->archive = NULL;
		strcpy(path, next);
		status = 0;
	}
	return status < 0 ? status : error_set(error, ELOOP, "%s in the archive: too many links", reader->blob.path);
}

static int open_file(struct blob_reader *reader, const struct blob_store *store, struct error *error)
{
	char self[PATH_OF_FD_SIZE];
	struct stat stat;

	/* A position of our own, also in a file that is open already. */
	if (store->kind == BLOB_FILE)
		reader->fd = open(path_of_fd(self, store->fd), O_RDONLY | O_CLOEXEC);
	else
		reader->fd = path_open_in_root(store->fd, reader->blob.path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, error);
	if (reader->fd < 0)
		return store->kind == BLOB_FILE ? error_errno(error, errno, "open it again") : reader->fd;
	if (fstat(reader->fd, &stat) < 0 || !S_ISREG(stat.st_mode))
		return error_set(error, EINVAL, "%s is no file", reader->blob.path);
	return 0;
}

int blob_open(struct blob_reader **made, const struct blob_store *store, const struct blob *blob, struct error *error)
{
	struct blob_reader *reader = calloc(1, sizeof(*reader));
	int status;

	if (!reader)
		return error_errno(error, ENOMEM, "read %s", blob->path);
	reader->blob = *blob;
	reader->fd = -1;
	digest_start(&reader->state, &blob->digest);
	status = store->kind == BLOB_ARCHIVE ? open_member(reader, store, error) : open_file(reader, store, error);
	if (status < 0) {
		blob_close(reader);
		return status;
	}
	*made = reader;
	return 0;
}

static ssize_t read_piece(struct blob_reader *reader, struct error *error)
{
	ssize_t length;

	if (reader->archive) {
		length = archive_read_data(reader->archive, reader->piece, sizeof(reader->piece));
		if (length < 0)
			return error_set(error, EBADMSG, "read %s: %s", reader->blob.path,
					 archive_error_string(reader->archive));
		return length;
	}
	do {
		length = read(reader->fd, reader->piece, sizeof(reader->piece));
	} while (length < 0 && errno == EINTR);
	return length < 0 ? error_errno(error, errno, "read %s", reader->blob.path) : length;
}

static int check_end(struct blob_reader *reader, struct error *error)
{
	const struct blob *blob = &reader->blob;
	struct digest actual = {0};

	if (blob->size != BLOB_SIZE_UNKNOWN && reader->done != blob->size)
		return error_set(error, EBADMSG, "%s has %" PRIu64 " bytes, its descriptor says %" PRIu64, blob->path,
				 reader->done, blob->size);
	digest_finish(&reader->state, &actual);
	if (blob->digest.algorithm && !digest_same(&blob->digest, &actual))
		return error_set(error, EBADMSG, "%s has another content than its digest says (%s:%s)", blob->path,
				 actual.algorithm, actual.hex);
	reader->blob.digest = actual;
	reader->ended = true;
	return 0;
}

static ssize_t read_checked(struct blob_reader *reader, const void **data, struct error *error)
{
	ssize_t length = read_piece(reader, error);

	if (length < 0)
		return length;
	if (length == 0)
		return check_end(reader, error);
	reader->done += (uint64_t)length;
	if (reader->done > reader->blob.size)
		return error_set(error, EBADMSG, "%s is larger than the %" PRIu64 " bytes of its descriptor",
				 reader->blob.path, reader->blob.size);
	digest_add(&reader->state, reader->piece, (size_t)length);
	*data = reader->piece;
	return length;
}

/* Who reads through libarchive may come again after the end, or after an error. */
ssize_t blob_read(struct blob_reader *reader, const void **data, struct error *error)
{
	ssize_t length = reader->ended || reader->failure.number ? 0 : read_checked(reader, data, &reader->failure);

	if (reader->failure.number) {
		*error = reader->failure;
		return -error->number;
	}
	return length;
}

void blob_close(struct blob_reader *reader)
{
	if (!reader)
		return;
	if (reader->fd >= 0)
		close(reader->fd);
	archive_read_free(reader->archive);
	free(reader);
}

/* Appends pieces to *text until the end: the blob's digest is known then. */
static int load_pieces(struct blob_reader *reader, char **text, struct error *error)
{
	size_t length = 0;
	const void *piece;
	ssize_t more;

	while ((more = blob_read(reader, &piece, error)) > 0) {
		char *longer;

		if (length + (size_t)more > BLOB_JSON_MOST)
			return error_set(error, EFBIG, "%s is larger than %u MiB", reader->blob.path,
					 BLOB_JSON_MOST >> 20);
		longer = realloc(*text, length + (size_t)more + 1);
		if (!longer)
			return error_errno(error, ENOMEM, "read %s", reader->blob.path);
		memcpy(longer + length, piece, (size_t)more);
		length += (size_t)more;
		longer[length] = '\0';
		*text = longer;
	}
	return (int)more;
}

int blob_load(const struct blob_store *store, const struct blob *blob, char **text, struct digest *actual,
	      struct error *error)
{
	cleanup_free char *loaded = strdup("");
	struct blob_reader *reader;
	int status = loaded ? blob_open(&reader, store, blob, error) : error_errno(error, ENOMEM, "read");

	if (status < 0)
		return status;
	status = load_pieces(reader, &loaded, error);
	if (status == 0 && actual)
		*actual = reader->blob.digest;
	blob_close(reader);
	if (status == 0)
		*text = take_pointer(&loaded);
	return status;
}

bool blob_exists(const struct blob_store *store, const char *path)
{
	const struct blob blob = {.path = path, .size = BLOB_SIZE_UNKNOWN};
	struct blob_reader *reader;
	struct error error;

	if (blob_open(&reader, store, &blob, &error) < 0)
		return false;
	blob_close(reader);
	return true;
}
