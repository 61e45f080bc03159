// uses: runtime/process_file.c runtime/run_directory.c runtime/name.c lib/arena.c lib/error.c lib/fd.c lib/path.c lib/loop.c
/* process.json: what is written is read again, and what isn't as it has to be is harmless. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/path.h"
#include "runtime/process_file.h"

struct fixture {
	struct run_directory directory;
	struct arena arena;
	struct error error;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	strcpy(fixture->directory.path, "/tmp/nacre-process-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory.path));
	fixture->directory.fd = open(fixture->directory.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	arena_init(&fixture->arena, ARENA_FORK, 1 << 20);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	close(fixture->directory.fd);
	path_remove_tree(AT_FDCWD, fixture->directory.path, NULL);
	arena_free(&fixture->arena);
	free(fixture);
	return 0;
}

static void what_is_written_is_read(void **state)
{
	struct fixture *fixture = *state;
	char *environment[] = {(char *)"A=1", (char *)"BAD=\xff", (char *)"QUOTED=\"\\\n"};
	char *bounding[] = {(char *)"CAP_CHOWN"};
	uint32_t groups[] = {5, 4294967294u};
	Grpc__User user = GRPC__USER__INIT;
	Grpc__LinuxCapabilities sets = GRPC__LINUX_CAPABILITIES__INIT;
	Grpc__Process process = GRPC__PROCESS__INIT, *read;

	user.uid = 4294967294u;
	user.gid = 7;
	user.additionalgids = groups;
	user.n_additionalgids = 2;
	sets.bounding = bounding;
	sets.n_bounding = 1;
	process.user = &user;
	process.env = environment;
	process.n_env = 3;
	process.cwd = (char *)"/some where";
	process.nonewprivileges = true;
	process.capabilities = &sets;
	assert_int_equal(process_file_write(&fixture->directory, &process, &fixture->error), 0);
	read = process_file_read(&fixture->directory, &fixture->arena, &fixture->error);
	assert_non_null(read);
	assert_int_equal(read->user->uid, 4294967294u);
	assert_int_equal(read->user->gid, 7);
	assert_int_equal(read->user->n_additionalgids, 2);
	assert_int_equal(read->user->additionalgids[1], 4294967294u);
	assert_string_equal(read->cwd, "/some where");
	assert_true(read->nonewprivileges);
	assert_int_equal(read->capabilities->n_bounding, 1);
	assert_string_equal(read->capabilities->bounding[0], "CAP_CHOWN");
	/* What isn't UTF-8 has no JSON. */
	assert_int_equal(read->n_env, 2);
	assert_string_equal(read->env[1], "QUOTED=\"\\\n");
}

static void what_is_wrong_is_told_or_left_out(void **state)
{
	struct fixture *fixture = *state;
	Grpc__Process *read;

	assert_null(process_file_read(&fixture->directory, &fixture->arena, &fixture->error));
	assert_int_equal(run_directory_write(&fixture->directory, PROCESS_FILE, "[1, 2]", &fixture->error), 0);
	assert_null(process_file_read(&fixture->directory, &fixture->arena, &fixture->error));
	assert_int_equal(run_directory_write(&fixture->directory, PROCESS_FILE,
					     "{\"env\": [1, \"A=1\", null], \"user\": 7, \"cwd\": {}}", &fixture->error), 0);
	read = process_file_read(&fixture->directory, &fixture->arena, &fixture->error);
	assert_non_null(read);
	assert_int_equal(read->n_env, 1);
	assert_int_equal(read->user->uid, 0);
	assert_string_equal(read->cwd, "/");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_written_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_wrong_is_told_or_left_out, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
