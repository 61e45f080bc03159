// uses: runtime/spec.c runtime/spec_bundle.c oci/config.c oci/config_fields.c runtime/volume.c runtime/spec_seccomp.c lib/error.c lib/fd.c lib/arena.c
/* The specification that a container gets. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "runtime/spec.h"

static const char *const command[] = {"sh", "-c", "true", NULL};

static struct spec_options usual(const struct user *user)
{
	return (struct spec_options){
		.name = "box",
		.root = "/run/kata-containers/box/rootfs",
		.command = (const char **)command,
		.directory = "/",
		.user = user,
	};
}

static const char *find(char *const *list, size_t count, const char *start)
{
	for (size_t i = 0; i < count; i++)
		if (strncmp(list[i], start, strlen(start)) == 0)
			return list[i];
	return NULL;
}

static void usual_container(void **state)
{
	const struct user root = {.home = "/root"};
	struct spec_options options = usual(&root);
	struct arena arena;
	Grpc__Spec *spec;

	(void)state;
	arena_init(&arena, ARENA_FORK, 1 << 20);
	assert_int_equal(spec_build(&options, &arena, &spec, NULL), 0);
	assert_string_equal(spec->root->path, options.root);
	assert_false(spec->root->readonly);
	assert_string_equal(spec->hostname, "box");
	assert_int_equal(spec->process->n_args, 3);
	assert_string_equal(spec->process->args[2], "true");
	assert_non_null(find(spec->process->env, spec->process->n_env, "PATH="));
	assert_string_equal(find(spec->process->env, spec->process->n_env, "HOME="), "HOME=/root");
	assert_string_equal(find(spec->process->env, spec->process->n_env, "HOSTNAME="), "HOSTNAME=box");
	assert_null(find(spec->process->env, spec->process->n_env, "TERM="));
	assert_int_equal(spec->process->capabilities->n_bounding, 14);
	assert_int_equal(spec->process->capabilities->n_effective, 14);
	assert_int_equal(spec->process->capabilities->n_inheritable, 0);
	assert_int_equal(spec->process->capabilities->n_ambient, 0);
	assert_null(find(spec->process->capabilities->bounding, 14, "CAP_SYS_ADMIN"));
	assert_int_equal(spec->linux->n_namespaces, 5);
	assert_int_equal(spec->n_mounts, 7);
	assert_string_equal(spec->mounts[0]->destination, "/proc");
	assert_string_equal(spec->linux->cgroupspath, "/nacre/box");
	assert_false(spec->linux->resources->devices[0]->allow);
	arena_free(&arena);
}

/* It can be packed and unpacked, and nothing is lost. */
static void packs(void **state)
{
	const struct user user = {.uid = 1000, .gid = 1001, .groups = {10, 29}, .group_count = 2};
	struct spec_options options = usual(&user);
	static uint8_t bytes[65536];
	Grpc__Spec *spec, *copy;
	struct arena arena;
	size_t size;

	(void)state;
	arena_init(&arena, ARENA_FORK, 1 << 20);
	options.terminal = options.read_only = true;
	options.rows = 24;
	options.columns = 80;
	assert_int_equal(spec_build(&options, &arena, &spec, NULL), 0);
	size = grpc__spec__get_packed_size(spec);
	assert_in_range(size, 1, sizeof(bytes));
	grpc__spec__pack(spec, bytes);
	copy = grpc__spec__unpack(NULL, size, bytes);
	assert_non_null(copy);
	assert_true(copy->root->readonly);
	assert_true(copy->process->terminal);
	assert_int_equal(copy->process->consolesize->width, 80);
	assert_int_equal(copy->process->user->uid, 1000);
	assert_int_equal(copy->process->user->gid, 1001);
	assert_int_equal(copy->process->user->n_additionalgids, 2);
	assert_string_equal(find(copy->process->env, copy->process->n_env, "TERM="), "TERM=xterm");
	assert_int_equal(copy->process->capabilities->n_bounding, 14);
	assert_int_equal(copy->process->capabilities->n_effective, 0);
	assert_int_equal(copy->process->capabilities->n_permitted, 0);
	grpc__spec__free_unpacked(copy, NULL);
	arena_free(&arena);
}

static void environment_replaces(void **state)
{
	char *given[] = {"PATH=/mine", "HOMEWORK=x", "A=1"};
	const struct user root = {.home = "/root"};
	struct spec_options options = usual(&root);
	struct arena arena;
	Grpc__Spec *spec;

	(void)state;
	options.environment = given;
	options.environment_count = array_size(given);
	arena_init(&arena, ARENA_FORK, 1 << 20);
	assert_int_equal(spec_build(&options, &arena, &spec, NULL), 0);
	assert_int_equal(spec->process->n_env, 5);
	assert_string_equal(find(spec->process->env, 5, "PATH="), "PATH=/mine");
	assert_string_equal(find(spec->process->env, 5, "HOME="), "HOME=/root");
	arena_free(&arena);
}

static void seccomp_profile(void **state)
{
	Grpc__LinuxSeccomp *seccomp;
	struct arena arena;

	(void)state;
	arena_init(&arena, ARENA_FORK, 1 << 20);
	seccomp = spec_seccomp(&arena);
	assert_non_null(seccomp);
	assert_string_equal(seccomp->defaultaction, "SCMP_ACT_ALLOW");
	assert_non_null(find(seccomp->syscalls[0]->names, seccomp->syscalls[0]->n_names, "mount"));
	assert_null(find(seccomp->syscalls[0]->names, seccomp->syscalls[0]->n_names, "execve"));
	assert_string_equal(seccomp->syscalls[1]->names[0], "clone3");
	assert_int_equal(seccomp->syscalls[1]->errnoret, ENOSYS);
	assert_int_equal(seccomp->n_syscalls, 9);
	arena_free(&arena);
}

/* Out of memory at every size: an error, and nothing worse. */
static void little_memory(void **state)
{
	const struct user root = {.home = "/root"};
	struct spec_options options = usual(&root);

	(void)state;
	for (size_t limit = 0; limit < 32768; limit += 512) {
		struct arena arena;
		Grpc__Spec *spec;
		int status;

		arena_init(&arena, ARENA_FORK, limit);
		status = spec_build(&options, &arena, &spec, NULL);
		assert_true((status < 0) == arena.exhausted);
		arena_free(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usual_container), cmocka_unit_test(packs), cmocka_unit_test(seccomp_profile),
		cmocka_unit_test(environment_replaces), cmocka_unit_test(little_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
