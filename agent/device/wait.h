/* Waiting for a device to appear in the guest. */
#ifndef NACRE_AGENT_DEVICE_WAIT_H
#define NACRE_AGENT_DEVICE_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"

/* Returns once `look(wanted)` is true: at once where it is so already, otherwise it looks again whenever the kernel announces
 * something (NETLINK_KOBJECT_UEVENT), for at most `timeout` nanoseconds. `what` is for the message. 0; -ETIMEDOUT;
 * -errno where no uevent can be had. It blocks: for jobs. */
int device_wait_until(bool (*look)(void *wanted), void *wanted, const char *what, uint64_t timeout, struct error *error);

#endif
