/* The VMM's command line: QEMU's. */
#ifndef NACRE_RUNTIME_VMM_H
#define NACRE_RUNTIME_VMM_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/arena.h"
#include "runtime/accel.h"
#include "runtime/image.h"
#include "runtime/machine_type.h"
#include "runtime/network.h"
#include "runtime/run_directory.h"

#define VMM_DISKS_MOST 12
#define VMM_VHOST_SOCKET "vhost.sock"
#define VMM_DEBUG_CONSOLE_PORT "1026" /* as Kata has it */
#define VMM_GUEST_CID 3 /* seen by the guest alone: each VM has its own vsock device */

struct vmm_options {
	const char *program; /* QEMU */
	const struct machine_type *type;
	const char *kernel;
	const struct image *image; /* where it is a disk, it becomes the first one */
	const struct run_directory *directory;
	const char *disks[VMM_DISKS_MOST]; /* the container's: images in the run directory, read-only */
	unsigned disk_count;
	const char *share; /* a socket of virtiofsd's in the run directory, or NULL */
	const char *share_tag;
	enum network network;
	const struct publish *published;
	size_t published_count;
	enum accel accel; /* KVM or TCG */
	uint64_t memory;  /* bytes */
	unsigned cpus;
	bool debug_console; /* of the agent, at VMM_DEBUG_CONSOLE_PORT */
	bool verbose;
};

/* How many devices that are, beside those which every VM has. */
unsigned vmm_devices(const struct vmm_options *options);

/* The arguments, NULL-terminated, in the arena; NULL without memory. */
char **vmm_arguments(const struct vmm_options *options, struct arena *arena);

#endif
