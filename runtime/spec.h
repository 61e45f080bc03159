/* The OCI specification of a container from `nacre run`: what docker gives one by default. */
#ifndef NACRE_RUNTIME_SPEC_H
#define NACRE_RUNTIME_SPEC_H

#include <stdbool.h>

#include "lib/arena.h"
#include "oci.pb-c.h"
#include "runtime/user.h"

struct spec_options {
	const char *name;	  /* container, cgroup and hostname */
	const char *root;	  /* in the guest */
	bool read_only, terminal;
	const char **command;	  /* NULL-terminated */
	char *const *environment; /* the user's: replaces defaults of the same name */
	size_t environment_count;
	const char *directory; /* cwd */
	const struct user *user;
	unsigned rows, columns; /* of the terminal; 0 where unknown */
	const char *term;	/* TERM; NULL: xterm */
};

/* Builds it in the arena, as a whole. NULL without memory. */
Grpc__Spec *spec_build(const struct spec_options *options, struct arena *arena);

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
