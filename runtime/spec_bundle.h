/* An OCI bundle's config.json for a container in a VM: oci/config.h says what is read of it. */
#ifndef NACRE_RUNTIME_SPEC_BUNDLE_H
#define NACRE_RUNTIME_SPEC_BUNDLE_H

#include "lib/arena.h"
#include "lib/error.h"
#include "oci/config.h"
#include "runtime/volume.h"

/* Reads `text` into the arena. Bind mounts are left out of it: see spec_bundle_volumes(). Root path and cgroup are the
 * caller's to set; a network namespace is left out, as the VM's own stands for it. `notes` may be NULL.
 * 0, or -EINVAL with the place in `error`. */
int spec_bundle_read(const char *text, struct arena *arena, Grpc__Spec **spec, struct config_notes *notes,
		     struct error *error);

/* Adds the bundle's bind mounts to the volumes; a relative source is below `directory`. 0 or -errno. */
int spec_bundle_volumes(const char *text, const char *directory, struct volumes *volumes, struct error *error);

#endif
