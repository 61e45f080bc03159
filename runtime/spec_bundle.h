/* An OCI bundle's config.json (runtime-spec 1.0.2, config.md, config-linux.md), as the agent protocol carries it.
 *
 * What the protocol can't carry is an error where the container would not be what was asked for, and a note otherwise;
 * nothing is left out in silence. */
#ifndef NACRE_RUNTIME_SPEC_BUNDLE_H
#define NACRE_RUNTIME_SPEC_BUNDLE_H

#include "lib/arena.h"
#include "lib/error.h"
#include "oci.pb-c.h"
#include "runtime/volume.h"

#define SPEC_NOTES_MOST 32

/* What was left out: "linux.intelRdt". The strings are in the arena; what doesn't fit is counted only. */
struct spec_notes {
	const char *list[SPEC_NOTES_MOST];
	size_t count;
};

/* Reads `text` into the arena. Bind mounts are left out of it: see spec_bundle_volumes(). Root path and cgroup are the
 * caller's to set; a network namespace is left out, as the VM's own stands for it. `notes` may be NULL.
 * 0, or -EINVAL with the place in `error`. */
int spec_bundle_read(const char *text, struct arena *arena, Grpc__Spec **spec, struct spec_notes *notes,
		     struct error *error);

/* Adds the bundle's bind mounts to the volumes; a relative source is below `directory`. 0 or -errno. */
int spec_bundle_volumes(const char *text, const char *directory, struct volumes *volumes, struct error *error);

#endif
