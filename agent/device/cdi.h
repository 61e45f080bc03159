/* CDI, the container device interface (https://github.com/cncf-tags/container-device-interface, SPEC.md): a container names
 * devices, "VENDOR/CLASS=NAME", and files in the guest say what such a device is: nodes, mounts, variables. */
#ifndef NACRE_AGENT_DEVICE_CDI_H
#define NACRE_AGENT_DEVICE_CDI_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/arena.h"
#include "lib/error.h"
#include "oci.pb-c.h"

/* Whether a container names any: in its annotations "cdi.k8s.io/...", or, where `visible` is true, in its variable
 * VISIBLE_CDI_DEVICES. A pod's sandbox never does. */
bool cdi_wanted(const Grpc__Spec *spec, bool visible);

/* Changes the spec by what the files in `directory` say of the devices that it names; where they don't know one's class yet,
 * they are read again each second, for at most `timeout` nanoseconds. What it makes is in the arena, or in memory for the
 * files' texts which goes with the process. Blocks: for jobs. 0;
 * -ETIMEDOUT; -EINVAL for a name that is none, or a class without that device; -EOPNOTSUPP for what a device wants that
 * can't be done here. After an error, the spec is of no use. */
int cdi_inject(Grpc__Spec *spec, bool visible, const char *directory, uint64_t timeout, struct arena *arena,
	       struct error *error);

#endif
