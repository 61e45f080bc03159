/* Mutation of protobuf messages by what their descriptors say, so that the result can always be decoded: bytes alone would seldom
 * get past the lengths of nested messages.
 */
#ifndef NACRE_TESTS_FUZZ_MUTATE_H
#define NACRE_TESTS_FUZZ_MUTATE_H

#include <protobuf-c/protobuf-c.h>

#include "lib/arena.h"

/* libFuzzer's own, for bytes. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

/* A number below `most`, from the mutation's own seed. */
unsigned mutate_random(unsigned most);
void mutate_seed(unsigned seed);

/* Changes one thing somewhere in the message; what it makes is in the arena. */
void mutate_message(ProtobufCMessage *message, struct arena *arena);

#endif
