/* The addresses of PCI devices in a container's environment: the host's become the guest's. */
#ifndef NACRE_AGENT_DEVICE_PCI_ENVIRONMENT_H
#define NACRE_AGENT_DEVICE_PCI_ENVIRONMENT_H

#include <stddef.h>

#include "agent.pb-c.h"

/* Rewrites the variables PCIDEVICE_* in place: each address that is the host's of one of the devices, as device_find() has
 * left their options ("HOST=GUEST"), wherever in the text it is. Others stay as they are. */
void pci_environment_rewrite(char **environment, size_t count, Grpc__Device *const *devices, size_t device_count);

#endif
