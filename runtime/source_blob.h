/* The blobs of a container image: files of an OCI layout's directory, or members of an archive.
 *
 * Everything in them is hostile. A blob is read as a stream, never more of it than its descriptor says, and at its end
 * its size and digest are compared. An archive isn't unpacked: it is read again for each blob, up to that blob.
 */
#ifndef NACRE_RUNTIME_SOURCE_BLOB_H
#define NACRE_RUNTIME_SOURCE_BLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/error.h"
#include "runtime/source_digest.h"

#define BLOB_SIZE_UNKNOWN UINT64_MAX
#define BLOB_JSON_MOST (4u << 20) /* as registries bound manifests */

struct archive;

enum blob_store_kind {
	BLOB_DIRECTORY, /* a layout's */
	BLOB_ARCHIVE,	/* tar, compressed or not */
	BLOB_FILE,	/* itself the only blob */
};

struct blob_store {
	int fd;
	enum blob_store_kind kind;
};

struct blob {
	const char *path; /* in the store */
	uint64_t size;	  /* BLOB_SIZE_UNKNOWN: whatever it is */
	struct digest digest;
};

struct blob_reader;

/* Opens it. 0 or -errno (ENOENT, EINVAL). */
int blob_open(struct blob_reader **reader, const struct blob_store *store, const struct blob *blob,
	      struct error *error);

/* The next piece, in *data until the next call: its length. 0 at the end, where all is as the descriptor says; or
 * -errno (EBADMSG: size or digest differ, or the archive is damaged). */
ssize_t blob_read(struct blob_reader *reader, const void **data, struct error *error);
void blob_close(struct blob_reader *reader);

/* The whole of a small one, terminated, for the caller to free; at most BLOB_JSON_MOST. *actual gets its digest (may be
 * NULL). 0 or -errno. */
int blob_load(const struct blob_store *store, const struct blob *blob, char **text, struct digest *actual,
	      struct error *error);

/* Whether the store has such a file. */
bool blob_exists(const struct blob_store *store, const char *path);

/* A libarchive reader of tar, compressed or not, on a copy of `fd` from its beginning; the archive is freed by
 * archive_read_free(). NULL with `error` filled. */
struct archive *blob_archive_open(int fd, struct error *error);

/* Enables the compressions of images in a reader: none, gzip, zstd, xz. All within this process. */
void blob_support_filters(struct archive *archive);

#endif
