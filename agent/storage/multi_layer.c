/* erofs.multi-layer: a root made of EROFS layers, each a disk or a partition, with dm-verity under it or without, and of a
 * writable layer on top: a disk with ext4, or memory. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/storage/block.h"
#include "agent/storage/drivers.h"
#include "agent/storage/made.h"
#include "agent/storage/mount.h"
#include "agent/storage/verity.h"
#include "lib/cleanup.h"
#include "lib/path.h"

#define MKDIR "X-kata.mkdir.path"
#define MOUNT_0 "{{ mount 0 }}"
#define MOUNT_1 "{{ mount 1 }}"
#define NAME_SIZE 120 /* of a mapped device: DM_NAME_LEN has room for it */

/* Where it is put together. */
struct stack {
	char base[PATH_MAX / 4]; /* "/run/kata-containers/CID/multi-layer", with lower-N and upper */
	const struct storage_request *upper; /* NULL: memory */
	const struct storage_request **lowers; /* the first one is the topmost */
	size_t lower_count;
};

static bool has_word(const struct storage_request *layer, const char *word)
{
	return options_have(layer->options, layer->option_count, word);
}

bool multi_layer_is_member(const char *driver, const char *const *options, size_t count)
{
	return strcmp(driver, MULTI_LAYER_DRIVER) == 0 || options_have(options, count, MULTI_LAYER_MEMBER);
}

bool multi_layer_is_upper(const char *fstype, const char *const *options, size_t count)
{
	return strcmp(fstype, "ext4") == 0 &&
	       (options_have(options, count, MULTI_LAYER_UPPER) || options_have(options, count, MULTI_LAYER_MEMBER));
}

static int path_of(const struct storage_request *request, char *path, size_t size, const char *name)
{
	const char *id = *request->container_id ? request->container_id : "sandbox";

	return snprintf(path, size, "/run/kata-containers/%s/multi-layer%s", id, name) < (int)size ? 0 : -ENAMETOOLONG;
}

/* Planning ----------------------------------------------------------------------------------------------------- */

static long partition_of(const struct storage_request *layer)
{
	long number;

	if (!has_word(layer, MULTI_LAYER_PARTITIONED) ||
	    options_number(layer->options, layer->option_count, MULTI_LAYER_PARTITION, 10, &number, NULL) < 0)
		return -1;
	return number;
}

/* By partition where there are any, otherwise as they came: an insertion keeps the order of equals. */
static void insert_lower(struct stack *stack, const struct storage_request *layer)
{
	size_t at = stack->lower_count++;

	while (at > 0 && partition_of(stack->lowers[at - 1]) > partition_of(layer)) {
		stack->lowers[at] = stack->lowers[at - 1];
		at--;
	}
	stack->lowers[at] = layer;
}

static int add_layer(struct stack *stack, const struct storage_request *layer, struct error *error)
{
	bool upper = multi_layer_is_upper(layer->fstype, layer->options, layer->option_count);

	if (!upper && has_word(layer, MULTI_LAYER_UPPER))
		return error_set(error, EINVAL, "multi-layer: an upper layer must be ext4, not '%.40s'", layer->fstype);
	if (upper && stack->upper)
		return error_set(error, EINVAL, "multi-layer: there can only be one upper layer");
	if (upper)
		stack->upper = layer;
	else if (strcmp(layer->fstype, "erofs") == 0 || has_word(layer, MULTI_LAYER_LOWER))
		insert_lower(stack, layer);
	if (has_word(layer, MULTI_LAYER_PARTITIONED) && partition_of(layer) < 1)
		return error_set(error, EINVAL, "multi-layer: %.80s has no " MULTI_LAYER_PARTITION, layer->source);
	return 0;
}

static int plan(struct stack *stack, const struct storage_request *request, struct error *error)
{
	int status = path_of(request, stack->base, sizeof(stack->base), "");

	stack->lowers = calloc(request->layer_count + 1, sizeof(*stack->lowers));
	if (!stack->lowers)
		status = -ENOMEM;
	if (status < 0)
		return error_errno(error, -status, "multi-layer");
	for (size_t i = 0; i < request->layer_count && status == 0; i++)
		status = add_layer(stack, &request->layers[i], error);
	if (status == 0 && stack->lower_count == 0)
		return error_set(error, EINVAL, "multi-layer: there is no lower layer");
	return status;
}

/* Layers ------------------------------------------------------------------------------------------------------- */

static void verity_name(const struct storage_request *request, size_t index, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "nacre-%.96s-%zu", request->container_id, index);
}

static int find_device(const struct storage_request *request, const struct storage_request *layer, size_t index,
		       char path[DISK_PATH_SIZE], struct error *error)
{
	char device[DISK_PATH_SIZE], name[NAME_SIZE];
	int status = block_find(layer, path, error);

	if (status == 0 && has_word(layer, MULTI_LAYER_PARTITIONED))
		status = block_find_partition(path, (unsigned)partition_of(layer), layer->hotplug_timeout, error);
	if (status < 0 || !has_word(layer, "X-kata.dmverity-enabled=true"))
		return status;
	strcpy(device, path);
	verity_name(request, index, name);
	return verity_open(name, device, layer->options, layer->option_count, path, error);
}

/* At lower-N or upper. An erofs has no options but that it can't be written. */
static int mount_layer(const struct storage_request *request, const struct storage_request *layer, size_t index,
		       const char *target, struct error *error)
{
	struct mount_options options = {.flags = MS_RDONLY};
	struct storage_request found = *layer;
	char path[DISK_PATH_SIZE];
	int status = mount_make_directory(target, error);

	if (status == 0)
		status = find_device(request, layer, index, path, error);
	if (status == 0 && strcmp(layer->fstype, "erofs") != 0)
		status = options_parse(&options, layer->options, layer->option_count, error);
	found.mount_point = target;
	return status < 0 ? status : mount_source(&found, path, &options, error);
}

/* Folders ------------------------------------------------------------------------------------------------------ */

/* "{{ mount 0 }}/PATH:MODE...": below the upper layer, or below the first lower one; never beside it. */
static int make_folder(const struct stack *stack, const char *template, struct error *error)
{
	bool lower = strncmp(template, MOUNT_1, strlen(MOUNT_1)) == 0;
	bool named = lower || strncmp(template, MOUNT_0, strlen(MOUNT_0)) == 0;
	cleanup_close int layer = -1, made = -1;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", stack->base, lower ? "lower-0" : "upper");
	layer = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (layer < 0)
		return error_errno(error, errno, "open %s", path);
	template += named ? strlen(MOUNT_0) : 0;
	snprintf(path, sizeof(path), "%.*s", (int)strcspn(template, ":"), template);
	made = path_make_directories(layer, path, 0755, error);
	return made < 0 ? error_wrap(error, MKDIR "=%.80s", template) : 0;
}

static int make_folders(const struct stack *stack, const struct storage_request *request, struct error *error)
{
	static const char *const own[] = {"/upper", "/work"};
	int status = 0;

	for (size_t i = 0; i < request->layer_count; i++)
		for (size_t j = 0; j < request->layers[i].option_count && status == 0; j++) {
			const char *template = options_find(&request->layers[i].options[j], 1, MKDIR);

			if (template)
				status = make_folder(stack, template, error);
		}
	for (size_t i = 0; i < array_size(own) && status == 0; i++)
		status = make_folder(stack, own[i], error);
	return status;
}

/* The overlay -------------------------------------------------------------------------------------------------- */

/* By names that are short, as all of them have to fit into a page. */
static int mount_overlay(const struct stack *stack, const struct storage_request *request, struct error *error)
{
	struct mount_options options = {.flags = 0};
	cleanup_close int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct storage_request overlay = {.fstype = "overlay", .mount_point = request->mount_point};
	size_t used = 0;
	int status;

	for (size_t i = 0; i < stack->lower_count && used < sizeof(options.data); i++)
		used += (size_t)snprintf(options.data + used, sizeof(options.data) - used, "%slower-%zu",
					 i ? ":" : "lowerdir=", i);
	if (used < sizeof(options.data))
		used += (size_t)snprintf(options.data + used, sizeof(options.data) - used,
					 ",upperdir=upper/upper,workdir=upper/work");
	if (used >= sizeof(options.data))
		return error_set(error, EINVAL, "multi-layer: %zu layers are too many", stack->lower_count);
	if (before < 0 || chdir(stack->base) < 0)
		return error_errno(error, errno, "go to %s", stack->base);
	status = mount_source(&overlay, "overlay", &options, error);
	return fchdir(before) < 0 && status == 0 ? error_errno(error, errno, "go back") : status;
}

/* Takes the layers down, as far as they have come. */
static void drop_layers(const struct storage_request *request)
{
	char path[PATH_MAX / 2], name[NAME_SIZE];
	struct stat status;

	for (size_t i = 0;; i++) {
		snprintf(name, sizeof(name), "/lower-%zu", i);
		if (path_of(request, path, sizeof(path), name) < 0 || lstat(path, &status) < 0)
			break;
		storage_unmount(path, NULL);
		verity_name(request, i, name);
		verity_close(name);
	}
	if (path_of(request, path, sizeof(path), "/upper") == 0)
		storage_unmount(path, NULL);
	if (path_of(request, path, sizeof(path), "") == 0)
		path_remove_tree(AT_FDCWD, path, NULL);
}

static int assemble(const struct stack *stack, const struct storage_request *request, struct error *error)
{
	char path[PATH_MAX];
	int status = 0;

	snprintf(path, sizeof(path), "%s/upper", stack->base);
	if (stack->upper)
		status = mount_layer(request, stack->upper, 0, path, error);
	else
		status = mount_make_directory(path, error);
	for (size_t i = 0; i < stack->lower_count && status >= 0; i++) {
		snprintf(path, sizeof(path), "%s/lower-%zu", stack->base, i);
		status = mount_layer(request, stack->lowers[i], i, path, error);
	}
	if (status >= 0)
		status = make_folders(stack, request, error);
	return status < 0 ? status : mount_overlay(stack, request, error);
}

int driver_multi_layer(const struct storage_request *request, struct error *error)
{
	struct stack stack = {.upper = NULL};
	size_t kept;
	int status = plan(&stack, request, error);

	if (status == 0) {
		kept = made_existing(stack.base);
		status = assemble(&stack, request, error);
		if (status < 0) {
			drop_layers(request);
			made_remove(stack.base, kept);
		}
	}
	free(stack.lowers);
	return status;
}

int driver_multi_layer_unmount(const struct storage_request *request, struct error *error)
{
	int status = storage_unmount(request->mount_point, error);

	if (status == 0)
		drop_layers(request);
	return status;
}
