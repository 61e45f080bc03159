/* PCI paths of the Kata agent protocol (behaviour.md section 4): where a device is plugged in, whatever the numbers that
 * firmware or kernel have given to the buses on the way.
 *
 * "02/03" is slot 3 of the bus behind the bridge in slot 2 of the root bus; "02/00.1" is a function of the device there;
 * with three elements or more, a first one of 20 or above (all are hexadecimal) is another root bus: "20/00/02".
 */
#ifndef NACRE_AGENT_DEVICE_PCI_PATH_H
#define NACRE_AGENT_DEVICE_PCI_PATH_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#define PCI_PATH_DEPTH 8
#define PCI_NAME_SIZE 256 /* NAME_MAX and the zero */

struct pci_path {
	uint8_t root; /* number of the root bus */
	size_t count;
	struct {
		uint8_t slot, function;
	} devices[PCI_PATH_DEPTH];
};

/* 0; -EINVAL for what is no such path, or a deeper one than PCI_PATH_DEPTH. */
int pci_path_parse(struct pci_path *path, const char *text, struct error *error);

/* The folder of the device in that place, as sysfs has it now below `devices` ("/sys/devices"). 0, or -ENOENT while there
 * is none. */
int pci_path_find(const struct pci_path *path, const char *devices, char folder[PATH_MAX]);

/* The name of the virtio device in that place: of its disk where `kind` is "block", of its interface where it is "net". 0,
 * or -ENOENT while there is none. */
int pci_path_find_virtio(const struct pci_path *path, const char *devices, const char *kind, char name[PCI_NAME_SIZE]);

#endif
