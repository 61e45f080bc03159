/* Layers become one tar stream: read once for names and metadata, which are merged in a tree, and once more for the
 * contents of the files that are left. Nothing is unpacked anywhere.
 */
#ifndef NACRE_RUNTIME_SOURCE_MERGE_H
#define NACRE_RUNTIME_SOURCE_MERGE_H

#include "runtime/source_layer.h"
#include "runtime/source_tree.h"

#define MERGE_LAYERS_MOST 512

struct merge {
	const struct blob_store *store;
	const struct layer *layers; /* lowest first */
	unsigned layer_count;
	bool whiteouts;		/* their markers are heeded (layers), or are files (a plain tar) */
	uint64_t unpacked_most; /* bytes: of the layers' content together, and of all files in them */
	const char *directory;	/* to make, where it is missing: the image's working directory; or NULL */
};

/* Reads all layers into `tree`, which the caller has freed in any case. 0, or -errno: -EFBIG for more than unpacked_most. */
int merge_read(const struct merge *merge, struct tree *tree, struct error *error);

/* Writes the tree to `output` as a pax archive without an entry for the root. `copies` is a directory: its files
 * "passwd" and "group" get what the root's /etc/passwd and /etc/group hold. 0 or -errno. */
int merge_write(const struct merge *merge, struct tree *tree, int output, int copies, struct error *error);

#endif
