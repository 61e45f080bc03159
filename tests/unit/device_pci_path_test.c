// uses: agent/device/pci_path.c lib/match.c lib/error.c
/* PCI paths, and what they lead to in a folder like sysfs's. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "agent/device/pci_path.h"

static struct error error;
static char devices[] = "/tmp/nacre-pci.XXXXXX";

static void make(const char *path)
{
	char whole[PATH_MAX];

	for (const char *slash = strchr(path, '/');; slash = strchr(slash + 1, '/')) {
		snprintf(whole, sizeof(whole), "%s/%.*s", devices, (int)(slash ? slash - path : (long)strlen(path)), path);
		assert_true(mkdir(whole, 0755) == 0 || errno == EEXIST);
		if (!slash)
			return;
	}
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(devices) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[PATH_MAX];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", devices);
	return system(command);
}

/* The name that a path leads to; NULL where there is none. */
static const char *find(const char *text)
{
	static char name[PCI_NAME_SIZE];
	struct pci_path path;

	assert_int_equal(pci_path_parse(&path, text, &error), 0);
	return pci_path_find_virtio(&path, devices, "block", name) == 0 ? name : NULL;
}

static void parses_slots_functions_and_root_buses(void **state)
{
	struct pci_path path;

	(void)state;
	assert_int_equal(pci_path_parse(&path, "02/1f.7", &error), 0);
	assert_int_equal(path.root, 0);
	assert_int_equal(path.count, 2);
	assert_int_equal(path.devices[0].slot, 2);
	assert_int_equal(path.devices[0].function, 0);
	assert_int_equal(path.devices[1].slot, 0x1f);
	assert_int_equal(path.devices[1].function, 7);
	assert_int_equal(pci_path_parse(&path, "20/00/02", &error), 0);
	assert_int_equal(path.root, 0x20);
	assert_int_equal(path.count, 2);
	assert_int_equal(path.devices[1].slot, 2);
	assert_int_equal(pci_path_parse(&path, "01/02/03", &error), 0);
	assert_int_equal(path.root, 0);
	assert_int_equal(path.count, 3);
	assert_int_equal(pci_path_parse(&path, "01/01/01/01/01/01/01/01", &error), 0);
	assert_int_equal(path.count, PCI_PATH_DEPTH);
}

static void refuses_what_is_no_path(void **state)
{
	static const char *const wrong[] = {
		"",	   "/",	       "2",	   "002",      "02/",	    "/02",	 "02//03",	 "02/..",
		"../02",   "02.8",     "02.",	   "02.00",    "20",	    "20/01",	 "ff/ff",	 "02/20/01",
		"20.1/00/02", "0x2",   " 2",	   "02 ",      "-1",	    "+2",	 "02\n",	 "02/0g",
		"0000:00:02.0", "02,03", "virtio0", "/dev/vda", "01/01/01/01/01/01/01/01/01", "02/03/",	"%02",
		"00/00/40", "\xff\xff",
	};
	char *endless = malloc(1 << 20);
	struct pci_path path;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		if (pci_path_parse(&path, wrong[i], &error) != -EINVAL)
			fail_msg("'%s' was taken for a PCI path", wrong[i]);
	assert_non_null(endless);
	for (size_t i = 0; i < (1 << 20); i++)
		endless[i] = "01/"[i % 3];
	endless[(1 << 20) - 2] = '\0';
	assert_int_equal(pci_path_parse(&path, endless, &error), -EINVAL);
	free(endless);
}

static void finds_a_disk_on_the_root_bus(void **state)
{
	(void)state;
	make("pci0000:00/0000:00:04.0/virtio3/block/vdb/vdb1");
	make("pci0000:00/0000:00:05.0/virtio4/net/eth0");
	make("pci0000:00/0000:00:06.1/virtio5/block/vdc");
	assert_string_equal(find("04"), "vdb");
	assert_string_equal(find("06.1"), "vdc");
	/* Another function, another kind of device, nothing at all. */
	assert_null(find("06"));
	assert_null(find("05"));
	assert_null(find("07"));
}

static void finds_a_disk_behind_bridges(void **state)
{
	(void)state;
	/* The bus's number isn't the bridge's slot. */
	make("pci0000:00/0000:00:02.0/pci_bus/0000:05");
	make("pci0000:00/0000:00:02.0/0000:05:03.0/virtio1/block/vdd");
	assert_string_equal(find("02/03"), "vdd");
	/* Without pci_bus/ the devices' own names say it. */
	make("pci0000:00/0000:00:08.0/0000:07:00.0/pci_bus/0000:09");
	make("pci0000:00/0000:00:08.0/0000:07:00.0/0000:09:01.0/virtio2/block/vde");
	assert_string_equal(find("08/00/01"), "vde");
	/* A bridge with nothing behind it, and one that isn't there. */
	make("pci0000:00/0000:00:09.0/pci_bus/0000:0a");
	assert_null(find("09/00"));
	assert_null(find("0a/00"));
}

static void finds_a_disk_on_another_root_bus(void **state)
{
	(void)state;
	make("pci0000:20/0000:20:00.0/pci_bus/0000:21");
	make("pci0000:20/0000:20:00.0/0000:21:02.0/virtio9/block/vdf");
	assert_string_equal(find("20/00/02"), "vdf");
	assert_null(find("30/00/02"));
}

static void finds_a_disk_below_a_device_tree_bridge(void **state)
{
	(void)state;
	make("platform/4010000000.pcie/pci0000:40/0000:40:01.0/pci_bus/0000:41");
	make("platform/4010000000.pcie/pci0000:40/0000:40:01.0/0000:41:00.0/virtio0/block/vdg");
	assert_string_equal(find("40/01/00"), "vdg");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_slots_functions_and_root_buses),
		cmocka_unit_test(refuses_what_is_no_path),
		cmocka_unit_test(finds_a_disk_on_the_root_bus),
		cmocka_unit_test(finds_a_disk_behind_bridges),
		cmocka_unit_test(finds_a_disk_on_another_root_bus),
		cmocka_unit_test(finds_a_disk_below_a_device_tree_bridge),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
