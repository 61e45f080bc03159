// uses: lib/message_text.c lib/utf8.c
/* Strings that aren't UTF-8, wherever in a message they are. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "agent.pb-c.h"
#include "lib/message_text.h"
#include "lib/utf8.h"

#define BAD "\xe4"

static void utf8_is_told_from_other_bytes(void **state)
{
	static const char *const good[] = {"", "text", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x90\x9a"};
	static const char *const bad[] = {BAD, "a\xc3", "\xc3(", "\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_true(utf8_valid(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(utf8_valid(bad[i]));
}

static void every_string_of_a_request_counts(void **state)
{
	Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
	Grpc__Spec spec = GRPC__SPEC__INIT;
	Grpc__Process process = GRPC__PROCESS__INIT;
	Grpc__Spec__AnnotationsEntry annotation = GRPC__SPEC__ANNOTATIONS_ENTRY__INIT, *annotations[] = {&annotation};
	char *arguments[] = {(char *)"sh", (char *)"-c"};

	(void)state;
	assert_true(message_text_valid(&request.base));
	request.container_id = (char *)BAD;
	assert_false(message_text_valid(&request.base));
	request.container_id = (char *)"id";
	request.oci = &spec;
	spec.process = &process;
	process.args = arguments;
	process.n_args = 2;
	spec.annotations = annotations;
	spec.n_annotations = 1;
	annotation.key = annotation.value = (char *)"text";
	assert_true(message_text_valid(&request.base));
	arguments[1] = (char *)BAD;
	assert_false(message_text_valid(&request.base));
	arguments[1] = (char *)"-c";
	annotation.value = (char *)BAD;
	assert_false(message_text_valid(&request.base));
}

static void bytes_may_be_anything(void **state)
{
	Grpc__CopyFileRequest request = GRPC__COPY_FILE_REQUEST__INIT;

	(void)state;
	request.data.data = (uint8_t *)BAD;
	request.data.len = 1;
	assert_true(message_text_valid(&request.base));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_is_told_from_other_bytes),
		cmocka_unit_test(every_string_of_a_request_counts),
		cmocka_unit_test(bytes_may_be_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
