/* containerEdits of CDI: what a device changes of a container's spec. */
#ifndef NACRE_AGENT_DEVICE_CDI_EDITS_H
#define NACRE_AGENT_DEVICE_CDI_EDITS_H

#include "agent/device/json.h"
#include "lib/arena.h"
#include "lib/error.h"
#include "oci.pb-c.h"

/* Makes one set of edits: env, deviceNodes, mounts, additionalGids. The spec gets texts of `edits`. 0; -EINVAL for what
 * doesn't say enough; -EOPNOTSUPP for netDevices and intelRdt; -errno for a node that the guest hasn't. */
int cdi_edit(Grpc__Spec *spec, const struct json *edits, struct arena *arena, struct error *error);

#endif
