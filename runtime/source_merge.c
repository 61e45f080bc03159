/* The two passes. */
#include "runtime/source_merge.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "runtime/quantity.h"

#define PIECE_SIZE (256u << 10)
#define ATTRIBUTES_MOST 256
#define ATTRIBUTE_SIZE_MOST (64u << 10) /* the kernel's */
#define ID_MOST (UINT32_MAX - 1)
#define COPY_MOST (1u << 20)
/* Would mean something to the overlay that nacre puts over the image. */
#define OVERLAY_ATTRIBUTES "trusted.overlay."

/* First pass --------------------------------------------------------------------------------------------------- */

static int take_attributes(struct archive_entry *entry, struct tree_attribute attributes[ATTRIBUTES_MOST],
			   struct tree_meta *meta, struct error *error)
{
	struct tree_attribute attribute = {0};
	size_t count = 0;

	archive_entry_xattr_reset(entry);
	while (archive_entry_xattr_next(entry, &attribute.name, &attribute.value, &attribute.size) == ARCHIVE_OK) {
		if (!attribute.name || strncmp(attribute.name, OVERLAY_ATTRIBUTES, strlen(OVERLAY_ATTRIBUTES)) == 0)
			continue;
		if (count == ATTRIBUTES_MOST || attribute.size > ATTRIBUTE_SIZE_MOST)
			return error_set(error, EINVAL, "too many extended attributes, or too large ones");
		attribute.next = meta->attributes;
		attributes[count] = attribute;
		meta->attributes = &attributes[count++];
	}
	return 0;
}

static int take_meta(struct archive_entry *entry, struct tree_attribute attributes[ATTRIBUTES_MOST],
		     struct tree_meta *meta, struct error *error)
{
	int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry), size = archive_entry_size(entry);
	time_t time = archive_entry_mtime(entry);

	if (uid < 0 || uid > ID_MOST || gid < 0 || gid > ID_MOST || size < 0)
		return error_set(error, EINVAL, "an owner or size that can't be");
	*meta = (struct tree_meta){
		.mode = archive_entry_filetype(entry) | archive_entry_perm(entry),
		.uid = (uint32_t)uid,
		.gid = (uint32_t)gid,
		/* squashfs has 32 bits. */
		.time = {.tv_sec = time < 0 ? 0 : time > UINT32_MAX ? UINT32_MAX : time},
	};
	switch (archive_entry_filetype(entry)) {
	case AE_IFREG:
		meta->size = (uint64_t)size;
		break;
	case AE_IFLNK:
		meta->link = archive_entry_symlink(entry);
		if (!meta->link || !*meta->link || strlen(meta->link) >= PATH_MAX)
			return error_set(error, EINVAL, "a symlink that can't be");
		break;
	case AE_IFCHR:
	case AE_IFBLK:
		meta->major = (unsigned)archive_entry_rdevmajor(entry);
		meta->minor = (unsigned)archive_entry_rdevminor(entry);
		break;
	case AE_IFDIR:
	case AE_IFIFO:
		break;
	default:
		return archive_entry_hardlink(entry) ? 0 : error_set(error, EINVAL, "neither file nor directory");
	}
	return take_attributes(entry, attributes, meta, error);
}

/* What the layers may still have. A file with holes in it has next to no content. */
struct room {
	uint64_t content, files;
};

static int add_entry(struct tree *tree, unsigned layer, uint64_t ordinal, struct archive_entry *entry, struct room *room,
		     struct error *error)
{
	struct tree_attribute attributes[ATTRIBUTES_MOST];
	const char *path = archive_entry_pathname(entry);
	struct tree_meta meta;
	int status;

	if (!path)
		return error_set(error, EBADMSG, "a name that can't be read");
	status = take_meta(entry, attributes, &meta, error);
	if (status < 0)
		return error_wrap(error, "%.120s", path);
	if (meta.size > room->files)
		return error_set(error, EFBIG, "%.120s: too large", path);
	room->files -= meta.size;
	return tree_add(tree, layer, ordinal, path, &meta, archive_entry_hardlink(entry), error);
}

static int read_layer(const struct merge *merge, struct tree *tree, unsigned number, struct room *room,
		      struct error *error)
{
	struct layer_reader reader;
	struct archive_entry *entry;
	int status = layer_open(&reader, merge->store, &merge->layers[number], &room->content, error);

	for (uint64_t ordinal = 0; status == 0; ordinal++) {
		status = layer_next(&reader, &entry, error);
		if (status <= 0)
			break;
		status = add_entry(tree, number, ordinal, entry, room, error);
		if (status < 0)
			error_wrap(error, "layer %s", merge->layers[number].blob.path);
	}
	layer_close(&reader);
	return status;
}

int merge_read(const struct merge *merge, struct tree *tree, struct error *error)
{
	struct room room = {.content = merge->unpacked_most, .files = merge->unpacked_most};
	int status = tree_init(tree, merge->layer_count, merge->whiteouts, error);

	for (unsigned i = 0; i < merge->layer_count && status == 0; i++)
		status = read_layer(merge, tree, i, &room, error);
	if (status == -EFBIG)
		return error_wrap(error, "more than %" PRIu64 " MiB (--unpacked-max)", merge->unpacked_most / MEBIBYTE);
	if (status == 0 && merge->directory)
		status = tree_make_directory(tree, merge->directory, error);
	return status;
}

/* Second pass -------------------------------------------------------------------------------------------------- */

struct writer {
	struct archive *archive;
	struct archive_entry *entry;
	struct tree_inode *copied[2]; /* /etc/passwd, /etc/group */
	int copies;
	void *piece;
};

static const char *const copied_names[] = {"passwd", "group"};
static const char *const copied_paths[] = {"etc/passwd", "etc/group"};

static int write_failed(struct writer *writer, struct error *error)
{
	return error_set(error, EPIPE, "write the file system: %s", archive_error_string(writer->archive));
}

static int write_header(struct writer *writer, const struct tree_node *node, const struct tree_meta *meta,
			const char *hard_link, struct error *error)
{
	struct archive_entry *entry = archive_entry_clear(writer->entry);
	char path[PATH_MAX];

	if (!tree_path(node, path))
		return error_set(error, ENAMETOOLONG, "the image has a path that is too long, at %.80s", node->name);
	archive_entry_copy_pathname(entry, path);
	archive_entry_set_mode(entry, meta->mode);
	archive_entry_set_uid(entry, meta->uid);
	archive_entry_set_gid(entry, meta->gid);
	archive_entry_set_mtime(entry, meta->time.tv_sec, 0);
	archive_entry_set_size(entry, hard_link ? 0 : (int64_t)meta->size);
	if (hard_link)
		archive_entry_copy_hardlink(entry, hard_link);
	else if (S_ISLNK(meta->mode))
		archive_entry_copy_symlink(entry, meta->link);
	archive_entry_set_rdevmajor(entry, meta->major);
	archive_entry_set_rdevminor(entry, meta->minor);
	for (const struct tree_attribute *a = hard_link ? NULL : meta->attributes; a; a = a->next)
		archive_entry_xattr_add_entry(entry, a->name, a->value, a->size);
	return archive_write_header(writer->archive, entry) < ARCHIVE_WARN ? write_failed(writer, error) : 0;
}

/* All that has no content, parents first; as deep as a path can be. What has several names and no content is written
 * several times. */
static int write_nodes(struct writer *writer, const struct tree_node *directory, struct error *error)
{
	int status = 0;

	for (const struct tree_node *node = directory->children; node && status == 0; node = node->next) {
		if (node->directory)
			status = write_header(writer, node, node->directory, NULL, error);
		else if (node->inode && !S_ISREG(node->inode->meta.mode))
			status = write_header(writer, node, &node->inode->meta, NULL, error);
		if (status == 0)
			status = write_nodes(writer, node, error);
	}
	return status;
}

static int open_copy(const struct writer *writer, const struct tree_inode *inode)
{
	for (size_t i = 0; i < array_size(copied_names); i++)
		if (writer->copied[i] == inode && inode->meta.size <= COPY_MOST)
			return openat(writer->copies, copied_names[i], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return -1;
}

static int write_content(struct writer *writer, struct layer_reader *reader, const struct tree_inode *inode,
			 struct error *error)
{
	cleanup_close int copy = open_copy(writer, inode);
	uint64_t done = 0;
	ssize_t length;

	while ((length = layer_read(reader, writer->piece, PIECE_SIZE, error)) > 0) {
		done += (uint64_t)length;
		if (done > inode->meta.size)
			break;
		if (archive_write_data(writer->archive, writer->piece, (size_t)length) < 0)
			return write_failed(writer, error);
		if (copy >= 0 && fd_write_all(copy, writer->piece, (size_t)length) < 0)
			return error_errno(error, EIO, "copy the image's passwd and group");
	}
	if (length < 0)
		return (int)length;
	if (done != inode->meta.size)
		return error_set(error, EBADMSG, "the image has a file of another size than it says: %s",
				 inode->names->name);
	return 0;
}

static int write_file(struct writer *writer, struct layer_reader *reader, const struct tree_inode *inode,
		      struct error *error)
{
	char first[PATH_MAX];
	int status = write_header(writer, inode->names, &inode->meta, NULL, error);

	if (status == 0)
		status = write_content(writer, reader, inode, error);
	if (status == 0 && !tree_path(inode->names, first))
		status = error_set(error, ENAMETOOLONG, "the image has a path that is too long");
	for (const struct tree_node *name = inode->names->next_name; name && status == 0; name = name->next_name)
		status = write_header(writer, name, &inode->meta, first, error);
	return status;
}

/* The next file of the layer that has a name still, and content to be read. */
static const struct tree_inode *next_living(const struct tree_inode *inode)
{
	while (inode && (!inode->names || !S_ISREG(inode->meta.mode)))
		inode = inode->next;
	return inode;
}

static int write_layer(const struct merge *merge, struct writer *writer, const struct tree *tree, unsigned number,
		       struct error *error)
{
	const struct tree_inode *inode = next_living(tree->layers[number].first);
	struct layer_reader reader;
	struct archive_entry *entry;
	int status = inode ? layer_open(&reader, merge->store, &merge->layers[number], NULL, error) : 0;

	if (!inode)
		return 0;
	/* To its end, also where nothing more is wanted: only there is it known to be what was read before. */
	for (uint64_t ordinal = 0; status == 0; ordinal++) {
		status = layer_next(&reader, &entry, error);
		if (status <= 0)
			break;
		status = 0;
		if (!inode || inode->ordinal != ordinal)
			continue;
		status = write_file(writer, &reader, inode, error);
		inode = next_living(inode->next);
	}
	if (status == 0 && inode)
		status = error_set(error, EBADMSG, "layer %s has changed meanwhile", merge->layers[number].blob.path);
	layer_close(&reader);
	return status;
}

static int open_writer(struct writer *writer, struct tree *tree, int output, struct error *error)
{
	writer->archive = archive_write_new();
	writer->entry = archive_entry_new();
	writer->piece = malloc(PIECE_SIZE);
	if (!writer->archive || !writer->entry || !writer->piece)
		return error_errno(error, ENOMEM, "write the file system");
	for (size_t i = 0; i < array_size(copied_paths); i++) {
		const struct tree_node *node = tree_find(tree, copied_paths[i]);

		writer->copied[i] = node ? node->inode : NULL;
	}
	archive_write_set_format_pax_restricted(writer->archive);
	archive_write_set_bytes_per_block(writer->archive, PIECE_SIZE);
	archive_write_set_bytes_in_last_block(writer->archive, 1);
	/* Names are bytes, and attributes in the one form that all readers know. */
	if (archive_write_set_options(writer->archive, "hdrcharset=BINARY,xattrheader=SCHILY") != ARCHIVE_OK ||
	    archive_write_open_fd(writer->archive, output) != ARCHIVE_OK)
		return write_failed(writer, error);
	return 0;
}

int merge_write(const struct merge *merge, struct tree *tree, int output, int copies, struct error *error)
{
	struct writer writer = {.copies = copies};
	int status = open_writer(&writer, tree, output, error);

	if (status == 0)
		status = write_nodes(&writer, tree->root, error);
	for (unsigned i = 0; i < merge->layer_count && status == 0; i++)
		status = write_layer(merge, &writer, tree, i, error);
	/* A reader may be content with the first zeroes of the end, and be gone before the last: its exit status tells. */
	if (status == 0 && archive_write_close(writer.archive) != ARCHIVE_OK && archive_errno(writer.archive) != EPIPE)
		status = write_failed(&writer, error);
	archive_write_free(writer.archive);
	archive_entry_free(writer.entry);
	free(writer.piece);
	return status;
}
