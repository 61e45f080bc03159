/* OCI image layouts (image-spec, image-layout.md): index.json leads to a manifest, and that to layers and configuration.
 * The same in a directory and in an archive.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "lib/cleanup.h"
#include "runtime/source.h"
#include "runtime/source_merge.h"

#define INDEX_DEPTH_MOST 4 /* indexes that lead to indexes */
#define NAMES_SIZE 200
#define REFERENCE_NAME "org.opencontainers.image.ref.name"

static const struct {
	const char *machine, *architecture; /* uname's, and Go's */
} architectures[] = {
	{"x86_64", "amd64"}, {"aarch64", "arm64"}, {"riscv64", "riscv64"}, {"ppc64le", "ppc64le"}, {"s390x", "s390x"},
};

static const char *own_architecture(void)
{
	static struct utsname names;

	uname(&names);
	for (size_t i = 0; i < array_size(architectures); i++)
		if (strcmp(architectures[i].machine, names.machine) == 0)
			return architectures[i].architecture;
	return names.machine;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static const char *reference_of(const json_t *descriptor)
{
	return text_of(json_object_get(descriptor, "annotations"), REFERENCE_NAME);
}

static bool for_this_platform(const json_t *descriptor)
{
	const json_t *platform = json_object_get(descriptor, "platform");

	return !platform || (strcmp(text_of(platform, "os"), "linux") == 0 &&
			     strcmp(text_of(platform, "architecture"), own_architecture()) == 0);
}

static bool is_index(const json_t *descriptor)
{
	const char *type = text_of(descriptor, "mediaType");

	return strcmp(type, "application/vnd.oci.image.index.v1+json") == 0 ||
	       strcmp(type, "application/vnd.docker.distribution.manifest.list.v2+json") == 0;
}

/* The blob that a descriptor speaks of; the path is in the arena. */
static int take_descriptor(struct source *source, const json_t *descriptor, struct blob *blob, struct error *error)
{
	const json_t *size = json_object_get(descriptor, "size");
	int status = digest_parse(&blob->digest, text_of(descriptor, "digest"), error);

	if (status < 0)
		return status;
	if (!json_is_integer(size) || json_integer_value(size) < 0)
		return error_set(error, EINVAL, "the descriptor of %s has no size", blob->digest.hex);
	blob->size = (uint64_t)json_integer_value(size);
	blob->path = arena_printf(&source->arena, "blobs/%s/%s", blob->digest.algorithm, blob->digest.hex);
	return blob->path ? 0 : error_errno(error, ENOMEM, "the image");
}

static int load_json(struct source *source, const struct blob *blob, json_t **document, struct error *error)
{
	cleanup_free char *text = NULL;
	json_error_t fault;
	int status;

	if (blob->size != BLOB_SIZE_UNKNOWN && blob->size > BLOB_JSON_MOST)
		return error_set(error, EFBIG, "%s is larger than %u MiB", blob->path, BLOB_JSON_MOST >> 20);
	status = blob_load(&source->store, blob, &text, NULL, error);
	if (status < 0)
		return status;
	*document = json_loads(text, 0, &fault);
	if (!json_is_object(*document)) {
		json_decref(*document);
		*document = NULL;
		return error_set(error, EINVAL, "%s is no JSON object: %s", blob->path, fault.text);
	}
	return 0;
}

/* Choosing ----------------------------------------------------------------------------------------------------- */

/* What there is to choose from: names in the outer index, platforms in all. */
static void list_choices(const json_t *manifests, bool names, char text[NAMES_SIZE])
{
	size_t used = 0;

	*text = '\0';
	for (size_t i = 0; i < json_array_size(manifests) && used < NAMES_SIZE; i++) {
		const json_t *descriptor = json_array_get(manifests, i), *platform = json_object_get(descriptor, "platform");

		if (names)
			used += (size_t)snprintf(text + used, NAMES_SIZE - used, "%s%.60s", i ? ", " : "",
						 *reference_of(descriptor) ? reference_of(descriptor) : "(without a name)");
		else
			used += (size_t)snprintf(text + used, NAMES_SIZE - used, "%s%.20s/%.20s", i ? ", " : "",
						 text_of(platform, "os"), text_of(platform, "architecture"));
	}
}

static bool is_candidate(const struct source *source, const json_t *descriptor, bool outer)
{
	if (outer && source->tag && strcmp(reference_of(descriptor), source->tag) != 0)
		return false;
	return for_this_platform(descriptor);
}

static int explain_none(const struct source *source, const json_t *manifests, bool outer, struct error *error)
{
	char choices[NAMES_SIZE];
	bool named = false;

	for (size_t i = 0; i < json_array_size(manifests) && source->tag; i++)
		named |= strcmp(reference_of(json_array_get(manifests, i)), source->tag) == 0;
	if (json_array_size(manifests) == 0)
		return error_set(error, ENOENT, "it has no image");
	list_choices(manifests, outer && source->tag && !named, choices);
	if (outer && source->tag && !named)
		return error_set(error, ENOENT, "it has no image with the tag '%s', but: %s", source->tag, choices);
	return error_set(error, ENOENT, "it has no image for linux/%s, but: %s", own_architecture(), choices);
}

/* The one descriptor in an index that is meant. In the outer index there may be several images, and then the tag says
 * which; in an inner one the first of several equally good is it, as everywhere. */
static int choose(const struct source *source, const json_t *manifests, bool outer, const json_t **chosen,
		  struct error *error)
{
	char choices[NAMES_SIZE];

	*chosen = NULL;
	for (size_t i = 0; i < json_array_size(manifests); i++) {
		const json_t *descriptor = json_array_get(manifests, i);

		if (!is_candidate(source, descriptor, outer))
			continue;
		if (!*chosen)
			*chosen = descriptor;
		else if (outer && strcmp(text_of(*chosen, "digest"), text_of(descriptor, "digest")) != 0) {
			list_choices(manifests, true, choices);
			return error_set(error, EINVAL, "it has several images, one must be chosen by %s:TAG: %s",
					 source->path, choices);
		}
	}
	return *chosen ? 0 : explain_none(source, manifests, outer, error);
}

/* From the index down to a manifest, in *manifest for the caller to release. */
static int find_manifest(struct source *source, json_t **manifest, struct error *error)
{
	struct blob blob = {.path = "index.json", .size = BLOB_SIZE_UNKNOWN};

	for (int depth = 0; depth < INDEX_DEPTH_MOST; depth++) {
		const json_t *descriptor;
		bool inner_index = false;
		json_t *index;
		int status = load_json(source, &blob, &index, error);

		if (status == 0) {
			status = choose(source, json_object_get(index, "manifests"), depth == 0, &descriptor, error);
			if (status == 0)
				status = take_descriptor(source, descriptor, &blob, error);
			inner_index = status == 0 && is_index(descriptor);
			json_decref(index);
		}
		if (status < 0)
			return status;
		if (!inner_index)
			return load_json(source, &blob, manifest, error);
	}
	return error_set(error, EINVAL, "its indexes are nested more than %d deep", INDEX_DEPTH_MOST);
}

/* Taking ------------------------------------------------------------------------------------------------------- */

static int take_layer(struct source *source, const json_t *descriptor, struct layer *layer, struct error *error)
{
	const char *type = text_of(descriptor, "mediaType");

	if (!strstr(type, "tar") || strstr(type, "encrypted"))
		return error_set(error, EINVAL, "a layer of the type '%.80s' can't be read", type);
	return take_descriptor(source, descriptor, &layer->blob, error);
}

static int take_manifest(struct source *source, const json_t *manifest, struct error *error)
{
	const json_t *layers = json_object_get(manifest, "layers");
	struct blob config = {0};
	int status = take_descriptor(source, json_object_get(manifest, "config"), &config, error);

	if (status < 0)
		return error_wrap(error, "the image's manifest, config");
	if (json_array_size(layers) < 1 || json_array_size(layers) > MERGE_LAYERS_MOST)
		return error_set(error, EINVAL, "the image has %zu layers; 1 to %d can be", json_array_size(layers),
				 MERGE_LAYERS_MOST);
	source->layer_count = (unsigned)json_array_size(layers);
	source->layers = arena_array(&source->arena, source->layer_count, sizeof(*source->layers));
	if (!source->layers)
		return error_errno(error, ENOMEM, "the image");
	for (unsigned i = 0; i < source->layer_count && status == 0; i++)
		status = take_layer(source, json_array_get(layers, i), &source->layers[i], error);
	return status < 0 ? status : source_take_config(source, &config, error);
}

int source_take_config(struct source *source, const struct blob *blob, struct error *error)
{
	cleanup_free char *text = NULL;
	int status = blob_load(&source->store, blob, &text, &source->identity, error);

	if (status == 0)
		status = image_config_parse(&source->config, text, error);
	if (status < 0)
		return status;
	if (source->config.layer_count != source->layer_count)
		return error_set(error, EINVAL, "the image has %u layers, and its configuration knows %zu",
				 source->layer_count, source->config.layer_count);
	for (unsigned i = 0; i < source->layer_count && status == 0; i++)
		status = digest_parse(&source->layers[i].content, source->config.layers[i], error);
	source->filesystem = "squashfs";
	source->packer = "sqfstar";
	return status;
}

int source_layout_take(struct source *source, struct error *error)
{
	json_t *manifest = NULL;
	int status = find_manifest(source, &manifest, error);

	if (status == 0)
		status = take_manifest(source, manifest, error);
	json_decref(manifest);
	return status;
}

static int layout_open(struct source *source, struct error *error)
{
	int status;

	source->store = (struct blob_store){.fd = source->fd};
	if (!blob_exists(&source->store, "oci-layout") || !blob_exists(&source->store, "index.json"))
		return 0;
	status = source_layout_take(source, error);
	return status < 0 ? status : 1;
}

const struct source_kind source_layout = {"OCI image layout", layout_open, source_build_start, source_build_finish};
