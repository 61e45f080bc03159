// uses: agent/device/disk.c agent/device/pci_path.c agent/device/scsi.c agent/device/wait.c agent/storage/block.c
// uses: agent/storage/fs_group.c agent/storage/made.c agent/storage/memory.c agent/storage/mirror.c
// uses: agent/storage/mount.c agent/storage/multi_layer.c agent/storage/options.c agent/storage/overlay.c
// uses: agent/storage/storage.c agent/storage/verity.c agent/storage/watchable.c lib/error.c lib/fd.c lib/loop.c
// uses: lib/match.c lib/mount_table.c lib/path.c lib/run_program.c
/* Storage drivers for real, in a mount namespace with a /run of its own. Needs root; skips otherwise. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/magic.h>

#include <cmocka.h>

#include "agent/storage/fs_group.h"
#include "agent/storage/storage.h"
#include "lib/loop.h"

#define WORDS(...) .options = (const char *const[]){__VA_ARGS__}, \
		   .option_count = sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)
#define DRIVER_WORDS(...) .driver_options = (const char *const[]){__VA_ARGS__}, \
			  .driver_option_count = sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)
#define POINT "/run/kata-containers/c1/point"

static struct error error;
static size_t found; /* of the last mount */

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static mode_t mode_of(const char *path)
{
	struct stat status;

	assert_int_equal(lstat(path, &status), 0);
	return status.st_mode & 07777;
}

static gid_t group_of(const char *path)
{
	struct stat status;

	assert_int_equal(lstat(path, &status), 0);
	return status.st_gid;
}

static long type_at(const char *path)
{
	struct statfs status;

	return statfs(path, &status) == 0 ? (long)status.f_type : -1;
}

static void ephemeral_is_a_tmpfs_with_size_flags_and_group(void **state)
{
	struct storage_request request = {
		.driver = "ephemeral", .source = "tmpfs", .fstype = "tmpfs", .mount_point = POINT, .container_id = "c1",
		WORDS("noexec", "size=1m", "fsgid=1234"),
	};
	struct statvfs status;

	(void)state;
	assert_int_equal(storage_mount(&request, &found, &error), 0);
	assert_int_equal(type_at(POINT), TMPFS_MAGIC);
	assert_int_equal(statvfs(POINT, &status), 0);
	assert_int_equal(status.f_blocks * status.f_frsize, 1 << 20);
	assert_true(status.f_flag & ST_NOEXEC);
	assert_int_equal(group_of(POINT), 1234);
	assert_true(mode_of(POINT) & S_ISGID);
	assert_int_equal(storage_unmount(POINT, &error), 0);
	assert_false(exists(POINT));
	assert_int_equal(storage_unmount(POINT, &error), 0);
}

static void unmounting_keeps_a_folder_with_something_in_it(void **state)
{
	(void)state;
	assert_int_equal(mkdir("/run/full", 0755), 0);
	write_file("/run/full/file", "x");
	assert_int_equal(storage_unmount("/run/full", &error), 0);
	assert_true(exists("/run/full/file"));
}

static void a_mount_that_fails_leaves_no_folder(void **state)
{
	struct storage_request request = {
		.driver = "virtio-fs", .source = "tag", .fstype = "nosuchfs", .mount_point = POINT,
		.container_id = "c1",
	};

	(void)state;
	assert_true(storage_mount(&request, &found, &error) < 0);
	assert_non_null(strstr(error.text, POINT));
	assert_false(exists(POINT));
	request.options = (const char *const[]){"loop"};
	request.option_count = 1;
	assert_int_equal(storage_mount(&request, &found, &error), -EINVAL);
	assert_false(exists(POINT));
}

static void local_makes_a_folder_with_mode_and_group(void **state)
{
	struct storage_request request = {
		.driver = "local", .source = "local", .fstype = "local", .mount_point = "/run/shared/local",
		.container_id = "", WORDS("mode=0750", "fsgid=77"),
	};

	(void)state;
	assert_int_equal(storage_mount(&request, &found, &error), 0);
	assert_int_equal(mode_of("/run/shared/local"), 02750);
	assert_int_equal(group_of("/run/shared/local"), 77);
	request.options = (const char *const[]){"mode=rwx"};
	request.option_count = 1;
	assert_int_equal(storage_mount(&request, &found, &error), -EINVAL);
}

static void a_file_is_bound_to_a_file(void **state)
{
	struct storage_request request = {
		.driver = "virtio-fs", .source = "/run/source", .fstype = "bind", .mount_point = "/run/bound/file",
		.container_id = "c1", WORDS("ro"),
	};

	(void)state;
	write_file("/run/source", "x");
	assert_int_equal(storage_mount(&request, &found, &error), 0);
	assert_true(open("/run/bound/file", O_WRONLY | O_CLOEXEC) < 0);
	assert_int_equal(errno, EROFS);
	assert_int_equal(storage_unmount("/run/bound/file", &error), 0);
}

static void a_device_that_does_not_come_is_waited_for_and_no_longer(void **state)
{
	struct storage_request request = {
		.driver = "mmioblk", .source = "/dev/nacre0", .fstype = "erofs", .mount_point = POINT,
		.container_id = "c1", .hotplug_timeout = 100 * LOOP_MILLISECOND, WORDS("ro"),
	};
	uint64_t start = loop_now(), took;

	(void)state;
	assert_int_equal(storage_mount(&request, &found, &error), -ETIMEDOUT);
	took = loop_now() - start;
	assert_true(took >= request.hotplug_timeout && took < 10 * LOOP_SECOND);
	assert_non_null(strstr(error.text, "/dev/nacre0"));
	assert_false(exists(POINT));
	request.source = "/dev/../etc/passwd";
	assert_int_equal(storage_mount(&request, &found, &error), -EINVAL);
	request.source = "02/03";
	assert_int_equal(storage_mount(&request, &found, &error), -EINVAL);
}

/* As a disk is for a moment after sysfs and devtmpfs show it. */
static void a_device_that_does_not_open_yet_is_waited_for(void **state)
{
	struct storage_request request = {
		.driver = "mmioblk", .source = "/dev/early", .fstype = "erofs", .mount_point = POINT,
		.container_id = "c1", .hotplug_timeout = 100 * LOOP_MILLISECOND, WORDS("ro"),
	};

	(void)state;
	assert_int_equal(mount("tmpfs", "/dev", "tmpfs", 0, "mode=755"), 0);
	/* No driver has this number: opening it is ENXIO. */
	assert_int_equal(mknod("/dev/early", S_IFBLK | 0600, makedev(240, 77)), 0);
	assert_int_equal(storage_mount(&request, &found, &error), -ETIMEDOUT);
	assert_int_equal(umount2("/dev", MNT_DETACH), 0);
	assert_false(exists(POINT));
}

static void a_place_on_the_pci_buses_is_waited_for_too(void **state)
{
	struct storage_request request = {
		.driver = "blk", .source = "1f/1f/1f", .fstype = "erofs", .mount_point = POINT, .container_id = "c1",
		.hotplug_timeout = 100 * LOOP_MILLISECOND, WORDS("ro"),
	};

	(void)state;
	assert_int_equal(storage_mount(&request, &found, &error), -ETIMEDOUT);
	assert_non_null(strstr(error.text, "1f/1f/1f"));
	assert_false(exists(POINT));
	request.source = "1f/../1f";
	assert_int_equal(storage_mount(&request, &found, &error), -EINVAL);
}

static void what_is_mounted_already_is_left_as_it_is(void **state)
{
	struct storage_request request = {
		.driver = "ephemeral", .source = "tmpfs", .fstype = "tmpfs", .mount_point = POINT, .container_id = "c1",
		WORDS("size=1m"),
	};
	struct statvfs status;

	(void)state;
	assert_int_equal(storage_mount(&request, &found, &error), 0);
	write_file(POINT "/kept", "x");
	assert_int_equal(storage_mount(&request, &found, &error), 1);
	assert_true(exists(POINT "/kept"));
	/* A remount is no second mount. */
	request.options = (const char *const[]){"remount", "size=2m"};
	request.option_count = 2;
	assert_int_equal(storage_mount(&request, &found, &error), 1);
	assert_true(exists(POINT "/kept"));
	assert_int_equal(statvfs(POINT, &status), 0);
	assert_int_equal(status.f_blocks * status.f_frsize, 2 << 20);
	/* Another type is. */
	request = (struct storage_request){
		.driver = "virtio-fs", .source = "proc", .fstype = "proc", .mount_point = POINT, .container_id = "c1",
	};
	assert_int_equal(storage_mount(&request, &found, &error), 0);
	assert_false(exists(POINT "/kept"));
	assert_int_equal(storage_unmount(POINT, &error), 0);
}

static void an_overlay_gets_its_upper_folders(void **state)
{
	struct storage_request request = {
		.driver = "overlayfs", .source = "overlay", .fstype = "overlay",
		.mount_point = "/run/kata-containers/c1/rootfs", .container_id = "c1",
		WORDS("lowerdir=/run/lower", "io.katacontainers.fs-opt.overlay-rw"),
		DRIVER_WORDS("io.katacontainers.volume.overlayfs.create_directory=/run/lower"),
	};

	(void)state;
	if (storage_mount(&request, &found, &error) == -ENODEV)
		skip();
	assert_int_equal(type_at(request.mount_point), OVERLAYFS_SUPER_MAGIC);
	write_file("/run/kata-containers/c1/rootfs/new", "x");
	assert_true(exists("/run/kata-containers/c1/upper/new"));
	assert_false(exists("/run/lower/new"));
	assert_int_equal(storage_unmount(request.mount_point, &error), 0);
	assert_false(exists(request.mount_point));
}

static void an_overlay_that_fails_leaves_none_of_its_folders(void **state)
{
	struct storage_request request = {
		.driver = "overlayfs", .source = "overlay", .fstype = "overlay",
		.mount_point = "/run/kata-containers/c2/deep/rootfs", .container_id = "c2",
		WORDS("lowerdir=/run/nowhere", "io.katacontainers.fs-opt.overlay-rw"),
		DRIVER_WORDS("io.katacontainers.volume.overlayfs.create_directory=/run/created/deep"),
	};

	(void)state;
	assert_int_equal(mkdir("/run/created", 0755), 0);
	assert_true(storage_mount(&request, &found, &error) < 0);
	assert_false(exists("/run/kata-containers"));
	assert_false(exists("/run/created/deep"));
	assert_true(exists("/run/created"));
}

static void a_file_that_something_was_bound_to_goes_with_it(void **state)
{
	struct storage_request request = {
		.driver = "virtio-fs", .source = "/run/source", .fstype = "bind", .mount_point = "/run/bound/file",
		.container_id = "c1", WORDS("ro"),
	};

	(void)state;
	write_file("/run/source", "x");
	assert_int_equal(storage_mount(&request, &found, &error), 0);
	assert_int_equal(storage_unmount("/run/bound/file", &error), 0);
	assert_false(exists("/run/bound/file"));
	/* One that was there, and isn't empty, stays. */
	write_file("/run/bound/file", "y");
	assert_int_equal(storage_mount(&request, &found, &error), 0);
	assert_int_equal(storage_unmount("/run/bound/file", &error), 0);
	assert_true(exists("/run/bound/file"));
}

static void an_unknown_driver_is_named(void **state)
{
	struct storage_request request = {.driver = "nosuch", .source = "", .fstype = "", .mount_point = POINT,
					  .container_id = ""};

	(void)state;
	assert_true(storage_mount(&request, &found, &error) < 0);
	assert_string_equal(error.text, "Failed to find the storage handler nosuch");
}

static void a_group_gets_everything_but_what_links_lead_to(void **state)
{
	(void)state;
	assert_int_equal(mkdir("/run/volume", 0700), 0);
	assert_int_equal(mkdir("/run/volume/folder", 0700), 0);
	write_file("/run/volume/folder/file", "x");
	write_file("/run/outside", "x");
	assert_int_equal(symlink("/run/outside", "/run/volume/link"), 0);
	assert_int_equal(fs_group_apply("/run/volume", 55, false, false, &error), 0);
	assert_int_equal(group_of("/run/volume/folder/file"), 55);
	assert_int_equal(mode_of("/run/volume/folder/file"), 0660);
	assert_int_equal(mode_of("/run/volume/folder"), 02770);
	assert_int_equal(group_of("/run/outside"), 0);
	assert_int_equal(mode_of("/run/outside"), 0600);

	/* The top is right already. */
	write_file("/run/volume/later", "x");
	assert_int_equal(chown("/run/volume/later", 0, 0), 0);
	assert_int_equal(fs_group_apply("/run/volume", 55, false, true, &error), 0);
	assert_int_equal(group_of("/run/volume/later"), 0);
	assert_int_equal(fs_group_apply("/run/volume", 55, true, false, &error), 0);
	assert_int_equal(group_of("/run/volume/later"), 55);
}

static int own_run(void **state)
{
	(void)state;
	return mount("tmpfs", "/run", "tmpfs", 0, "mode=755");
}

static int drop_run(void **state)
{
	(void)state;
	return umount2("/run", MNT_DETACH);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, own_run, drop_run)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ephemeral_is_a_tmpfs_with_size_flags_and_group),
		TEST(unmounting_keeps_a_folder_with_something_in_it),
		TEST(a_mount_that_fails_leaves_no_folder),
		TEST(local_makes_a_folder_with_mode_and_group),
		TEST(a_file_is_bound_to_a_file),
		TEST(a_device_that_does_not_come_is_waited_for_and_no_longer),
		TEST(a_device_that_does_not_open_yet_is_waited_for),
		TEST(a_place_on_the_pci_buses_is_waited_for_too),
		TEST(what_is_mounted_already_is_left_as_it_is),
		TEST(an_overlay_gets_its_upper_folders),
		TEST(an_overlay_that_fails_leaves_none_of_its_folders),
		TEST(a_file_that_something_was_bound_to_goes_with_it),
		TEST(an_unknown_driver_is_named),
		TEST(a_group_gets_everything_but_what_links_lead_to),
	};

	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		puts("ok 1 - storages are mounted # skip needs root and a mount namespace");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
