/* The end of a machine. */
#ifndef NACRE_INIT_POWER_H
#define NACRE_INIT_POWER_H

#include <stdbool.h>

/* Kills every process, writes the disks out, unmounts what can be unmounted, and powers off; `by_reboot`: resets instead, for machines without ACPI,
 * which the VMM takes for the end (QEMU's -no-reboot). Only for PID 1 of a machine. */
void power_off(bool by_reboot) __attribute__((noreturn));

#endif
