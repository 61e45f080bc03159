// uses: runtime/vmm.c runtime/machine_type.c runtime/accel.c runtime/run_directory.c runtime/name.c
// uses: lib/arena.c lib/loop.c lib/error.c lib/fd.c lib/path.c
/* The VMM's command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "runtime/vmm.h"

static bool has(char *const *list, const char *wanted)
{
	for (; *list; list++)
		if (strcmp(*list, wanted) == 0)
			return true;
	return false;
}

static const struct image initramfs = {.path = "/i"};
static const struct run_directory directory = {.name = "box", .path = "/run/a,b/box"};

static struct vmm_options usual(void)
{
	return (struct vmm_options){
		.program = "qemu",
		.kernel = "/k",
		.type = machine_type_find(NULL),
		.image = &initramfs,
		.directory = &directory,
		.disks = {"rootfs.erofs"},
		.disk_count = 1,
		.accel = ACCEL_TCG,
		.memory = UINT64_C(96) << 20,
		.cpus = 2,
	};
}

static void arguments(void **state)
{
	struct vmm_options options = usual();
	struct arena arena;
	char **list;

	(void)state;
	arena_init(&arena, ARENA_FORK, 1 << 20);
	list = vmm_arguments(&options, &arena);
	assert_non_null(list);
	assert_string_equal(list[0], "qemu");
	assert_true(has(list, "96M"));
	assert_true(has(list, "memory-backend-memfd,id=ram,size=96M,share=on"));
	assert_true(has(list, "tcg"));
	assert_true(has(list, "vhost-user-vsock-device,chardev=vsock"));
	/* A comma in a path doesn't start another option. */
	assert_true(has(list, "socket,id=vsock,path=/run/a,,b/box/vhost.sock"));
	assert_true(has(list, "driver=file,node-name=disk0,read-only=on,filename=/run/a,,b/box/rootfs.erofs"));
	arena_free(&arena);
}

static void machine_with_pci(void **state)
{
	struct vmm_options options = usual();
	char address[MACHINE_ADDRESS_SIZE];
	struct arena arena;
	char **list;

	(void)state;
	options.type = machine_type_find("q35");
	arena_init(&arena, ARENA_FORK, 1 << 20);
	list = vmm_arguments(&options, &arena);
	assert_non_null(list);
	assert_true(has(list, "vhost-user-vsock-pci,chardev=vsock"));
	assert_true(has(list, "pcie-root-port,id=port0,addr=0x8,chassis=1"));
	assert_true(has(list, "virtio-blk-pci,drive=disk0,bus=port0"));
	assert_false(has(list, "virtio-mmio.force-legacy=false"));
	/* Where the port is, and what is behind it, whatever disks come before. */
	assert_string_equal(machine_type_address(options.type, 1, 0, address), "08/00");
	assert_string_equal(machine_type_address(machine_type_find("microvm"), 0, 0, address), "/dev/vda");
	assert_string_equal(machine_type_address(machine_type_find("microvm"), 1, 0, address), "/dev/vdb");
	assert_null(machine_type_find("pc"));
	assert_null(machine_type_find(""));
	arena_free(&arena);
}

/* The words for the kernel. */
static const char *append_of(char *const *list)
{
	while (*list && strcmp(*list, "-append") != 0)
		list++;
	return *list ? list[1] : "";
}

static void root_on_a_disk(void **state)
{
	struct image image = {.path = "/a,b.erofs", .type = "erofs"};
	struct vmm_options options = usual();
	struct arena arena;
	char **list;

	(void)state;
	options.image = &image;
	arena_init(&arena, ARENA_FORK, 1 << 20);
	list = vmm_arguments(&options, &arena);
	assert_non_null(list);
	assert_false(has(list, "-initrd"));
	assert_true(has(list, "driver=file,node-name=image,read-only=on,filename=/a,,b.erofs"));
	assert_non_null(strstr(append_of(list), " root=/dev/vda ro rootfstype=erofs init=/init"));
	strcpy(image.verity, "root,,,ro,0 8 verity 1 /dev/vda");
	list = vmm_arguments(&options, &arena);
	assert_non_null(list);
	assert_non_null(strstr(append_of(list), " root=/dev/dm-0 ro rootfstype=erofs init=/init "
						"dm-mod.create=\"root,,,ro,0 8 verity 1 /dev/vda\""));
	arena_free(&arena);
}

static void little_memory(void **state)
{
	struct vmm_options options = usual();

	(void)state;
	for (size_t limit = 0; limit < 4096; limit += 64) {
		struct arena arena;

		arena_init(&arena, ARENA_FORK, limit);
		assert_true((vmm_arguments(&options, &arena) == NULL) == arena.exhausted);
		arena_free(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments),
		cmocka_unit_test(machine_with_pci),
		cmocka_unit_test(root_on_a_disk),
		cmocka_unit_test(little_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
