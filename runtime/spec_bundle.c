/* What of a bundle's config.json is done in another way where the container is in a VM. */
#include "runtime/spec_bundle.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static bool is_bind(const char *type, char *const *options, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(options[i], "bind") == 0 || strcmp(options[i], "rbind") == 0)
			return true;
	return strcmp(type, "bind") == 0;
}

/* Takes out what is done in another way. */
static void leave_out(Grpc__Spec *spec)
{
	size_t count = 0;

	for (size_t i = 0; i < spec->n_mounts; i++)
		if (!is_bind(spec->mounts[i]->type, spec->mounts[i]->options, spec->mounts[i]->n_options))
			spec->mounts[count++] = spec->mounts[i];
	spec->n_mounts = count;
	count = 0;
	for (size_t i = 0; i < spec->linux->n_namespaces; i++)
		if (strcmp(spec->linux->namespaces[i]->type, "network") != 0)
			spec->linux->namespaces[count++] = spec->linux->namespaces[i];
	spec->linux->n_namespaces = count;
}

int spec_bundle_read(const char *text, struct arena *arena, Grpc__Spec **spec, struct config_notes *notes,
		     struct error *error)
{
	json_t *document;
	int status = config_parse(text, &document, error);

	if (status < 0)
		return status;
	status = config_read(document, CONFIG_FOR_VM, arena, spec, notes, error);
	json_decref(document);
	if (status == 0)
		leave_out(*spec);
	return status;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* Which of a bind mount's options mean something here; the others are the usual ones of a bind mount, or a note. */
static bool has_option(const json_t *mount, const char *wanted)
{
	const json_t *options = json_object_get(mount, "options");

	for (size_t i = 0; i < json_array_size(options); i++)
		if (json_is_string(json_array_get(options, i)) &&
		    strcmp(json_string_value(json_array_get(options, i)), wanted) == 0)
			return true;
	return false;
}

static int add_volume(const json_t *mount, const char *directory, struct volumes *volumes, struct error *error)
{
	const char *source = text_of(mount, "source");
	char path[PATH_MAX];

	if (strcmp(text_of(mount, "type"), "bind") != 0 && !has_option(mount, "bind") && !has_option(mount, "rbind"))
		return 0;
	if (snprintf(path, sizeof(path), "%s%s%s", *source == '/' ? "" : directory, *source == '/' ? "" : "/", source) >=
	    PATH_MAX)
		return error_set(error, ENAMETOOLONG, "config.json: a mount's source is too long");
	if (volumes_add_parts(volumes, path, text_of(mount, "destination"), has_option(mount, "ro"), error) < 0)
		return error_wrap(error, "config.json, mounts");
	return 0;
}

int spec_bundle_volumes(const char *text, const char *directory, struct volumes *volumes, struct error *error)
{
	json_t *document;
	const json_t *mounts;
	int status = config_parse(text, &document, error);

	if (status < 0)
		return status;
	mounts = json_object_get(document, "mounts");
	for (size_t i = 0; i < json_array_size(mounts) && status == 0; i++)
		status = add_volume(json_array_get(mounts, i), directory, volumes, error);
	json_decref(document);
	return status;
}
