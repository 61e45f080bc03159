/* Names to devices, and devices to changes of the spec. The files are made in the guest, by udev or a driver's tools, which may
 * be at it while a container is made: so they are read until every class is known. JSON alone. */
#include "agent/device/cdi.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/device/cdi_edits.h"
#include "agent/device/json.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/loop.h"
#include "lib/match.h"

#define ANNOTATION "cdi.k8s.io/"
#define VARIABLE "VISIBLE_CDI_DEVICES="
#define CONTAINER_TYPE "io.katacontainers.pkg.oci.container_type"
#define DEVICES_MAX 64
#define FILES_MAX 64
#define FILE_SIZE_MAX (1 << 20)
#define FILES_MEMORY (64u << 20)

struct name {
	const char *kind, *device; /* "vendor.com/gpu", "0" */
};

struct cdi {
	struct name names[DEVICES_MAX];
	size_t count;
	struct arena *arena;

	/* Of the last look. */
	struct arena files_arena;
	const struct json *files[FILES_MAX];
	size_t file_count;
	const char *broken;		 /* a file that isn't JSON; NULL */
	const struct json *edits[FILES_MAX + DEVICES_MAX];
	size_t edit_count;
};

/* Names -------------------------------------------------------------------------------------------------------- */

static bool is_sandbox(const Grpc__Spec *spec)
{
	for (size_t i = 0; i < spec->n_annotations; i++)
		if (strcmp(spec->annotations[i]->key, CONTAINER_TYPE) == 0)
			return strcmp(spec->annotations[i]->value, "pod_sandbox") == 0;
	return false;
}

/* The next text that names devices, or NULL; *index counts them. */
static const char *next_list(const Grpc__Spec *spec, bool visible, size_t *index)
{
	size_t variables = visible && spec->process ? spec->process->n_env : 0;

	for (; *index < spec->n_annotations; ++*index)
		if (strncmp(spec->annotations[*index]->key, ANNOTATION, strlen(ANNOTATION)) == 0)
			return spec->annotations[(*index)++]->value;
	for (; *index - spec->n_annotations < variables; ++*index)
		if (strncmp(spec->process->env[*index - spec->n_annotations], VARIABLE, strlen(VARIABLE)) == 0)
			return spec->process->env[(*index)++ - spec->n_annotations] + strlen(VARIABLE);
	return NULL;
}

bool cdi_wanted(const Grpc__Spec *spec, bool visible)
{
	size_t index = 0;

	return next_list(spec, visible, &index) && !is_sandbox(spec);
}

static int add_name(struct cdi *cdi, const char *kind, const char *device, struct error *error)
{
	for (size_t i = 0; i < cdi->count; i++)
		if (strcmp(cdi->names[i].kind, kind) == 0 && strcmp(cdi->names[i].device, device) == 0)
			return 0;
	if (cdi->count == DEVICES_MAX)
		return error_set(error, EINVAL, "more than %d CDI devices", DEVICES_MAX);
	cdi->names[cdi->count++] = (struct name){kind, device};
	return 0;
}

/* "KIND=A,KIND=B" of an annotation, and "KIND=A,B:KIND=C" of the variable, in which "none" and "void" are nobody. */
static int add_list(struct cdi *cdi, const char *list, struct error *error)
{
	char *text = arena_strdup(cdi->arena, list), *state, *word;
	const char *kind = NULL;
	int status = 0;

	if (!text)
		return error_errno(error, ENOMEM, "CDI devices");
	for (word = strtok_r(text, ",: ", &state); word && status == 0; word = strtok_r(NULL, ",: ", &state)) {
		char *equals = strchr(word, '=');

		if (equals) {
			*equals = '\0';
			kind = word;
			word = equals + 1;
		} else if (!kind && (strcmp(word, "none") == 0 || strcmp(word, "void") == 0)) {
			continue;
		}
		if (!kind || !strchr(kind, '/') || !*word)
			return error_set(error, EINVAL, "'%.80s' names no CDI device (VENDOR/CLASS=NAME)", list);
		status = add_name(cdi, kind, word, error);
	}
	return status;
}

/* Files -------------------------------------------------------------------------------------------------------- */

static const struct json *read_file(const char *path, struct arena *arena)
{
	cleanup_close int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat status;
	char *text;

	if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size > FILE_SIZE_MAX)
		return NULL;
	/* It may have programs run with the agent's rights. */
	if (status.st_uid != 0 || (status.st_mode & (S_IWGRP | S_IWOTH)))
		return NULL;
	text = arena_alloc(arena, (size_t)status.st_size + 1);
	if (!text || fd_read_all(fd, text, (size_t)status.st_size) < 0)
		return NULL;
	return json_parse(text, arena);
}

static int add_file(const char *path, void *data)
{
	struct cdi *cdi = data;
	const struct json *file = read_file(path, &cdi->files_arena);

	if (file)
		cdi->files[cdi->file_count++] = file;
	else if (!cdi->broken)
		cdi->broken = arena_strdup(&cdi->files_arena, path);
	return cdi->file_count == FILES_MAX;
}

static void read_files(struct cdi *cdi, const char *directory)
{
	char pattern[PATH_MAX];

	snprintf(pattern, sizeof(pattern), "%s/*.json", directory);
	match_each(pattern, add_file, cdi);
}

/* The device of that name in a file's list; NULL where it has none. */
static const struct json *find_device(const struct json *file, const char *name)
{
	const struct json *devices = json_find(file, "devices");
	const struct json *device = devices && devices->kind == JSON_LIST ? devices->first : NULL;
	const char *text;

	for (; device; device = device->next) {
		text = json_text(device, "name");
		if (text && strcmp(text, name) == 0)
			return device;
	}
	return NULL;
}

static void add_edits(struct cdi *cdi, const struct json *of)
{
	const struct json *edits = json_find(of, "containerEdits");

	for (size_t i = 0; i < cdi->edit_count; i++)
		if (cdi->edits[i] == edits)
			return;
	if (edits)
		cdi->edits[cdi->edit_count++] = edits;
}

/* A device's own edits come with those that its file has for all. -EAGAIN where no file has the class yet. */
static int resolve_name(struct cdi *cdi, const struct name *name, struct error *error)
{
	bool known = false;

	for (size_t i = 0; i < cdi->file_count; i++) {
		const char *kind = json_text(cdi->files[i], "kind");
		const struct json *device;

		if (!kind || strcmp(kind, name->kind) != 0)
			continue;
		known = true;
		device = find_device(cdi->files[i], name->device);
		if (!device)
			continue;
		add_edits(cdi, cdi->files[i]);
		add_edits(cdi, device);
		return 0;
	}
	if (known)
		return error_set(error, EINVAL, "there is no CDI device %.80s=%.80s in this guest", name->kind, name->device);
	return error_set(error, EAGAIN, "no file has the CDI device %.80s=%.80s%s%.128s%s", name->kind, name->device,
			 cdi->broken ? " (" : "", cdi->broken ? cdi->broken : "", cdi->broken ? " isn't JSON of root's)" : "");
}

static int resolve_all(struct cdi *cdi, const char *directory, struct error *error)
{
	int status = 0;

	cdi->file_count = cdi->edit_count = 0;
	cdi->broken = NULL;
	arena_init(&cdi->files_arena, ARENA_FORK, FILES_MEMORY);
	read_files(cdi, directory);
	for (size_t i = 0; i < cdi->count && status == 0; i++)
		status = resolve_name(cdi, &cdi->names[i], error);
	return status;
}

static int resolve_in_time(struct cdi *cdi, const char *directory, uint64_t timeout, struct error *error)
{
	uint64_t deadline = loop_now() + timeout;
	struct error last;
	int status;

	while ((status = resolve_all(cdi, directory, &last)) == -EAGAIN && loop_now() < deadline) {
		arena_free(&cdi->files_arena);
		sleep(1);
	}
	if (status == -EAGAIN)
		return error_set(error, ETIMEDOUT, "failed to inject devices after CDI timeout of %llu seconds: %s",
				 (unsigned long long)(timeout / LOOP_SECOND), last.text);
	if (status < 0)
		*error = last;
	return status;
}

int cdi_inject(Grpc__Spec *spec, bool visible, const char *directory, uint64_t timeout, struct arena *arena,
	       struct error *error)
{
	struct cdi *cdi = arena_alloc(arena, sizeof(*cdi));
	const char *list;
	size_t index = 0;
	int status = 0;

	if (!cdi)
		return error_errno(error, ENOMEM, "CDI devices");
	cdi->arena = arena;
	while (status == 0 && (list = next_list(spec, visible, &index)))
		status = add_list(cdi, list, error);
	if (status == 0)
		status = resolve_in_time(cdi, directory, timeout, error);
	for (size_t i = 0; i < cdi->edit_count && status == 0; i++)
		status = cdi_edit(spec, cdi->edits[i], arena, error);
	/* The spec has texts of the files, so their memory goes with the process. */
	return status;
}
