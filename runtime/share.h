/* Directories and files of this machine in the VM: one virtiofsd for all of them, and one virtio-fs device.
 *
 * virtiofsd shows a directory of its own: a small tmpfs in a mount namespace, in which each thing that is shared is bound
 * under its number, read-only where it should be. So nothing else of this machine can be reached, whatever the guest
 * asks for, and what is read-only is that on this side already.
 */
#ifndef NACRE_RUNTIME_SHARE_H
#define NACRE_RUNTIME_SHARE_H

#include <limits.h>
#include <stdbool.h>

#include "lib/error.h"
#include "lib/loop.h"
#include "runtime/child.h"
#include "runtime/run_directory.h"
#include "runtime/volume.h"

#define SHARE_SOCKET "virtiofs.sock"
#define SHARE_ROOT "root" /* the name of ROOTFS in it */
/* The tag and the place by which Kata's runtimes share (behaviour.md, storages). */
#define SHARE_TAG "kataShared"
#define SHARE_PLACE "/run/kata-containers/shared/containers"

/* Finds virtiofsd and whether it can run here: as root, with /dev/fuse not needed. 0, or -ENOENT or -EPERM with a line
 * that says what is missing. */
int share_find(char program[PATH_MAX], struct error *error);

struct share {
	struct child daemon;
	char program[PATH_MAX];
	struct loop *loop;
	struct loop_source source;
	bool ended; /* by itself; its machine can't go on without it */
	int status; /* its exit status then */
};

/* Starts it, listening at SHARE_SOCKET in the run directory; it ends with its VMM, or with us. `root` is ROOTFS, or
 * -1. The volumes that are to be shared are opened, and get the names "0", "1", ... by their place in the list; those
 * whose fd is -1 are left out. 0 or -errno. */
int share_start(struct share *share, struct loop *loop, const struct run_directory *directory, int root,
		const struct volumes *volumes, struct error *error);

/* Ends it. Nothing happens where it doesn't run. */
void share_stop(struct share *share);

/* Fills `error` with how it ended, and its last words. Returns -EIO. */
int share_explain_end(const struct share *share, const struct run_directory *directory, struct error *error);

#endif
