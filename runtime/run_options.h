/* What `nacre run` was asked to do. */
#ifndef NACRE_RUNTIME_RUN_OPTIONS_H
#define NACRE_RUNTIME_RUN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "runtime/accel.h"
#include "runtime/environment.h"
#include "runtime/machine_type.h"
#include "runtime/network.h"
#include "runtime/quantity.h"
#include "runtime/streams.h"
#include "runtime/volume.h"

#define MEMORY_DEFAULT (256 * MEBIBYTE)
#define UNPACKED_DEFAULT (65536 * MEBIBYTE)
#define MEMORY_LEAST (40 * MEBIBYTE) /* below it the kernel or the agent doesn't start */
#define CPUS_MOST 64
#define TIMEOUT_DEFAULT 60

/* How a directory gets into the VM. */
enum share_way { SHARE_EROFS, SHARE_VIRTIOFS };

/* "streams", "calls" or "sessions". 0 or -EINVAL. */
int io_way_parse(const char *text, enum io_way *io, struct error *error);

struct run_options {
	bool interactive, terminal, read_only, verbose;
	bool detached;	  /* nobody stays attached */
	bool remove;	  /* nothing is kept after the exit */
	bool debug_console; /* shells in the VM for who connects */
	const char *keys; /* to detach; NULL: the default */
	const char *name;      /* NULL: made up */
	const char *directory; /* cwd; NULL: ROOTFS's own, or "/" */
	const char *user;      /* NULL: ROOTFS's own, or root */
	const char *entrypoint; /* NULL: ROOTFS's own; "": none */
	const struct machine_type *machine;
	const char *kernel, *image;
	struct environment environment;
	struct volumes volumes;
	enum share_way share;
	enum network network;
	struct publish published[PUBLISH_MOST];
	size_t published_count;
	uint64_t memory; /* bytes, whole MiB */
	uint64_t unpacked_most; /* bytes of an image's layers */
	unsigned cpus;
	unsigned timeout; /* seconds until the guest must be ready */
	enum accel accel;
	enum io_way io;
	const char *root;     /* ROOTFS */
	const char **command; /* NULL-terminated; empty: ROOTFS's own */
	bool help;	      /* help was asked for, and printed */
	void *parser;	      /* keeps the strings */
};

/* Reads the arguments of the command (argv[0] is its name). The strings stay until run_options_free(), which must be
 * called in any case. 0, or -EINVAL with `error` filled; with --help, prints and sets `help`. */
int run_options_parse(struct run_options *options, int argc, const char *argv[], struct error *error);
void run_options_free(struct run_options *options);

#endif
