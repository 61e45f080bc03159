/* The VMM's command line: QEMU with a microvm. */
#ifndef NACRE_RUNTIME_VMM_H
#define NACRE_RUNTIME_VMM_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/arena.h"
#include "runtime/accel.h"
#include "runtime/run_directory.h"

#define VMM_VHOST_SOCKET "vhost.sock"
#define VMM_CONSOLE "console.log"
#define VMM_GUEST_CID 3 /* seen by the guest alone: each VM has its own vsock device */

struct vmm_options {
	const char *program; /* QEMU */
	const char *kernel, *image;
	const struct run_directory *directory;
	const char *disk; /* an image in the run directory, which becomes /dev/vda, read-only */
	enum accel accel; /* KVM or TCG */
	uint64_t memory;  /* bytes */
	unsigned cpus;
	bool verbose;
};

/* The arguments, NULL-terminated, in the arena; NULL without memory. */
char **vmm_arguments(const struct vmm_options *options, struct arena *arena);

#endif
