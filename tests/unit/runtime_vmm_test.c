// uses: runtime/vmm.c runtime/accel.c runtime/run_directory.c runtime/name.c
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

static const struct run_directory directory = {.name = "box", .path = "/run/a,b/box"};

static struct vmm_options usual(void)
{
	return (struct vmm_options){
		.program = "qemu",
		.kernel = "/k",
		.image = "/i",
		.directory = &directory,
		.disk = "rootfs.erofs",
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
	assert_true(has(list, "driver=file,node-name=root,read-only=on,filename=/run/a,,b/box/rootfs.erofs"));
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
		cmocka_unit_test(little_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
