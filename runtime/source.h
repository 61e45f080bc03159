/* ROOTFS: what a container is made from, whatever it is.
 *
 * What it is, is seen by looking: a directory with oci-layout is an OCI image layout, one with config.json and rootfs/ an
 * OCI bundle, any other directory a root file system; a file that begins as an erofs, squashfs or ext4 does is one, any
 * other must be a tar: of docker (manifest.json), of OCI (oci-layout), or of a root file system. LAYOUT:TAG and
 * ARCHIVE:TAG choose one of several images.
 *
 * In the end there is a disk for the VM: an image of a file system, which is never written.
 */
#ifndef NACRE_RUNTIME_SOURCE_H
#define NACRE_RUNTIME_SOURCE_H

#include <limits.h>

#include "lib/arena.h"
#include "lib/error.h"
#include "runtime/child.h"
#include "runtime/run_directory.h"
#include "runtime/source_config.h"
#include "runtime/source_layer.h"

#define SOURCE_DISK "rootfs.image" /* in the run directory */

struct source;

struct source_kind {
	const char *name; /* for people */
	/* Looks at what source->fd is. 1: of this kind, and all is known of it; 0: not; or -errno. */
	int (*open)(struct source *source, struct error *error);
	/* Begins to make SOURCE_DISK; a child runs afterwards, or there was nothing to do. 0 or -errno. */
	int (*start)(struct source *source, const struct run_directory *directory, struct child *child,
		     struct error *error);
	/* Finishes it, with the child's exit status (0 where there was none). 0 or -errno. */
	int (*finish)(struct source *source, const struct run_directory *directory, int status, struct error *error);
};

struct source {
	const struct source_kind *kind;
	const char *given; /* as it was named */
	char path[PATH_MAX];
	const char *tag; /* or NULL */
	int fd;		 /* the directory or file */
	int root;	 /* a directory in which the container's /etc/passwd and /etc/group are; -1 without. Layers give it
			  * only once they are merged. */
	const char *filesystem; /* of the disk */
	const char *compressor; /* of an image, where nacre's own kernels can't read it; or NULL */
	const char *packer;	/* the program that makes it, where one does */
	/* Of images made of layers: */
	struct arena arena;
	struct blob_store store;
	struct layer *layers;
	unsigned layer_count;
	uint64_t unpacked_most; /* bytes that they may have together, uncompressed */
	bool plain;		/* one tar, which isn't a layer */
	struct digest identity; /* of the configuration, and so of all; unknown for a plain tar */
	struct image_config config;
	int folder; /* where the disk is made, or lies in the cache; -1 */
	char folder_path[PATH_MAX], final_path[PATH_MAX];
	/* Of bundles: */
	char *bundle; /* config.json */
};

/* Finds out what `rootfs` is. Layers may have `unpacked_most` bytes. 0 or -errno; source_close() in any case. */
int source_open(struct source *source, const char *rootfs, uint64_t unpacked_most, struct error *error);
void source_close(struct source *source);

/* What source_open() found out, for people: "directory", "OCI image layout", ... */
const char *source_name(const struct source *source);

/* Begins to make SOURCE_DISK in the run directory: child->pid is 0 where nothing has to be waited for. Then, with its
 * exit status, source_finish(). 0 or -errno. */
int source_start(struct source *source, const struct run_directory *directory, struct child *child,
		 struct error *error);
int source_finish(struct source *source, const struct run_directory *directory, int status, struct error *error);

extern const struct source_kind source_directory, source_bundle, source_layout, source_archive, source_image;

/* For the kinds: images of layers. */

/* Chooses the image in an OCI layout (the store), and takes its layers and configuration. 0 or -errno. */
int source_layout_take(struct source *source, struct error *error);

/* Takes a configuration: its text, and the layers that it must have as many as source->layers. 0 or -errno. */
int source_take_config(struct source *source, const struct blob *blob, struct error *error);

/* Merges the layers, or finds them merged in the cache. */
int source_build_start(struct source *source, const struct run_directory *directory, struct child *child,
		       struct error *error);
int source_build_finish(struct source *source, const struct run_directory *directory, int status,
			struct error *error);

/* Makes SOURCE_DISK a symlink to `target`. 0 or -errno. */
int source_link_disk(const struct run_directory *directory, const char *target, struct error *error);

#endif
