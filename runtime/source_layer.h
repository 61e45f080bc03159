/* One layer of an image: a blob, decompressed, and read as tar. */
#ifndef NACRE_RUNTIME_SOURCE_LAYER_H
#define NACRE_RUNTIME_SOURCE_LAYER_H

#include "runtime/source_blob.h"

struct archive_entry;

struct layer {
	struct blob blob;
	struct digest content; /* of the tar inside (image-spec, "DiffID"); unknown for a plain tar */
};

struct layer_reader {
	struct layer layer;
	struct blob_reader *blob;
	struct archive *filter; /* bytes of the tar come out */
	struct archive *tar;
	struct digest_state state;
	uint64_t *room;	    /* how much content there may still be; or NULL */
	struct error error; /* of what libarchive calls back */
};

/* Opens it. What is read of its content is taken from *room, and what is larger is -EFBIG; NULL: as large as it is. 0 or
 * -errno; layer_close() in any case. */
int layer_open(struct layer_reader *reader, const struct blob_store *store, const struct layer *layer, uint64_t *room,
	       struct error *error);

/* The next entry, until the call after: 1; 0 at the end, where blob and content have the digests that they should; or
 * -errno. */
int layer_next(struct layer_reader *reader, struct archive_entry **entry, struct error *error);

/* The next bytes of the current entry: their number, 0 at the end, -errno. */
ssize_t layer_read(struct layer_reader *reader, void *data, size_t size, struct error *error);
void layer_close(struct layer_reader *reader);

#endif
