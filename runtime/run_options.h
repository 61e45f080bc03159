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
#include "runtime/quantity.h"

#define MEMORY_DEFAULT (256 * MEBIBYTE)
#define MEMORY_LEAST (40 * MEBIBYTE) /* below it the kernel or the agent doesn't start */
#define CPUS_MOST 64
#define TIMEOUT_DEFAULT 60

enum io_way { IO_STREAMS, IO_CALLS };

/* "streams" or "calls". 0 or -EINVAL. */
int io_way_parse(const char *text, enum io_way *io, struct error *error);

struct run_options {
	bool interactive, terminal, read_only, verbose;
	bool detached;	  /* nobody stays attached */
	bool remove;	  /* nothing is kept after the exit */
	const char *keys; /* to detach; NULL: the default */
	const char *name;      /* NULL: made up */
	const char *directory; /* cwd */
	const char *user;      /* NULL: root */
	const struct machine_type *machine;
	const char *kernel, *image;
	struct environment environment;
	uint64_t memory; /* bytes, whole MiB */
	unsigned cpus;
	unsigned timeout; /* seconds until the guest must be ready */
	enum accel accel;
	enum io_way io;
	const char *root;     /* ROOTFS */
	const char **command; /* NULL-terminated, not empty */
	bool help;	      /* help was asked for, and printed */
	void *parser;	      /* keeps the strings */
};

/* Reads the arguments of the command (argv[0] is its name). The strings stay until run_options_free(), which must be
 * called in any case. 0, or -EINVAL with `error` filled; with --help, prints and sets `help`. */
int run_options_parse(struct run_options *options, int argc, const char *argv[], struct error *error);
void run_options_free(struct run_options *options);

#endif
