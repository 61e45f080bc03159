/* The options of a storage: flags and data, numbers, values of keys. The input is its words, one a line. */
#include <stdlib.h>
#include <string.h>

#include "agent/storage/options.h"
#include "agent/storage/storage.h"
#include "tests/fuzz/fuzz.h"

#define WORDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	char *text = fuzz_text(&input, size), *rest = text, *word;
	static const char *const keys[] = {"fsgid", "mode", "size", "X-kata.partition-number"};
	const char *words[WORDS_MAX];
	struct mount_options options;
	struct error error = {0};
	size_t count = 0;
	int status;

	while (count < WORDS_MAX && (word = strsep(&rest, "\n")))
		words[count++] = word;
	status = options_parse(&options, words, count, &error);
	promise(status == 0 || (status < 0 && error.number == -status && *error.text));
	promise(status < 0 || memchr(options.data, '\0', sizeof(options.data)));
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *value = options_find(words, count, keys[i]);
		long number = -2;

		status = options_number(words, count, keys[i], 10, &number, &error);
		promise(status < 0 || (number >= -1 && number <= (long)UINT32_MAX));
		promise(status < 0 || (number == -1) == !value);
		options_number(words, count, keys[i], 8, &number, NULL);
		status = options_parse_without(&options, words, count, keys[i], &error);
		promise(status < 0 || memchr(options.data, '\0', sizeof(options.data)));
	}
	multi_layer_is_member("blk", words, count);
	multi_layer_is_upper("ext4", words, count);
	free(text);
	return 0;
}
