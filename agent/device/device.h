/* The devices that a container's request names: found in the guest, and put into its spec (behaviour.md section 5).
 *
 * What a runtime says of a device is the host's: its number, its group, its PCI address. The guest has others, which are
 * known once the device is there. All of it may block, so it runs in a job.
 */
#ifndef NACRE_AGENT_DEVICE_DEVICE_H
#define NACRE_AGENT_DEVICE_DEVICE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent.pb-c.h"
#include "lib/arena.h"
#include "lib/error.h"

/* A device as the guest has it. */
struct device_found {
	const char *container_path; /* the entry of the spec that it is for; NULL: it has none */
	const char *path;	    /* where the container is to have it */
	const char *access;	    /* what its rule allows; NULL: "rwm" */
	mode_t type;		    /* S_IFBLK or S_IFCHR */
	dev_t number;
};

/* Finds all devices of a request, waiting at most `timeout` nanoseconds for each part of one, and changes its spec by them:
 * entries of devices, rules, and PCIDEVICE_* of the environment. The addresses in a vfio device's options become the
 * guest's ("0000:41:00.0=02/00": "0000:41:00.0=0000:02:00.0"). What it makes is in the arena. 0; -EINVAL for what can't be;
 * -EIO for an unknown type, or where the spec has no entry for a device; -EOPNOTSUPP for one of s390x; -ETIMEDOUT. */
int devices_add(Grpc__CreateContainerRequest *request, uint64_t timeout, struct arena *arena, struct error *error);

/* device_spec.c: whether the spec has one entry for each of `found` with a container_path, all that is read of them. */
int device_spec_check(const Grpc__Spec *spec, const struct device_found *found, size_t count, struct arena *arena,
		      struct error *error);

/* Changes entries and rules; checks as well. */
int device_spec_update(Grpc__Spec *spec, const struct device_found *found, size_t count, struct arena *arena,
		       struct error *error);

/* Adds one with a rule; an entry with the same path is replaced. *entry is what the spec has now. */
int device_spec_add(Grpc__Spec *spec, const struct device_found *found, Grpc__LinuxDevice **entry, struct arena *arena,
		    struct error *error);

/* Makes room for one more in an array of pointers with `count` of them. `array` is the address of the array's pointer. */
int device_spec_grow(void *array, size_t count, struct arena *arena, struct error *error);

#endif
