// uses: lib/arena.c
/* A request's memory: its bound, its alignment, and that a child doesn't have it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/arena.h"
#include "lib/poison.h"

static void allocations_are_zeroed_aligned_and_apart(void **state)
{
	struct arena arena;
	uint8_t *last = NULL;

	(void)state;
	arena_init(&arena, ARENA_FORK, 1 << 20);
	for (size_t size = 1; size < 300; size++) {
		uint8_t *memory = arena_alloc(&arena, size);

		assert_non_null(memory);
		assert_int_equal((uintptr_t)memory % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(memory[i], 0);
		memset(memory, 0xff, size);
		if (last)
			assert_int_equal(*last, 0xff);
#ifdef POISON_KEPT
		/* A write behind its end would be seen. */
		assert_true(__asan_address_is_poisoned(memory + size));
#endif
		last = memory + size - 1;
	}
	arena_free(&arena);
}

static void the_limit_holds(void **state)
{
	struct arena arena;
	size_t got = 0;

	(void)state;
	arena_init(&arena, ARENA_NO_FORK, 100000);
	while (arena_alloc(&arena, 1000))
		got += 1000;
	assert_in_range(got, 50000, 100000);
	assert_true(arena.exhausted);
	arena_free(&arena);
	arena_init(&arena, ARENA_NO_FORK, 100000);
	assert_null(arena_alloc(&arena, 100001));
	assert_null(arena_alloc(&arena, SIZE_MAX));
	assert_null(arena_alloc(&arena, SIZE_MAX - 8));
	assert_true(arena.exhausted);
	arena_free(&arena);
}

static void an_array_that_overflows_is_refused(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, ARENA_FORK, SIZE_MAX);
	assert_null(arena_array(&arena, SIZE_MAX / 2, 4));
	assert_non_null(arena_array(&arena, 3, 4));
	arena_free(&arena);
}

static void texts_are_copied(void **state)
{
	struct arena arena;
	char text[] = "text";
	char *copy;

	(void)state;
	arena_init(&arena, ARENA_FORK, 1 << 20);
	copy = arena_strdup(&arena, text);
	text[0] = 'n';
	assert_string_equal(copy, "text");
	assert_null(arena_strdup(&arena, NULL));
	assert_string_equal(arena_printf(&arena, "%s-%d", "a", 5), "a-5");
	arena_free(&arena);
}

/* Whether a child of ours can read the memory: the exit status of one that asks the kernel for its pages. */
static bool child_has(void *memory)
{
	uintptr_t page = (uintptr_t)memory & ~(uintptr_t)4095;
	unsigned char there;
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(mincore((void *)page, 1, &there) == 0 ? 1 : 0);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status) == 1;
}

static void a_child_only_has_what_it_may(void **state)
{
	struct arena plan, request;

	(void)state;
	arena_init(&plan, ARENA_FORK, 1 << 20);
	arena_init(&request, ARENA_NO_FORK, 1 << 20);
	assert_true(child_has(arena_alloc(&plan, 10)));
	assert_false(child_has(arena_alloc(&request, 10)));
	assert_false(child_has(arena_alloc(&request, 300000)));
	arena_free(&plan);
	arena_free(&request);
}

/* A small request's memory may be the last one's: nothing of that is in it, and no child has it. */
static void nothing_is_left_of_the_last_request(void **state)
{
	uint8_t *memory = NULL;

	(void)state;
	for (int round = 0; round < 3; round++) {
		struct arena arena;

		arena_init(&arena, ARENA_NO_FORK, 1 << 20);
		memory = arena_alloc(&arena, 3000);
		assert_non_null(memory);
		for (size_t i = 0; i < 3000; i++)
			assert_int_equal(memory[i], 0);
		assert_false(child_has(memory));
		memset(memory, 0xff, 3000);
		arena_free(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allocations_are_zeroed_aligned_and_apart),
		cmocka_unit_test(the_limit_holds),
		cmocka_unit_test(an_array_that_overflows_is_refused),
		cmocka_unit_test(texts_are_copied),
		cmocka_unit_test(a_child_only_has_what_it_may),
		cmocka_unit_test(nothing_is_left_of_the_last_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
