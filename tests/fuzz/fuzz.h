/* What the fuzz targets share. A target is tests/fuzz/NAME_fuzz.c with libFuzzer's LLVMFuzzerTestOneInput(), its seeds are in
 * tests/fuzz/corpus/NAME/, its words, where it has a text's grammar, in tests/fuzz/NAME.dict. It ends by abort() where a
 * promise of the code is broken, and must leave nothing behind: neither memory and descriptors nor anything on the machine,
 * which the filter of guard.c sees to.
 */
#ifndef NACRE_TESTS_FUZZ_H
#define NACRE_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/loop.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise that has to be kept, whatever the input is. */
#define promise(condition) ((condition) ? (void)0 : fuzz_broken(__FILE__, __LINE__, #condition))
_Noreturn void fuzz_broken(const char *file, int line, const char *condition);

/* The input, taken from its front; what isn't there any more is zeros. */
struct fuzz_input {
	const uint8_t *data;
	size_t size;
};

uint8_t fuzz_byte(struct fuzz_input *input);
uint16_t fuzz_u16(struct fuzz_input *input);
uint32_t fuzz_u32(struct fuzz_input *input);
uint64_t fuzz_u64(struct fuzz_input *input);

/* The next `size` bytes, or what is left of them: *size says how many. */
const uint8_t *fuzz_bytes(struct fuzz_input *input, size_t *size);

/* The next `size` bytes, or what is left, as a text that ends at the first zero; free() it. */
char *fuzz_text(struct fuzz_input *input, size_t size);

/* A file in memory with these bytes; close() it. Its path for those who open files is in `path`. */
#define FUZZ_PATH_SIZE 32
int fuzz_file(const void *data, size_t size, char path[FUZZ_PATH_SIZE]);

/* Lets a loop do what is ready now, and doesn't wait. */
void fuzz_step(struct loop *loop);

/* The elements of a list that has its links at their beginning. */
void fuzz_free_list(void *first);

/* How many descriptors this process has open, and the promise that it has as many again. */
unsigned fuzz_count_fds(void);
void fuzz_check_fds(unsigned before);

#endif
