// uses: lib/buffer.c
/* The bounded queue of bytes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/buffer.h"

static void bytes_come_out_in_their_order(void **state)
{
	struct buffer buffer;

	(void)state;
	buffer_init(&buffer, 100);
	assert_int_equal(buffer_append(&buffer, "hello ", 6), 0);
	assert_int_equal(buffer_append(&buffer, "world", 5), 0);
	buffer_consume(&buffer, 3);
	assert_int_equal(buffer_length(&buffer), 8);
	assert_memory_equal(buffer_bytes(&buffer), "lo world", 8);
	buffer_free(&buffer);
}

static void the_limit_counts_what_is_queued_not_what_has_passed(void **state)
{
	struct buffer buffer;

	(void)state;
	buffer_init(&buffer, 10);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(buffer_append(&buffer, "0123456789", 10), 0);
		assert_int_equal(buffer_append(&buffer, "x", 1), -ENOBUFS);
		buffer_consume(&buffer, 10);
		assert_int_equal(buffer_length(&buffer), 0);
	}
	assert_int_equal(buffer_append(&buffer, "01234567890", 11), -ENOBUFS);
	assert_int_equal(buffer_length(&buffer), 0);
	buffer_free(&buffer);
}

static void a_length_that_wraps_around_is_refused(void **state)
{
	struct buffer buffer;

	(void)state;
	buffer_init(&buffer, 100);
	assert_int_equal(buffer_append(&buffer, "abc", 3), 0);
	assert_null(buffer_reserve(&buffer, SIZE_MAX));
	assert_null(buffer_reserve(&buffer, SIZE_MAX - 2));
	assert_int_equal(buffer_length(&buffer), 3);
	buffer_free(&buffer);
}

static void only_what_was_committed_counts(void **state)
{
	struct buffer buffer;
	uint8_t *room;

	(void)state;
	buffer_init(&buffer, 1000);
	room = buffer_reserve(&buffer, 500);
	assert_non_null(room);
	memset(room, 'a', 500);
	buffer_commit(&buffer, 2);
	assert_int_equal(buffer_length(&buffer), 2);
	assert_memory_equal(buffer_bytes(&buffer), "aa", 2);
	buffer_free(&buffer);
}

/* Random appends and consumes, beside a plain array that does the same. */
static void it_does_what_an_array_does(void **state)
{
	static uint8_t model[4096], chunk[512];
	struct buffer buffer;
	size_t length = 0;
	uint8_t next = 0;

	(void)state;
	srandom(1);
	buffer_init(&buffer, sizeof(model));
	for (int i = 0; i < 20000; i++) {
		size_t count = (size_t)random() % sizeof(chunk);

		if (random() % 2) {
			bool fits = length + count <= sizeof(model);

			for (size_t j = 0; j < count; j++)
				chunk[j] = next++;
			assert_int_equal(buffer_append(&buffer, chunk, count), fits ? 0 : -ENOBUFS);
			if (fits) {
				memcpy(model + length, chunk, count);
				length += count;
			}
		} else {
			count = count > length ? length : count;
			buffer_consume(&buffer, count);
			memmove(model, model + count, length - count);
			length -= count;
		}
		assert_int_equal(buffer_length(&buffer), length);
		if (length)
			assert_memory_equal(buffer_bytes(&buffer), model, length);
	}
	buffer_free(&buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_come_out_in_their_order),
		cmocka_unit_test(the_limit_counts_what_is_queued_not_what_has_passed),
		cmocka_unit_test(a_length_that_wraps_around_is_refused),
		cmocka_unit_test(only_what_was_committed_counts),
		cmocka_unit_test(it_does_what_an_array_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
