/* A root file system as its layers make it: names and metadata in memory, without the files' contents.
 *
 * Layers are applied one after the other, as the OCI image-spec says (layer.md): later ones win, ".wh.NAME" removes NAME
 * of the layers below, ".wh..wh..opq" all of a directory's. The tree knows nothing of archives or of this machine's
 * files. A name with ".." or a leading "/" is an error; symlinks on the way to a name are followed inside the tree.
 */
#ifndef NACRE_RUNTIME_SOURCE_TREE_H
#define NACRE_RUNTIME_SOURCE_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "lib/arena.h"
#include "lib/error.h"

#define TREE_NO_ORDINAL UINT64_MAX

struct tree_attribute {
	const char *name;
	const void *value;
	size_t size;
	struct tree_attribute *next;
};

/* What an entry is. */
struct tree_meta {
	mode_t mode; /* with the type */
	uint32_t uid, gid;
	uint64_t size;
	struct timespec time;
	unsigned major, minor; /* devices */
	const char *link;      /* symlinks */
	struct tree_attribute *attributes;
};

struct tree_node;

/* A file; several names may be its own. */
struct tree_inode {
	struct tree_meta meta;
	unsigned layer;
	uint64_t ordinal; /* of the entry in its layer, from 0, in which the content is */
	struct tree_node *names;
	struct tree_inode *next; /* of the same layer, in order */
};

struct tree_node {
	const char *name;
	struct tree_node *parent, *next, *children;
	struct tree_node *in_bucket;
	struct tree_meta *directory; /* of a directory, or else */
	struct tree_inode *inode;
	struct tree_node *next_name; /* of the inode */
	unsigned layer;		     /* the last that had it */
};

struct tree_layer {
	struct tree_inode *first, *last;
};

struct tree {
	struct arena arena;
	struct tree_node *root;
	struct tree_node **buckets;
	struct tree_layer *layers;
	unsigned layer_count, layer;
	bool whiteouts;
};

/* Prepares for so many layers; with `whiteouts` their markers are heeded, without, they are files. 0 or -errno. */
int tree_init(struct tree *tree, unsigned layers, bool whiteouts, struct error *error);
void tree_free(struct tree *tree);

/* Adds one entry of the layer number `layer`; layers come in order. `meta` and what it points to is copied.
 * `hard_link` is the name of the entry which this is another name of, or NULL. 0 or -errno. */
int tree_add(struct tree *tree, unsigned layer, uint64_t ordinal, const char *path, const struct tree_meta *meta,
	     const char *hard_link, struct error *error);

/* Makes a directory and its parents where they are missing. 0 or -errno. */
int tree_make_directory(struct tree *tree, const char *path, struct error *error);

/* The node, symlinks in the path and at its end followed; NULL where there is none. */
struct tree_node *tree_find(struct tree *tree, const char *path);

/* Its path without a leading '/' ("" for the root). False where it is too long. */
bool tree_path(const struct tree_node *node, char path[PATH_MAX]);

#endif
