// uses: init/fdstore.c
/* The store of descriptors: what is kept, what is closed. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "init/fdstore.h"

static struct fdstore store;

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void open_some(int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		assert_true(fds[i] >= 0);
	}
}

static int empty_store(void **state)
{
	(void)state;
	for (size_t i = 0; i < store.count; i++)
		close(store.entries[i].fd);
	store.count = 0;
	return 0;
}

static void sets_come_back_in_their_order(void **state)
{
	int fds[5], out[FD_MESSAGE_MAX];
	const char *name;

	(void)state;
	open_some(fds, 5);
	assert_int_equal(fdstore_put(&store, "a", fds, 2), 0);
	assert_int_equal(fdstore_put(&store, "b", fds + 2, 3), 0);
	assert_int_equal(fdstore_set(&store, 0, &name, out), 2);
	assert_string_equal(name, "a");
	assert_memory_equal(out, fds, 2 * sizeof(int));
	assert_int_equal(fdstore_set(&store, 2, &name, out), 3);
	assert_string_equal(name, "b");
	assert_memory_equal(out, fds + 2, 3 * sizeof(int));
	assert_int_equal(fdstore_set(&store, 5, &name, out), 0);
}

static void a_name_stored_again_replaces(void **state)
{
	int fds[4], out[FD_MESSAGE_MAX];
	const char *name;

	(void)state;
	open_some(fds, 4);
	assert_int_equal(fdstore_put(&store, "a", fds, 2), 0);
	assert_int_equal(fdstore_put(&store, "b", fds + 2, 1), 0);
	assert_int_equal(fdstore_put(&store, "a", fds + 3, 1), 0);
	assert_false(is_open(fds[0]));
	assert_false(is_open(fds[1]));
	assert_true(is_open(fds[2]));
	assert_int_equal(store.count, 2);
	assert_int_equal(fdstore_set(&store, 1, &name, out), 1);
	assert_string_equal(name, "a");
	assert_int_equal(out[0], fds[3]);
}

static void dropping_closes_only_that_name(void **state)
{
	int fds[3];

	(void)state;
	open_some(fds, 3);
	assert_int_equal(fdstore_put(&store, "a", fds, 1), 0);
	assert_int_equal(fdstore_put(&store, "b", fds + 1, 1), 0);
	assert_int_equal(fdstore_put(&store, "c", fds + 2, 1), 0);
	fdstore_drop(&store, "b");
	fdstore_drop(&store, "nobody");
	assert_true(is_open(fds[0]));
	assert_false(is_open(fds[1]));
	assert_true(is_open(fds[2]));
	assert_int_equal(fdstore_put(&store, "c", NULL, 0), 0);
	assert_false(is_open(fds[2]));
	assert_int_equal(store.count, 1);
}

static void what_does_not_fit_is_closed_and_the_old_stays(void **state)
{
	int fds[FD_MESSAGE_MAX];
	char name[SUPERVISION_NAME_SIZE];
	size_t kept = 0;

	(void)state;
	for (int i = 0; kept + FD_MESSAGE_MAX <= FDSTORE_MAX; i++, kept += FD_MESSAGE_MAX) {
		open_some(fds, FD_MESSAGE_MAX);
		snprintf(name, sizeof(name), "set %d", i);
		assert_int_equal(fdstore_put(&store, name, fds, FD_MESSAGE_MAX), 0);
	}
	open_some(fds, FD_MESSAGE_MAX);
	assert_int_equal(fdstore_put(&store, "more", fds, FD_MESSAGE_MAX), -ENOSPC);
	assert_false(is_open(fds[0]));
	assert_false(is_open(fds[FD_MESSAGE_MAX - 1]));
	assert_int_equal(store.count, kept);

	/* In the place of one that is there it fits. */
	open_some(fds, FD_MESSAGE_MAX);
	assert_int_equal(fdstore_put(&store, "set 0", fds, FD_MESSAGE_MAX), 0);
	assert_true(is_open(fds[0]));
	assert_int_equal(store.count, kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(sets_come_back_in_their_order, empty_store),
		cmocka_unit_test_teardown(a_name_stored_again_replaces, empty_store),
		cmocka_unit_test_teardown(dropping_closes_only_that_name, empty_store),
		cmocka_unit_test_teardown(what_does_not_fit_is_closed_and_the_old_stays, empty_store),
	};
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
	setrlimit(RLIMIT_NOFILE, &limit);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
