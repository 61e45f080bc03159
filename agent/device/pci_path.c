/* From element to element through sysfs: a device's folder has the folders of the devices behind it, and its pci_bus/ says
 * which bus that is. Names in sysfs are the kernel's; of the path that was asked for only numbers get there. */
#include "agent/device/pci_path.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/match.h"

#define SLOTS 0x20 /* a first element from here on is a root bus */
#define FUNCTIONS 8

static int hex_digit(char letter)
{
	if (letter >= '0' && letter <= '9')
		return letter - '0';
	if (letter >= 'a' && letter <= 'f')
		return letter - 'a' + 10;
	return letter >= 'A' && letter <= 'F' ? letter - 'A' + 10 : -1;
}

/* Exactly two hexadecimal digits at *text, which moves on. The number, or -1. */
static int take_byte(const char **text)
{
	int high = hex_digit((*text)[0]), low = high < 0 ? -1 : hex_digit((*text)[1]);

	if (low < 0)
		return -1;
	*text += 2;
	return high << 4 | low;
}

/* ".F", or nothing. */
static int take_function(const char **text)
{
	int number;

	if (**text != '.')
		return 0;
	number = hex_digit((*text)[1]);
	if (number < 0 || number >= FUNCTIONS)
		return -1;
	*text += 2;
	return number;
}

static int parse(struct pci_path *path, const char *text)
{
	size_t elements = 1;

	for (const char *byte = text; *byte; byte++)
		elements += *byte == '/';
	*path = (struct pci_path){0};
	for (size_t i = 0; i < elements; i++) {
		int slot = take_byte(&text), function = slot < 0 ? -1 : take_function(&text);

		if (function < 0 || *text != (i + 1 < elements ? '/' : '\0'))
			return -EINVAL;
		text += *text == '/';
		if (i == 0 && elements >= 3 && slot >= SLOTS && function == 0) {
			path->root = (uint8_t)slot;
			continue;
		}
		if (slot >= SLOTS || path->count == PCI_PATH_DEPTH)
			return -EINVAL;
		path->devices[path->count].slot = (uint8_t)slot;
		path->devices[path->count++].function = (uint8_t)function;
	}
	return 0;
}

int pci_path_parse(struct pci_path *path, const char *text, struct error *error)
{
	if (parse(path, text) < 0)
		return error_set(error, EINVAL, "'%.80s' is no PCI path", text);
	return 0;
}

static int take_name(const char *path, void *name)
{
	snprintf(name, PCI_NAME_SIZE, "%s", strrchr(path, '/') + 1);
	return 1;
}

/* The first name in a folder which starts with `prefix`. 0 or -ENOENT. */
static int first_name(const char *folder, const char *prefix, char name[PCI_NAME_SIZE])
{
	char pattern[PATH_MAX];

	if (snprintf(pattern, sizeof(pattern), "%s/%s*", folder, prefix) >= (int)sizeof(pattern))
		return -ENOENT;
	return match_each(pattern, take_name, name) == 1 ? 0 : -ENOENT;
}

/* Adds "/NAME" to a path. 0 or -ENOENT. */
static int enter(char folder[PATH_MAX], const char *name)
{
	size_t used = strlen(folder);
	int length = snprintf(folder + used, PATH_MAX - used, "/%s", name);

	return length >= (int)(PATH_MAX - used) || access(folder, F_OK) < 0 ? -ENOENT : 0;
}

static int take_path(const char *path, void *folder)
{
	snprintf(folder, PATH_MAX, "%s", path);
	return 1;
}

/* The root bus: of ACPI, or of a host bridge in the device tree. */
static int find_root(const struct pci_path *path, const char *devices, char folder[PATH_MAX])
{
	char pattern[PATH_MAX];

	snprintf(folder, PATH_MAX, "%s/pci0000:%02x", devices, path->root);
	if (access(folder, F_OK) == 0)
		return 0;
	snprintf(pattern, sizeof(pattern), "%s/platform/*.pcie/pci0000:%02x", devices, path->root);
	return match_each(pattern, take_path, folder) == 1 ? 0 : -ENOENT;
}

/* "0000:02", the bus behind a bridge. The class pci_bus has it; the devices on it have it in their names. */
static int find_bus(const char *bridge, char bus[PCI_NAME_SIZE])
{
	char folder[PATH_MAX];

	if (snprintf(folder, sizeof(folder), "%s/pci_bus", bridge) < PATH_MAX && first_name(folder, "", bus) == 0)
		return 0;
	if (first_name(bridge, "0000:", bus) < 0 || strlen(bus) < strlen("0000:00"))
		return -ENOENT;
	bus[strlen("0000:00")] = '\0';
	return 0;
}

int pci_path_find(const struct pci_path *path, const char *devices, char folder[PATH_MAX])
{
	char bus[PCI_NAME_SIZE], device[PCI_NAME_SIZE + 16];
	int status = find_root(path, devices, folder);

	snprintf(bus, sizeof(bus), "0000:%02x", path->root);
	for (size_t i = 0; i < path->count && status == 0; i++) {
		if (i > 0)
			status = find_bus(folder, bus);
		if (status < 0)
			return status;
		snprintf(device, sizeof(device), "%s:%02x.%x", bus, path->devices[i].slot, path->devices[i].function);
		status = enter(folder, device);
	}
	return status;
}

int pci_path_find_virtio(const struct pci_path *path, const char *devices, const char *kind, char name[PCI_NAME_SIZE])
{
	char folder[PATH_MAX];
	int status = pci_path_find(path, devices, folder);

	if (status == 0)
		status = first_name(folder, "virtio", name);
	if (status == 0)
		status = enter(folder, name);
	if (status == 0)
		status = enter(folder, kind);
	return status < 0 ? status : first_name(folder, "", name);
}
