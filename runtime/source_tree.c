/* The tree: nodes by name in one hash table, children in lists. */
#include "runtime/source_tree.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "runtime/source_path.h"

#define MEMORY_MOST (1u << 30)
#define BUCKETS (1u << 16)
#define LINKS_MOST 40 /* symlinks on one way, as the kernel */
#define WHITEOUT ".wh."
#define WHITEOUT_OWN ".wh..wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

struct walk {
	struct tree_node *at;
	bool make; /* what is missing */
	unsigned links;
};

static size_t bucket_of(const struct tree_node *parent, const char *name, size_t length)
{
	uint64_t hash = (uintptr_t)parent * 0x9e3779b97f4a7c15u;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)name[i]) * 0x100000001b3u;
	return (hash >> 24) % BUCKETS;
}

static struct tree_node *find_child(const struct tree *tree, const struct tree_node *parent, const char *name,
				    size_t length)
{
	struct tree_node *node = tree->buckets[bucket_of(parent, name, length)];

	while (node && (node->parent != parent || strncmp(node->name, name, length) != 0 || node->name[length]))
		node = node->in_bucket;
	return node;
}

static struct tree_node *add_child(struct tree *tree, struct tree_node *parent, const char *name, size_t length)
{
	struct tree_node *node = arena_alloc(&tree->arena, sizeof(*node)), **bucket;

	if (!node)
		return NULL;
	node->name = arena_printf(&tree->arena, "%.*s", (int)length, name);
	if (!node->name)
		return NULL;
	node->parent = parent;
	node->next = parent->children;
	parent->children = node;
	bucket = &tree->buckets[bucket_of(parent, name, length)];
	node->in_bucket = *bucket;
	*bucket = node;
	return node;
}

/* Takes the name away from its inode, which lives on where it has others. */
static void leave_inode(struct tree_node *node)
{
	struct tree_node **link = &node->inode->names;

	while (*link != node)
		link = &(*link)->next_name;
	*link = node->next_name;
	node->inode = NULL;
	node->next_name = NULL;
}

static void drop_content(struct tree *tree, struct tree_node *node);

/* Out of its list, which `link` points into, and out of the table. */
static void unlink_node(struct tree *tree, struct tree_node **link)
{
	struct tree_node *node = *link;
	struct tree_node **bucket = &tree->buckets[bucket_of(node->parent, node->name, strlen(node->name))];

	drop_content(tree, node);
	*link = node->next;
	while (*bucket != node)
		bucket = &(*bucket)->in_bucket;
	*bucket = node->in_bucket;
}

/* Makes it nothing: no file, no directory, no children. As deep as a path can be. */
static void drop_content(struct tree *tree, struct tree_node *node)
{
	if (node->inode)
		leave_inode(node);
	while (node->children)
		unlink_node(tree, &node->children);
	node->directory = NULL;
}

/* Removes what is below a directory and comes from a layer before this one. */
static void remove_lower(struct tree *tree, struct tree_node *directory)
{
	struct tree_node **link = &directory->children;

	while (*link) {
		if ((*link)->layer < tree->layer) {
			unlink_node(tree, link);
			continue;
		}
		remove_lower(tree, *link);
		link = &(*link)->next;
	}
}

/* Metadata ----------------------------------------------------------------------------------------------------- */

static int copy_attributes(struct tree *tree, struct tree_meta *meta, const struct tree_attribute *from)
{
	for (meta->attributes = NULL; from; from = from->next) {
		struct tree_attribute *attribute = arena_alloc(&tree->arena, sizeof(*attribute));
		void *value = arena_alloc(&tree->arena, from->size + 1);

		if (!attribute || !value)
			return -ENOMEM;
		memcpy(value, from->value, from->size);
		*attribute = (struct tree_attribute){arena_strdup(&tree->arena, from->name), value, from->size,
						     meta->attributes};
		meta->attributes = attribute;
	}
	return 0;
}

static int copy_meta(struct tree *tree, struct tree_meta *to, const struct tree_meta *from)
{
	*to = *from;
	to->link = arena_strdup(&tree->arena, from->link);
	return from->link && !to->link ? -ENOMEM : copy_attributes(tree, to, from->attributes);
}

static int set_directory(struct tree *tree, struct tree_node *node, const struct tree_meta *meta)
{
	static const struct tree_meta usual = {.mode = S_IFDIR | 0755};
	struct tree_meta *own = arena_alloc(&tree->arena, sizeof(*own));

	if (!own)
		return -ENOMEM;
	if (node->inode)
		drop_content(tree, node);
	node->directory = own;
	return copy_meta(tree, own, meta ? meta : &usual);
}

/* Walking ------------------------------------------------------------------------------------------------------ */

static int walk(struct tree *tree, struct walk *walk, const char *path, struct error *error);

static int follow(struct tree *tree, struct walk *state, struct tree_node *link, struct error *error)
{
	const char *target = link->inode->meta.link;

	if (++state->links > LINKS_MOST)
		return error_set(error, ELOOP, "the image has a loop of symlinks at %s", link->name);
	if (*target == '/')
		state->at = tree->root;
	return walk(tree, state, target, error);
}

/* One step down, into a directory. */
static int step(struct tree *tree, struct walk *state, const char *name, size_t length, struct error *error)
{
	struct tree_node *node = find_child(tree, state->at, name, length);

	if (!node && !state->make)
		return error_set(error, ENOENT, "the image has no %.*s", (int)length, name);
	if (node && node->inode && S_ISLNK(node->inode->meta.mode))
		return follow(tree, state, node, error);
	if (node && !node->directory)
		return error_set(error, ENOTDIR, "the image has something below %s, which is no directory", node->name);
	if (!node) {
		node = add_child(tree, state->at, name, length);
		if (!node || set_directory(tree, node, NULL) < 0)
			return error_errno(error, ENOMEM, "the image's files");
	}
	if (state->make)
		node->layer = tree->layer;
	state->at = node;
	return 0;
}

/* Along a path to a directory; ".." occurs in symlinks only. */
static int walk(struct tree *tree, struct walk *state, const char *path, struct error *error)
{
	int status = 0;

	for (path += strspn(path, "/"); *path && status == 0; path += strspn(path, "/")) {
		size_t length = strcspn(path, "/");

		if (length > NAME_MAX)
			return error_set(error, ENAMETOOLONG, "the image has a symlink that is too long");
		/* The root is its own parent. */
		if (length == 2 && memcmp(path, "..", 2) == 0) {
			if (state->at->parent)
				state->at = state->at->parent;
		} else if (length != 1 || *path != '.') {
			status = step(tree, state, path, length, error);
		}
		path += length;
	}
	return status;
}

/* The directory in which the last part of a clean path is, in *parent, and that part, in *name. */
static int walk_to_parent(struct tree *tree, char *path, bool make, struct tree_node **parent, const char **name,
			  struct error *error)
{
	struct walk state = {.at = tree->root, .make = make};
	char *slash = strrchr(path, '/');
	int status = 0;

	*name = slash ? slash + 1 : path;
	if (slash) {
		*slash = '\0';
		status = walk(tree, &state, path, error);
	}
	*parent = state.at;
	return status;
}

/* Adding ------------------------------------------------------------------------------------------------------- */

/* A whiteout of something that isn't there is nothing. */
static void add_whiteout(struct tree *tree, struct tree_node *parent, const char *name)
{
	struct tree_node **link = &parent->children;
	const char *target = name + strlen(WHITEOUT);

	if (strcmp(name, WHITEOUT_OPAQUE) == 0)
		remove_lower(tree, parent);
	if (strncmp(name, WHITEOUT_OWN, strlen(WHITEOUT_OWN)) == 0)
		return; /* others of that kind are bookkeeping of AUFS */
	while (*link && strcmp((*link)->name, target) != 0)
		link = &(*link)->next;
	if (*link && (*link)->layer < tree->layer)
		unlink_node(tree, link);
	else if (*link)
		remove_lower(tree, *link);
}

/* Its name's last part, or NULL for any other. */
static const char *find_whiteout(const struct tree *tree, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	return tree->whiteouts && strncmp(name, WHITEOUT, strlen(WHITEOUT)) == 0 ? name : NULL;
}

static int apply_whiteout(struct tree *tree, char *path, const char *marker, struct error *error)
{
	const char *target = marker + strlen(WHITEOUT), *name;
	struct tree_node *parent;
	int status;

	if (!*target || strcmp(target, ".") == 0 || strcmp(target, "..") == 0)
		return error_set(error, EINVAL, "the image has a whiteout of '%s'", target);
	status = walk_to_parent(tree, path, false, &parent, &name, error);
	if (status == 0)
		add_whiteout(tree, parent, name);
	return status == -ENOENT ? 0 : status;
}

static int add_link(struct tree *tree, struct tree_node *node, const char *target, struct error *error)
{
	struct tree_node *parent, *found = NULL;
	char path[PATH_MAX];
	const char *name;
	int status = source_path_clean(target, path, error);

	if (status < 0)
		return error_wrap(error, "hard link");
	if (*path && walk_to_parent(tree, path, false, &parent, &name, NULL) == 0)
		found = find_child(tree, parent, name, strlen(name));
	if (!found || !found->inode)
		return error_set(error, EINVAL, "the image has a hard link to %.120s, which isn't there", target);
	if (found == node)
		return 0;
	drop_content(tree, node);
	node->inode = found->inode;
	node->next_name = found->inode->names;
	found->inode->names = node;
	return 0;
}

static int add_file(struct tree *tree, struct tree_node *node, uint64_t ordinal, const struct tree_meta *meta,
		    struct error *error)
{
	struct tree_inode *inode = arena_alloc(&tree->arena, sizeof(*inode));
	struct tree_layer *layer = &tree->layers[tree->layer];

	if (!inode || copy_meta(tree, &inode->meta, meta) < 0)
		return error_errno(error, ENOMEM, "the image's files");
	drop_content(tree, node);
	inode->layer = tree->layer;
	inode->ordinal = ordinal;
	inode->names = node;
	node->inode = inode;
	node->next_name = NULL;
	if (layer->last)
		layer->last->next = inode;
	else
		layer->first = inode;
	layer->last = inode;
	return 0;
}

int tree_add(struct tree *tree, unsigned layer, uint64_t ordinal, const char *path, const struct tree_meta *meta,
	     const char *hard_link, struct error *error)
{
	struct tree_node *parent, *node;
	char clean[PATH_MAX];
	const char *name, *marker;
	int status = source_path_clean(path, clean, error);

	if (status < 0)
		return status;
	tree->layer = layer;
	marker = find_whiteout(tree, clean);
	if (marker)
		return apply_whiteout(tree, clean, marker, error);
	if (!*clean) /* the root itself */
		return S_ISDIR(meta->mode) && !hard_link && set_directory(tree, tree->root, meta) == 0 ?
			       0 : error_set(error, EINVAL, "the image's root is no directory");
	status = walk_to_parent(tree, clean, true, &parent, &name, error);
	if (status < 0)
		return status;
	node = find_child(tree, parent, name, strlen(name));
	if (!node)
		node = add_child(tree, parent, name, strlen(name));
	if (!node)
		return error_errno(error, ENOMEM, "the image's files");
	node->layer = layer;
	if (hard_link)
		return add_link(tree, node, hard_link, error);
	if (!S_ISDIR(meta->mode))
		return add_file(tree, node, ordinal, meta, error);
	return set_directory(tree, node, meta) < 0 ? error_errno(error, ENOMEM, "the image's files") : 0;
}

int tree_make_directory(struct tree *tree, const char *path, struct error *error)
{
	struct walk state = {.at = tree->root, .make = true};

	return walk(tree, &state, path, error);
}

struct tree_node *tree_find(struct tree *tree, const char *path)
{
	for (int links = 0; links < LINKS_MOST; links++) {
		struct tree_node *parent, *node;
		char clean[PATH_MAX];
		const char *name;

		if (source_path_clean(path + strspn(path, "/"), clean, NULL) < 0 || !*clean ||
		    walk_to_parent(tree, clean, false, &parent, &name, NULL) < 0)
			return NULL;
		node = find_child(tree, parent, name, strlen(name));
		if (!node || !node->inode || !S_ISLNK(node->inode->meta.mode))
			return node;
		path = node->inode->meta.link;
		if (*path != '/' && parent != tree->root)
			return NULL; /* a relative one: nobody has passwd there */
	}
	return NULL;
}

bool tree_path(const struct tree_node *node, char path[PATH_MAX])
{
	size_t at = PATH_MAX - 1;

	path[at] = '\0';
	for (; node->parent; node = node->parent) {
		size_t length = strlen(node->name);

		if (at < length + 1)
			return false;
		at -= length;
		memcpy(path + at, node->name, length);
		if (node->parent->parent)
			path[--at] = '/';
	}
	memmove(path, path + at, PATH_MAX - at);
	return true;
}

int tree_init(struct tree *tree, unsigned layers, bool whiteouts, struct error *error)
{
	*tree = (struct tree){.layer_count = layers, .whiteouts = whiteouts};
	arena_init(&tree->arena, ARENA_FORK, MEMORY_MOST);
	tree->buckets = arena_array(&tree->arena, BUCKETS, sizeof(*tree->buckets));
	tree->layers = arena_array(&tree->arena, layers, sizeof(*tree->layers));
	tree->root = arena_alloc(&tree->arena, sizeof(*tree->root));
	if (!tree->buckets || !tree->layers || !tree->root || set_directory(tree, tree->root, NULL) < 0)
		return error_errno(error, ENOMEM, "the image's files");
	return 0;
}

void tree_free(struct tree *tree)
{
	arena_free(&tree->arena);
}
