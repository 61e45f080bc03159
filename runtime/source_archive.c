/* Tar files: what `docker save` writes (manifest.json), an OCI layout in a tar, or a root file system as it is. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"
#include "runtime/source.h"
#include "runtime/source_merge.h"
#include "runtime/source_path.h"

#define MANIFEST "manifest.json"
#define NAMES_SIZE 200

enum member { MEMBER_DOCKER = 1, MEMBER_LAYOUT = 2, MEMBER_INDEX = 4 };

static const struct {
	const char *name;
	enum member member;
} members[] = {{MANIFEST, MEMBER_DOCKER}, {"oci-layout", MEMBER_LAYOUT}, {"index.json", MEMBER_INDEX}};

/* Which of the members above it has. What is wrong further inside is found when it is read. */
static int scan(struct source *source, unsigned *found, struct error *error)
{
	struct archive *archive = blob_archive_open(source->fd, error);
	struct archive_entry *entry;
	char name[PATH_MAX];
	int code = ARCHIVE_OK;
	bool any = false;

	if (!archive)
		return 0;
	*found = 0;
	while (!(*found & MEMBER_DOCKER) && (code = archive_read_next_header(archive, &entry)) >= ARCHIVE_WARN &&
	       code != ARCHIVE_EOF) {
		const char *text = archive_entry_pathname(entry);

		any = true;
		for (size_t i = 0; text && i < array_size(members); i++)
			if (source_path_clean(text, name, NULL) == 0 && strcmp(name, members[i].name) == 0)
				*found |= members[i].member;
	}
	if (code < ARCHIVE_WARN && any)
		code = error_set(error, EBADMSG, "read the archive: %s", archive_error_string(archive));
	else
		code = any;
	archive_read_free(archive);
	return code;
}

static const char *path_of(struct source *source, const json_t *value)
{
	const char *text = json_string_value(value);

	return text ? arena_strdup(&source->arena, text) : NULL;
}

static bool has_tag(const json_t *image, const char *tag)
{
	const json_t *tags = json_object_get(image, "RepoTags");

	for (size_t i = 0; i < json_array_size(tags); i++)
		if (json_is_string(json_array_get(tags, i)) &&
		    strcmp(json_string_value(json_array_get(tags, i)), tag) == 0)
			return true;
	return false;
}

static const json_t *choose(const struct source *source, const json_t *images, struct error *error)
{
	char names[NAMES_SIZE] = "";
	size_t used = 0;

	if (!source->tag && json_array_size(images) == 1)
		return json_array_get(images, 0);
	for (size_t i = 0; i < json_array_size(images); i++) {
		const json_t *image = json_array_get(images, i), *tags = json_object_get(image, "RepoTags");
		const char *first = json_string_value(json_array_get(tags, 0));

		if (source->tag && has_tag(image, source->tag))
			return image;
		if (used < sizeof(names))
			used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%.60s", i ? ", " : "",
						 first ? first : "(without a name)");
	}
	if (source->tag)
		error_set(error, ENOENT, "it has no image with the tag '%s', but: %s", source->tag, names);
	else
		error_set(error, EINVAL, "it has several images, one must be chosen by %s:TAG: %s", source->path, names);
	return NULL;
}

static int take_image(struct source *source, const json_t *image, struct error *error)
{
	const json_t *layers = json_object_get(image, "Layers");
	struct blob config = {.path = path_of(source, json_object_get(image, "Config")), .size = BLOB_SIZE_UNKNOWN};

	if (json_array_size(layers) < 1 || json_array_size(layers) > MERGE_LAYERS_MOST || !config.path)
		return error_set(error, EINVAL, MANIFEST " has %zu layers; 1 to %d can be", json_array_size(layers),
				 MERGE_LAYERS_MOST);
	source->layer_count = (unsigned)json_array_size(layers);
	source->layers = arena_array(&source->arena, source->layer_count, sizeof(*source->layers));
	if (!source->layers)
		return error_errno(error, ENOMEM, "the image");
	for (unsigned i = 0; i < source->layer_count; i++) {
		/* No descriptors: the configuration says what is in them. */
		source->layers[i].blob.size = BLOB_SIZE_UNKNOWN;
		source->layers[i].blob.path = path_of(source, json_array_get(layers, i));
		if (!source->layers[i].blob.path)
			return error_set(error, EINVAL, MANIFEST ": a layer without a name");
	}
	return source_take_config(source, &config, error);
}

/* 0 where manifest.json is something else: a root file system may have a file of that name. */
static int take_docker(struct source *source, struct error *error)
{
	const struct blob blob = {.path = MANIFEST, .size = BLOB_SIZE_UNKNOWN};
	cleanup_free char *text = NULL;
	const json_t *image;
	json_t *images;
	int status = blob_load(&source->store, &blob, &text, NULL, error);

	if (status < 0)
		return status;
	images = json_loads(text, 0, NULL);
	if (json_object_get(json_array_get(images, 0), "Layers")) {
		image = choose(source, images, error);
		status = image ? take_image(source, image, error) : -error->number;
		if (status == 0)
			status = 1;
	}
	json_decref(images);
	return status;
}

static int take_plain(struct source *source, struct error *error)
{
	source->layers = arena_alloc(&source->arena, sizeof(*source->layers));
	if (!source->layers)
		return error_errno(error, ENOMEM, "the archive");
	source->layer_count = 1;
	source->store.kind = BLOB_FILE;
	source->layers[0].blob = (struct blob){.path = source->given, .size = BLOB_SIZE_UNKNOWN};
	source->plain = true;
	source->filesystem = "squashfs";
	source->packer = "sqfstar";
	return source->tag ? error_set(error, EINVAL, "a tar of a root file system has no tags") : 1;
}

static int archive_open(struct source *source, struct error *error)
{
	unsigned found = 0;
	int status = scan(source, &found, error);

	if (status <= 0)
		return status;
	source->store = (struct blob_store){.fd = source->fd, .kind = BLOB_ARCHIVE};
	if (found & MEMBER_DOCKER) {
		status = take_docker(source, error);
		if (status != 0)
			return status;
	}
	if ((found & MEMBER_LAYOUT) && (found & MEMBER_INDEX)) {
		status = source_layout_take(source, error);
		return status < 0 ? status : 1;
	}
	return take_plain(source, error);
}

const struct source_kind source_archive = {"archive", archive_open, source_build_start, source_build_finish};
