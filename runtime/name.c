/* The rule for names, and two lists of words. */
#include "runtime/name.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "lib/cleanup.h"
#include "lib/loop.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static const char *const adjectives[] = {
	"able", "amber", "bold", "brave", "bright", "brisk", "calm", "clear", "clever", "cool", "eager",
	"early", "fair", "fond", "gentle", "glad", "keen", "kind", "lively", "lucid", "merry", "mild",
	"neat", "noble", "plain", "proud", "quick", "quiet", "sharp", "steady", "swift", "warm",
};

static const char *const nouns[] = {
	"abalone", "auk", "badger", "beaver", "bison", "clam", "cockle", "conch", "crane", "curlew", "dunlin",
	"egret", "finch", "gannet", "heron", "ibis", "limpet", "lynx", "marten", "mussel", "nautilus", "osprey",
	"otter", "oyster", "pearl", "plover", "scallop", "seal", "stork", "tern", "whelk", "wren",
};

bool name_valid(const char *name)
{
	size_t length = strlen(name);

	return length >= 2 && length <= NAME_LONGEST && strspn(name, LETTERS DIGITS) > 0 &&
	       strspn(name, LETTERS DIGITS "_.-") == length;
}

void name_make(char name[NAME_LONGEST + 1])
{
	uint32_t random;

	/* It need not be secret, only unlikely to be taken. */
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
		random = (uint32_t)(loop_now() * 2654435761u);
	snprintf(name, NAME_LONGEST + 1, "%s-%s-%04x", adjectives[(random >> 16) % array_size(adjectives)],
		 nouns[(random >> 24) % array_size(nouns)], random & 0xffff);
}
