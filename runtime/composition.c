/* What it is composed of: found out, and made. (What the agent is told: composition_requests.c.) */
#include "runtime/composition.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "runtime/locate.h"
#include "runtime/pack.h"
#include "runtime/spec_bundle.h"
#include "runtime/text_list.h"

#define BUNDLE_ARENA (4u << 20)

static const struct {
	const char *program, *package;
} packers[] = {{"mkfs.erofs", "erofs-utils"}, {"sqfstar", "squashfs-tools"}};

/* Finding out -------------------------------------------------------------------------------------------------- */

static int find_packer(const char *program, char path[PATH_MAX], struct error *error)
{
	for (size_t i = 0; i < array_size(packers); i++)
		if (strcmp(packers[i].program, program) == 0)
			return locate_program(path, program, packers[i].package, error);
	return error_set(error, ENOENT, "%s is not known", program);
}

/* What can't be carried into the VM is said, and its bind mounts become volumes. */
static int open_bundle(struct composition *composition, struct error *error)
{
	struct source *source = &composition->source;
	struct config_notes notes = {0};
	Grpc__Spec *spec;
	int status = spec_bundle_read(source->bundle, &composition->arena, &spec, &notes, error);

	for (size_t i = 0; status == 0 && i < notes.count && i < CONFIG_NOTES_MOST; i++)
		timeline_say("%s/config.json: %s is not carried into the VM", source->path,
			     notes.list[i] ? notes.list[i] : "something");
	if (status == 0 && *spec->hostname)
		composition->hostname = spec->hostname;
	if (status == 0)
		composition->arguments = spec->process->args;
	if (status == 0)
		status = spec_bundle_volumes(source->bundle, source->path, &composition->volumes, error);
	return status < 0 ? error_wrap(error, "bundle %s", source->path) : 0;
}

static int open_volumes(struct composition *composition, struct error *error)
{
	const struct volumes *given = &composition->options->volumes;
	int status = 0;

	for (size_t i = 0; i < given->count && status == 0; i++)
		status = volumes_add_parts(&composition->volumes, given->list[i].source, given->list[i].destination,
					   given->list[i].read_only, error);
	return status < 0 ? status : volumes_open(&composition->volumes, error);
}

/* Without virtiofsd a volume can only be a copy, of a directory that isn't written. */
static int pack_instead(struct composition *composition, size_t index, const struct error *missing,
			struct error *error)
{
	const struct volume *volume = &composition->volumes.list[index];

	if (!volume->read_only || !volume->directory)
		return error_set(error, ENOENT, "volume %s: %s (what is read-only, and a directory, goes without)",
				 volume->source, missing->text);
	composition->packed[index] = (int)composition->packed_count++;
	return *composition->packer ? 0 : find_packer("mkfs.erofs", composition->packer, error);
}

static int choose_share(struct composition *composition, struct error *error)
{
	const struct source *source = &composition->source;
	bool directory = source->kind == &source_directory || source->kind == &source_bundle;
	struct error missing;
	int status = 0;

	composition->share_root = composition->options->share == SHARE_VIRTIOFS;
	if (composition->share_root && !directory)
		return error_set(error, EINVAL, "--share virtiofs: %s is no directory but an %s", source->given,
				 source_name(source));
	if (!composition->share_root && composition->volumes.count == 0)
		return 0;
	composition->sharing = share_find(composition->share.program, &missing) == 0;
	if (composition->share_root && !composition->sharing)
		return error_set(error, missing.number, "--share virtiofs: %s", missing.text);
	for (size_t i = 0; i < composition->volumes.count && status == 0 && !composition->sharing; i++)
		status = pack_instead(composition, i, &missing, error);
	return status;
}

static int resolve_user(struct composition *composition, struct error *error)
{
	const struct source *source = &composition->source;
	const char *user = composition->options->user ? composition->options->user : source->config.user;

	return user_resolve(&composition->user, source->root, user, error);
}

/* As docker: the entrypoint, and behind it what the command line says, or else the image's command; another entrypoint
 * takes the image's command away too. */
static int compose_command(struct composition *composition, struct error *error)
{
	const struct run_options *options = composition->options;
	const struct image_config *config = &composition->source.config;
	const char *const own[] = {options->entrypoint && *options->entrypoint ? options->entrypoint : NULL, NULL};
	const char *const *entry = options->entrypoint ? own : (const char *const *)config->entrypoint;
	const char *const *rest = (const char *const *)options->command;
	size_t entries, rests;

	if (!*rest && !options->entrypoint)
		rest = (const char *const *)(composition->arguments ? composition->arguments : config->command);
	entries = text_list_count(entry);
	rests = text_list_count(rest);
	composition->command = calloc(entries + rests + 2, sizeof(char *));
	if (!composition->command)
		return error_errno(error, ENOMEM, "command");
	for (size_t i = 0; i < entries; i++)
		composition->command[i] = entry[i];
	for (size_t i = 0; i < rests; i++)
		composition->command[entries + i] = rest[i];
	if (entries + rests > 0)
		return 0;
	if (config->document || composition->source.bundle)
		return error_set(error, EINVAL, "%s says no command, and none is given", composition->source.given);
	composition->command[0] = "sh";
	return 0;
}

int composition_open(struct composition *composition, const struct run_options *options, struct error *error)
{
	struct source *source = &composition->source;
	int status;

	*composition = (struct composition){.options = options};
	arena_init(&composition->arena, ARENA_FORK, BUNDLE_ARENA);
	memset(composition->packed, 0xff, sizeof(composition->packed));
	status = source_open(source, options->root, error);
	if (status == 0 && source->compressor && !options->kernel && !getenv("NACRE_KERNEL"))
		status = error_set(error, EINVAL, "%s: a squashfs by %s, and nacre's kernels read gzip and lz4 only (--kernel "
				   "names another)", source->given, source->compressor);
	if (status == 0 && source->bundle)
		status = open_bundle(composition, error);
	if (status == 0)
		status = open_volumes(composition, error);
	if (status == 0)
		status = choose_share(composition, error);
	if (status == 0 && source->packer && !composition->share_root) {
		status = find_packer(source->packer, composition->source_packer, error);
		source->packer = composition->source_packer;
	}
	if (status == 0 && (source->root >= 0 || source->layer_count == 0))
		status = resolve_user(composition, error);
	return status < 0 ? status : compose_command(composition, error);
}

void composition_close(struct composition *composition)
{
	child_kill(&composition->child);
	share_stop(&composition->share);
	source_close(&composition->source);
	volumes_free(&composition->volumes);
	arena_free(&composition->arena);
	free(composition->command);
	composition->command = NULL;
}

int composition_stop_signal(const struct composition *composition)
{
	int number = composition->source.config.stop_signal;

	return number > 0 ? number : SIGTERM;
}

/* Making ------------------------------------------------------------------------------------------------------- */

struct waiting {
	struct loop_source source;
	bool done;
};

static void child_has_ended(struct loop_source *source, uint32_t events)
{
	(void)events;
	container_of(source, struct waiting, source)->done = true;
}

/* The exit status of composition->child, or -ECANCELED. */
static int await_child(struct composition *composition, struct loop *loop, const bool *cancelled, struct error *error)
{
	struct waiting waiting = {0};
	int status = loop_add(loop, &waiting.source, composition->child.pidfd, EPOLLIN, child_has_ended);

	while (status == 0 && !waiting.done && !*cancelled)
		status = loop_step(loop);
	loop_remove(loop, &waiting.source);
	if (status < 0)
		return error_errno(error, -status, "wait for the packing");
	if (!waiting.done)
		return error_set(error, ECANCELED, "interrupted");
	return child_reap(&composition->child);
}

static int make_root(struct composition *composition, struct loop *loop, const struct run_directory *directory,
		     const bool *cancelled, struct error *error)
{
	int status = source_start(&composition->source, directory, &composition->child, error);

	if (status == 0 && composition->child.pid != 0)
		status = await_child(composition, loop, cancelled, error);
	if (status < 0)
		return status;
	status = source_finish(&composition->source, directory, status, error);
	/* What is merged from layers has its passwd only now. */
	if (status == 0 && composition->source.layer_count > 0)
		status = resolve_user(composition, error);
	return status;
}

static int make_volume(struct composition *composition, struct loop *loop, const struct run_directory *directory,
		       const bool *cancelled, size_t index, struct error *error)
{
	char image[COMPOSITION_IMAGE_SIZE];
	int status;

	composition_volume_image(image, (unsigned)composition->packed[index]);
	status = pack_start(&composition->child, composition->packer, composition->volumes.list[index].fd, directory,
			    image, error);
	if (status == 0)
		status = await_child(composition, loop, cancelled, error);
	if (status >= 0)
		status = pack_finish(status, directory, image, error);
	return status < 0 ? error_wrap(error, "volume %s", composition->volumes.list[index].source) : 0;
}

int composition_make(struct composition *composition, struct loop *loop, const struct run_directory *directory,
		     const bool *cancelled, const struct timeline *timeline, struct error *error)
{
	uint64_t start = loop_now();
	struct stat stat;
	int status = 0;

	if (!composition->share_root) {
		status = make_root(composition, loop, directory, cancelled, error);
		if (status == 0 && fstatat(directory->fd, SOURCE_DISK, &stat, 0) == 0)
			timeline_note(timeline, "%s %s as %s: %.1f MiB in %.2f s", source_name(&composition->source),
				      composition->source.given, composition->source.filesystem,
				      (double)stat.st_size / (1 << 20), (double)(loop_now() - start) / LOOP_SECOND);
	}
	for (size_t i = 0; i < composition->volumes.count && status == 0; i++)
		if (composition->packed[i] >= 0)
			status = make_volume(composition, loop, directory, cancelled, i, error);
	return status;
}

int composition_share(struct composition *composition, struct loop *loop, const struct run_directory *directory,
		      struct error *error)
{
	if (!composition->sharing)
		return 0;
	/* One that served another machine ends with that. */
	share_stop(&composition->share);
	return share_start(&composition->share, loop, directory, composition->share_root ? composition->source.root : -1,
			   &composition->volumes, error);
}
