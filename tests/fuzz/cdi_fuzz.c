/* Files of CDI: JSON, and the edits of a spec in it. */
#include <stdlib.h>
#include <string.h>

#include "agent/device/cdi_edits.h"
#include "agent/device/json.h"
#include "tests/fuzz/fuzz.h"

#define MEMORY (1u << 20)
#define DEPTH_MAX 32

/* The tree is whole, and not deeper than it may be. */
static void walk(const struct json *value, unsigned depth)
{
	promise(depth <= DEPTH_MAX);
	promise(value->kind != JSON_TEXT || value->text);
	for (const struct json *child = value->first; child; child = child->next) {
		promise(value->kind != JSON_OBJECT || child->name);
		walk(child, depth + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	char *text = fuzz_text(&input, size);
	Grpc__Spec spec = GRPC__SPEC__INIT;
	Grpc__Linux linux_part = GRPC__LINUX__INIT;
	Grpc__LinuxResources resources = GRPC__LINUX_RESOURCES__INIT;
	struct error error = {0};
	const struct json *json;
	struct arena arena;

	linux_part.resources = &resources;
	spec.linux = &linux_part;
	arena_init(&arena, 0, MEMORY);
	json = json_parse(text, &arena);
	if (json) {
		int status;

		walk(json, 1);
		status = cdi_edit(&spec, json_find(json, "containerEdits"), &arena, &error);
		promise(status == 0 || (status < 0 && error.number == -status && *error.text));
	}
	arena_free(&arena);
	free(text);
	return 0;
}
