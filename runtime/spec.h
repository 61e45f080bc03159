/* The OCI specification of a container from `nacre run`: what docker gives one by default. */
#ifndef NACRE_RUNTIME_SPEC_H
#define NACRE_RUNTIME_SPEC_H

#include <stdbool.h>

#include "lib/arena.h"
#include "lib/error.h"
#include "oci.pb-c.h"
#include "runtime/user.h"

/* Something of the guest, bound into the container. */
struct spec_mount {
	const char *source, *destination;
	bool read_only;
};

struct spec_options {
	const char *name;	  /* container, cgroup and hostname */
	const char *root;	  /* in the guest */
	bool read_only, terminal;
	const char *const *command; /* NULL-terminated; of a bundle, empty: its own */
	char *const *base;	    /* the image's environment, NULL-terminated; or NULL */
	char *const *environment;   /* the user's: replaces the image's and the defaults of the same name */
	size_t environment_count;
	const char *directory;	 /* cwd; NULL of a bundle: its own */
	const struct user *user; /* NULL of a bundle: its own */
	const struct spec_mount *mounts;
	size_t mount_count;
	const char *bundle;	/* config.json, which all this is put over; or NULL */
	unsigned rows, columns; /* of the terminal; 0 where unknown */
	const char *term;	/* TERM; NULL: xterm */
};

/* Builds it in the arena, as a whole. 0, or -ENOMEM, or -EINVAL for a bundle that says what can't be. */
int spec_build(const struct spec_options *options, struct arena *arena, Grpc__Spec **spec, struct error *error);

/* The seccomp profile of spec_build() (spec_seccomp.c). */
Grpc__LinuxSeccomp *spec_seccomp(struct arena *arena);

/* A message in the arena, initialized; NULL without memory. */
#define SPEC_NEW(arena, type, initialize)                        \
	({                                                       \
		type *new_ = arena_alloc(arena, sizeof(type));   \
		if (new_)                                        \
			initialize(new_);                        \
		new_;                                            \
	})

#endif
