/* A table, and the names of disks.
 *
 * microvm has no PCI and no ACPI: QEMU puts its virtio-mmio devices on the kernel's command line. The old timer,
 * interrupt controller and clock stay: without the timer a kernel that finds no kvmclock never calibrates its TSC, and
 * without the clock it waits a second for it. It has no power switch either, so its end is a reboot (-no-reboot).
 *
 * q35 goes without what nothing of ours uses. It is switched off by ACPI.
 */
#include "runtime/machine_type.h"

#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"

/* Above the slots that QEMU gives away by itself. */
#define FIRST_SLOT 0x08

static const struct machine_type types[] = {
	{
		.name = "microvm",
		.kernel = "vmlinuz-microvm",
		.options = "microvm,acpi=off,pit=on,pic=on,rtc=on,isa-serial=off",
		.global = "virtio-mmio.force-legacy=false",
		.append = "reboot=t panic=-1 nacre.exit=reboot",
		.vsock = "vhost-user-vsock-device",
		.block = "virtio-blk-device",
		.serial = "virtio-serial-device",
		.random = "virtio-rng-device",
		.filesystem = "vhost-user-fs-device",
		.network = "virtio-net-device",
		.slots = 8,
		.storage_driver = "mmioblk",
	},
	{
		.name = "q35",
		.kernel = "vmlinuz-full",
		.options = "q35,sata=off,smbus=off,i8042=off,vmport=off,hpet=off",
		.append = "reboot=t panic=-1",
		.vsock = "vhost-user-vsock-pci",
		.block = "virtio-blk-pci",
		.serial = "virtio-serial-pci",
		.random = "virtio-rng-pci",
		.filesystem = "vhost-user-fs-pci",
		.network = "virtio-net-pci",
		.slots = 24,
		.storage_driver = "blk",
		.pci = true,
	},
};

const struct machine_type *machine_type_find(const char *name)
{
	if (!name)
		return &types[0];
	for (size_t i = 0; i < array_size(types); i++)
		if (strcmp(types[i].name, name) == 0)
			return &types[i];
	return NULL;
}

unsigned machine_type_slot(unsigned index)
{
	return FIRST_SLOT + index;
}

const char *machine_type_address(const struct machine_type *type, unsigned before, unsigned index,
				 char address[MACHINE_ADDRESS_SIZE])
{
	if (type->pci)
		snprintf(address, MACHINE_ADDRESS_SIZE, "%02x/00", machine_type_slot(index));
	else
		snprintf(address, MACHINE_ADDRESS_SIZE, "/dev/vd%c", 'a' + before + index);
	return address;
}
