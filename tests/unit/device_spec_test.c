// uses: agent/device/device_spec.c agent/device/pci_environment.c lib/arena.c lib/error.c
/* The spec and the environment of a container, changed by the devices that were found for it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include "agent/device/device.h"
#include "agent/device/pci_environment.h"

static struct error error;
static struct arena arena;
static Grpc__Spec spec;
static Grpc__Linux settings;
static Grpc__LinuxResources resources;
static Grpc__LinuxDevice entries[3], *entry_list[] = {&entries[0], &entries[1], &entries[2]};
static Grpc__LinuxDeviceCgroup rules[4], *rule_list[] = {&rules[0], &rules[1], &rules[2], &rules[3]};

static void set_entry(size_t i, char *path, char *type, int64_t major, int64_t minor)
{
	grpc__linux_device__init(&entries[i]);
	entries[i].path = path;
	entries[i].type = type;
	entries[i].major = major;
	entries[i].minor = minor;
}

static void set_rule(size_t i, bool allow, char *type, int64_t major, int64_t minor)
{
	grpc__linux_device_cgroup__init(&rules[i]);
	rules[i].allow = allow;
	rules[i].type = type;
	rules[i].major = major;
	rules[i].minor = minor;
	rules[i].access = "r";
}

static int set_up(void **state)
{
	(void)state;
	arena_init(&arena, ARENA_FORK, 1 << 20);
	grpc__spec__init(&spec);
	grpc__linux__init(&settings);
	grpc__linux_resources__init(&resources);
	set_entry(0, "/dev/a", "b", 8, 16);
	set_entry(1, "/dev/b", "b", 8, 32);
	set_entry(2, "/dev/vfio/7", "u", 8, 16);
	set_rule(0, true, "b", 8, 16);
	set_rule(1, false, "b", 8, 32);
	set_rule(2, true, "c", 8, 16);
	set_rule(3, true, "b", 8, -1);
	spec.linux = &settings;
	settings.devices = entry_list;
	settings.n_devices = 3;
	settings.resources = &resources;
	resources.devices = rule_list;
	resources.n_devices = 4;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

/* "b 8:16" of a rule. */
static const char *rule(size_t i)
{
	static char text[64];
	const Grpc__LinuxDeviceCgroup *given = resources.devices[i];

	snprintf(text, sizeof(text), "%s %s %d:%d %s", given->allow ? "allow" : "deny", given->type, (int)given->major,
		 (int)given->minor, given->access);
	return text;
}

static void the_hosts_numbers_become_the_guests(void **state)
{
	/* The one's number in the guest is the other's on the host. */
	const struct device_found found[] = {
		{"/dev/a", "/dev/a", NULL, S_IFBLK, makedev(8, 32)},
		{0},
		{"/dev/b", "/dev/b", NULL, S_IFBLK, makedev(254, 1)},
		{"/dev/vfio/7", "/dev/vfio/0", NULL, S_IFCHR, makedev(240, 0)},
	};

	(void)state;
	assert_int_equal(device_spec_update(&spec, found, 4, &arena, &error), 0);
	assert_int_equal(settings.n_devices, 3);
	assert_int_equal(entries[0].minor, 32);
	assert_int_equal(entries[1].major, 254);
	assert_string_equal(entries[2].path, "/dev/vfio/0");
	assert_string_equal(entries[2].type, "c");
	assert_int_equal(entries[2].major, 240);
	assert_int_equal(resources.n_devices, 7);
	assert_string_equal(rule(0), "allow b 8:32 r");
	assert_string_equal(rule(1), "deny b 254:1 r");
	assert_string_equal(rule(2), "allow c 240:0 r");
	assert_string_equal(rule(3), "allow b 8:-1 r");
	assert_string_equal(rule(4), "allow b 8:32 rwm");
	assert_string_equal(rule(5), "allow b 254:1 rwm");
	assert_string_equal(rule(6), "allow c 240:0 rwm");
}

static void a_rule_is_made_where_there_was_none(void **state)
{
	const struct device_found found = {"/dev/a", "/dev/a", NULL, S_IFBLK, makedev(254, 0)};

	(void)state;
	settings.resources = NULL;
	assert_int_equal(device_spec_update(&spec, &found, 1, &arena, &error), 0);
	assert_int_equal(settings.resources->n_devices, 1);
	assert_int_equal(settings.resources->devices[0]->major, 254);
}

static void a_device_is_added_or_replaces_its_like(void **state)
{
	const struct device_found added = {NULL, "/dev/infiniband/uverbs0", "rw", S_IFCHR, makedev(231, 192)};
	const struct device_found replacing = {NULL, "/dev/a", NULL, S_IFCHR, makedev(1, 5)};
	Grpc__LinuxDevice *entry;

	(void)state;
	assert_int_equal(device_spec_add(&spec, &added, &entry, &arena, &error), 0);
	assert_int_equal(settings.n_devices, 4);
	assert_ptr_equal(settings.devices[3], entry);
	assert_string_equal(entry->path, "/dev/infiniband/uverbs0");
	assert_string_equal(rule(4), "allow c 231:192 rw");
	assert_int_equal(device_spec_add(&spec, &replacing, &entry, &arena, &error), 0);
	assert_int_equal(settings.n_devices, 4);
	assert_ptr_equal(entry, &entries[0]);
	assert_int_equal(entries[0].minor, 5);
	assert_string_equal(rule(5), "allow c 1:5 rwm");
	spec.linux = NULL;
	assert_int_equal(device_spec_add(&spec, &added, &entry, &arena, &error), 0);
	assert_int_equal(spec.linux->n_devices, 1);
}

static void what_does_not_fit_is_an_error_and_changes_nothing(void **state)
{
	const struct device_found missing = {"/dev/c", "/dev/c", NULL, S_IFBLK, makedev(254, 0)};
	const struct device_found twice[] = {
		{"/dev/a", "/dev/a", NULL, S_IFBLK, makedev(254, 0)},
		{"/dev/a", "/dev/a", NULL, S_IFBLK, makedev(254, 1)},
	};
	const struct device_found one_number[] = {
		{"/dev/a", "/dev/a", NULL, S_IFBLK, makedev(254, 0)},
		{"/dev/b", "/dev/b", NULL, S_IFBLK, makedev(254, 1)},
	};

	(void)state;
	assert_true(device_spec_update(&spec, &missing, 1, &arena, &error) < 0);
	assert_non_null(strstr(error.text, "Missing devices in OCI spec"));
	assert_true(device_spec_update(&spec, twice, 2, &arena, &error) < 0);
	assert_non_null(strstr(error.text, "two devices for /dev/a"));
	entries[1].minor = 16;
	assert_true(device_spec_update(&spec, one_number, 2, &arena, &error) < 0);
	assert_non_null(strstr(error.text, "two devices for the host's 8:16"));
	assert_int_equal(entries[0].major, 8);
	assert_int_equal(resources.n_devices, 4);
}

static void addresses_in_the_environment_become_the_guests(void **state)
{
	char *options[] = {"0000:41:00.0=0000:02:00.0", "0000:02:00.0=0000:03:00.0"};
	char *more[] = {"10000:01:00.0=0000:04:00.0", "0000:05:00.0=", "0000:06:00.1=0000:06:01.0"};
	Grpc__Device devices[2] = {GRPC__DEVICE__INIT, GRPC__DEVICE__INIT}, *list[] = {&devices[0], &devices[1]};
	char texts[][160] = {
		"PCIDEVICE_VENDOR_NIC=0000:41:00.0,0000:02:00.0,10000:01:00.0,0000:05:00.0,0000:09:00.0",
		"PCIDEVICE_VENDOR_NIC_INFO={\"0000:41:00.0\":{\"pci\":\"0000:41:00.0\"},\"x\":\"0000:06:00.1\"}",
		"OTHER=0000:41:00.0",
		"PCIDEVICE_NOTHING",
		"PCIDEVICE_NEAR=10000:41:00.0,0000:41:00.01,0000:41:00.",
	};
	char *environment[] = {texts[0], texts[1], texts[2], texts[3], texts[4]};

	(void)state;
	devices[0].options = options;
	devices[0].n_options = 2;
	devices[1].options = more;
	devices[1].n_options = 3;
	pci_environment_rewrite(environment, 5, list, 2);
	assert_string_equal(texts[0],
			    "PCIDEVICE_VENDOR_NIC=0000:02:00.0,0000:03:00.0,0000:04:00.0,0000:05:00.0,0000:09:00.0");
	assert_string_equal(texts[1],
			    "PCIDEVICE_VENDOR_NIC_INFO={\"0000:02:00.0\":{\"pci\":\"0000:02:00.0\"},\"x\":\"0000:06:01.0\"}");
	assert_string_equal(texts[2], "OTHER=0000:41:00.0");
	assert_string_equal(texts[3], "PCIDEVICE_NOTHING");
	assert_string_equal(texts[4], "PCIDEVICE_NEAR=10000:41:00.0,0000:41:00.01,0000:41:00.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_hosts_numbers_become_the_guests, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_rule_is_made_where_there_was_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_device_is_added_or_replaces_its_like, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_does_not_fit_is_an_error_and_changes_nothing, set_up, tear_down),
		cmocka_unit_test(addresses_in_the_environment_become_the_guests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
