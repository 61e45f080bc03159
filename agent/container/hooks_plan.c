/* The spec's hooks, checked, and the state that they will be given. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/container/hooks.h"
#include "agent/container/plan_parts.h"
#include "lib/loop.h"

#define OCI_VERSION "1.2.0"
#define DEFAULT_TIMEOUT 10 /* seconds, where the spec is silent (as Kata has it) */
#define LONGEST_TIMEOUT 3600
#define HOOKS_MAX 256 /* of one kind */

static char **copy_texts(struct arena *arena, char *const *given, size_t count, struct error *error)
{
	char **texts = plan_array(arena, count + 1, sizeof(*texts), error);

	for (size_t i = 0; texts && i < count; i++) {
		texts[i] = plan_text(arena, given[i], error);
		if (!texts[i])
			return NULL;
	}
	return texts;
}

static int plan_hook(struct hook *hook, const Grpc__Hook *given, struct arena *arena, struct error *error)
{
	int64_t seconds = given->timeout == 0 ? DEFAULT_TIMEOUT : given->timeout;
	char *const *arguments = given->n_args > 0 ? given->args : &given->path;

	if (*given->path != '/')
		return error_set(error, EINVAL, "the path of hook \"%.128s\" isn't absolute", given->path);
	if (seconds < 0)
		return error_set(error, EINVAL, "hook %.128s: a timeout of %lld s", given->path, (long long)seconds);
	hook->timeout = (uint64_t)(seconds < LONGEST_TIMEOUT ? seconds : LONGEST_TIMEOUT) * LOOP_SECOND;
	hook->path = plan_text(arena, given->path, error);
	hook->arguments = copy_texts(arena, arguments, given->n_args > 0 ? given->n_args : 1, error);
	hook->environment = copy_texts(arena, given->env, given->n_env, error);
	return hook->path && hook->arguments && hook->environment ? 0 : -ENOMEM;
}

static int plan_list(struct hooks *hooks, enum hook_kind kind, Grpc__Hook *const *given, size_t count,
		     struct arena *arena, struct error *error)
{
	struct hook *list;

	if (count > HOOKS_MAX)
		return error_set(error, EINVAL, "%zu hooks are too many", count);
	list = plan_array(arena, count, sizeof(*list), error);
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		int status = plan_hook(&list[i], given[i], arena, error);

		if (status < 0)
			return status;
	}
	hooks->lists[kind] = list;
	hooks->counts[kind] = count;
	return 0;
}

/* Writes `text` as JSON's, with its quotes, and returns the length; with NULL only that. */
static size_t quote(char *to, const char *text)
{
	size_t length = 0;
	char escaped[8];

	for (const char *from = text; from == text || from[-1]; from++) {
		unsigned char byte = (unsigned char)*from;
		int count;

		if (byte == '\0')
			count = 0;
		else if (byte < ' ' || byte == '"' || byte == '\\')
			count = snprintf(escaped, sizeof(escaped), "\\u%04x", byte);
		else
			count = snprintf(escaped, sizeof(escaped), "%c", byte);
		if (to)
			memcpy(to + 1 + length, escaped, (size_t)count);
		length += (size_t)count;
	}
	if (to)
		to[0] = to[length + 1] = '"';
	return length + 2;
}

static const char *quoted(struct arena *arena, const char *text)
{
	char *result = arena_alloc(arena, quote(NULL, text) + 1);

	if (result)
		quote(result, text);
	return result ? result : "";
}

static const char *plan_annotations(struct arena *arena, const Grpc__Spec *spec)
{
	size_t size = 1, used = 0;
	char *text;

	for (size_t i = 0; i < spec->n_annotations; i++)
		size += quote(NULL, spec->annotations[i]->key) + quote(NULL, spec->annotations[i]->value) + 2;
	text = arena_alloc(arena, size);
	for (size_t i = 0; text && i < spec->n_annotations; i++) {
		if (i > 0)
			text[used++] = ',';
		used += quote(text + used, spec->annotations[i]->key);
		text[used++] = ':';
		used += quote(text + used, spec->annotations[i]->value);
	}
	return text ? text : "";
}

int hooks_plan(struct hooks *hooks, struct arena *arena, const Grpc__Spec *spec,
	       const struct hooks_parameters *parameters, struct error *error)
{
	static const Grpc__Hooks none = GRPC__HOOKS__INIT;
	const Grpc__Hooks *given = spec->hooks ? spec->hooks : &none;
	const struct {
		Grpc__Hook *const *list;
		size_t count;
	} lists[HOOK_KINDS] = {
		[HOOK_PRESTART] = {given->prestart, given->n_prestart},
		[HOOK_CREATE_RUNTIME] = {given->createruntime, given->n_createruntime},
		[HOOK_CREATE_CONTAINER] = {given->createcontainer, given->n_createcontainer},
		[HOOK_START_CONTAINER] = {given->startcontainer, given->n_startcontainer},
		[HOOK_POSTSTART] = {given->poststart, given->n_poststart},
		[HOOK_POSTSTOP] = {given->poststop, given->n_poststop},
	};

	*hooks = (struct hooks){0};
	if (!spec->hooks && !parameters->folder)
		return 0;
	for (int kind = 0; kind < HOOK_KINDS; kind++) {
		int status = plan_list(hooks, (enum hook_kind)kind, lists[kind].list, lists[kind].count, arena, error);

		if (status < 0)
			return status;
	}
	hooks->id = arena_strdup(arena, parameters->id);
	hooks->folder = arena_strdup(arena, parameters->folder);
	hooks->barred = arena_strdup(arena, parameters->barred);
	hooks->state = arena_printf(arena, "{\"ociVersion\":\"" OCI_VERSION "\",\"id\":%s,\"bundle\":%s,\"annotations\":{%s}",
				    quoted(arena, parameters->id), quoted(arena, parameters->bundle),
				    plan_annotations(arena, spec));
	return arena->exhausted ? error_errno(error, ENOMEM, "plan the hooks") : 0;
}

bool hooks_at_creation(const struct hooks *hooks)
{
	return hooks->folder || hooks->counts[HOOK_PRESTART] > 0 || hooks->counts[HOOK_CREATE_RUNTIME] > 0 ||
	       hooks->counts[HOOK_CREATE_CONTAINER] > 0;
}
