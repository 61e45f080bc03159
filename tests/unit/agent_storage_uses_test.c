// uses: agent/storage_uses.c
/* Who mounts and who unmounts where several containers use a mount point. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>

#include <cmocka.h>

#include "agent/storage_uses.h"

static struct storage_uses uses;

static void the_first_one_mounts_and_the_last_one_unmounts(void **state)
{
	(void)state;
	assert_int_equal(storage_uses_add(&uses, "/a"), 1);
	assert_int_equal(storage_uses_add(&uses, "/b"), 1);
	assert_int_equal(storage_uses_add(&uses, "/a"), 0);
	assert_false(storage_uses_last(&uses, "/a", 1));
	assert_true(storage_uses_last(&uses, "/a", 2));
	storage_uses_drop(&uses, "/a");
	assert_true(storage_uses_last(&uses, "/a", 1));
	storage_uses_drop(&uses, "/a");
	storage_uses_drop(&uses, "/b");
	assert_null(uses.first);
	storage_uses_drop(&uses, "/a");
}

static void nobody_comes_to_use_what_is_being_unmounted(void **state)
{
	(void)state;
	assert_int_equal(storage_uses_add(&uses, "/a"), 1);
	storage_uses_go(&uses, "/a");
	assert_int_equal(storage_uses_add(&uses, "/a"), -EBUSY);
	storage_uses_drop(&uses, "/a");
	assert_int_equal(storage_uses_add(&uses, "/a"), 1);
	storage_uses_drop(&uses, "/a");
	assert_null(uses.first);
}

static void what_may_have_been_unmounted_is_mounted_again(void **state)
{
	(void)state;
	assert_int_equal(storage_uses_add(&uses, "/a"), 1);
	storage_uses_go(&uses, "/a");
	storage_uses_stay(&uses, "/a");
	assert_int_equal(storage_uses_add(&uses, "/a"), 1);
	assert_int_equal(storage_uses_add(&uses, "/a"), 1);
	assert_false(storage_uses_last(&uses, "/a", 1));
	assert_true(storage_uses_last(&uses, "/a", 3));
	for (int i = 0; i < 3; i++)
		storage_uses_drop(&uses, "/a");
	/* What nobody has tried to unmount is there. */
	assert_int_equal(storage_uses_add(&uses, "/a"), 1);
	storage_uses_stay(&uses, "/a");
	assert_int_equal(storage_uses_add(&uses, "/a"), 0);
	storage_uses_drop(&uses, "/a");
	storage_uses_drop(&uses, "/a");
	assert_null(uses.first);
}

static void what_is_kept_is_never_mounted_again(void **state)
{
	(void)state;
	assert_int_equal(storage_uses_add(&uses, "/a"), 1);
	storage_uses_keep(&uses, "/a");
	assert_false(storage_uses_last(&uses, "/a", 1));
	storage_uses_drop(&uses, "/a");
	storage_uses_drop(&uses, "/a");
	assert_int_equal(uses.first->count, 0);
	assert_int_equal(storage_uses_add(&uses, "/a"), 0);
	assert_int_equal(uses.first->count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_one_mounts_and_the_last_one_unmounts),
		cmocka_unit_test(nobody_comes_to_use_what_is_being_unmounted),
		cmocka_unit_test(what_may_have_been_unmounted_is_mounted_again),
		cmocka_unit_test(what_is_kept_is_never_mounted_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
