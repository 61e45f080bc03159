/* The options of `nacre run`, by popt. */
#include "runtime/run_options.h"

#include <errno.h>
#include <popt.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "runtime/name.h"

/* What popt fills; checked and turned into numbers afterwards. */
struct raw_options {
	int interactive, terminal, read_only, remove, detached, debug_console, verbose, help;
	char *keys, *name, *directory, *user, *kernel, *image, *memory, *cpus, *timeout, *accel, *io, *machine, *unpacked;
	char *entrypoint, *share, *network;
	const char **environment, **environment_files, **volumes, **published;
	poptContext context;
};

static const char *const share_names[] = {[SHARE_EROFS] = "erofs", [SHARE_VIRTIOFS] = "virtiofs", NULL};
static const char *const network_names[] = {[NETWORK_NONE] = "none", [NETWORK_PUBLISHED] = "published",
					    [NETWORK_USER] = "user", NULL};

/* Which of the names it is, or -EINVAL. */
static int parse_name(const char *option, const char *text, const char *const *names, struct error *error)
{
	char all[80] = "";

	for (int i = 0; names[i]; i++) {
		size_t used = strlen(all);

		if (strcmp(text, names[i]) == 0)
			return i;
		snprintf(all + used, sizeof(all) - used, "%s%s", i ? " or " : "", names[i]);
	}
	return error_set(error, EINVAL, "%s: '%.80s' is not %s", option, text, all);
}

int io_way_parse(const char *text, enum io_way *io, struct error *error)
{
	static const char *const names[] = {[IO_STREAMS] = "streams", [IO_CALLS] = "calls", [IO_SESSIONS] = "sessions", NULL};
	int status = parse_name("--io", text, names, error);

	if (status < 0)
		return status;
	*io = (enum io_way)status;
	return 0;
}

/* popt only offers its callback-free tables with plain pointers to fill. */
static int read_table(struct raw_options *raw, int argc, const char *argv[], struct error *error)
{
	struct poptOption table[] = {
		{"interactive", 'i', POPT_ARG_NONE, &raw->interactive, 0, "pass stdin on to the container", NULL},
		{"tty", 't', POPT_ARG_NONE, &raw->terminal, 0, "give the container a terminal", NULL},
		{"detach", 'd', POPT_ARG_NONE, &raw->detached, 0, "leave it running, and print its name", NULL},
		{"detach-keys", 0, POPT_ARG_STRING, &raw->keys, 0, "to leave a terminal (default: ctrl-p,ctrl-q)",
		 "KEYS"},
		{"name", 0, POPT_ARG_STRING, &raw->name, 0, "of the container and its VM (default: made up)", "NAME"},
		{"env", 'e', POPT_ARG_ARGV, &raw->environment, 0, "set a variable; without VALUE, pass it on",
		 "NAME[=VALUE]"},
		{"env-file", 0, POPT_ARG_ARGV, &raw->environment_files, 0, "set the variables in a file", "FILE"},
		{"entrypoint", 0, POPT_ARG_STRING, &raw->entrypoint, 0, "what is run, instead of ROOTFS's own", "PROGRAM"},
		{"workdir", 'w', POPT_ARG_STRING, &raw->directory, 0, "working directory (default: ROOTFS's own, or /)",
		 "DIR"},
		{"user", 'u', POPT_ARG_STRING, &raw->user, 0,
		 "name or number, looked up in ROOTFS (default: ROOTFS's own, or root)", "USER[:GROUP]"},
		{"volume", 'v', POPT_ARG_ARGV, &raw->volumes, 0, "a directory or file of this machine, in the container",
		 "SRC:DST[:ro]"},
		{"share", 0, POPT_ARG_STRING, &raw->share, 0, "how a directory ROOTFS gets into the VM (default: erofs)",
		 "erofs|virtiofs"},
		{"publish", 'p', POPT_ARG_ARGV, &raw->published, 0, "a port of the container, on this machine",
		 "[IP:]HOSTPORT:PORT[/tcp|udp]"},
		{"network", 0, POPT_ARG_STRING, &raw->network, 0,
		 "what the container reaches (default: none; published with --publish)", "none|published|user"},
		{"memory", 'm', POPT_ARG_STRING, &raw->memory, 0, "the VM's memory (default: 256M)", "SIZE"},
		{"cpus", 0, POPT_ARG_STRING, &raw->cpus, 0, "the VM's processors (default: 1)", "N"},
		{"unpacked-max", 0, POPT_ARG_STRING, &raw->unpacked, 0, "of an image's layers together (default: 64G)",
		 "SIZE"},
		{"read-only", 0, POPT_ARG_NONE, &raw->read_only, 0, "a root file system that can't be written", NULL},
		{"rm", 0, POPT_ARG_NONE, &raw->remove, 0, "keep nothing of the container afterwards", NULL},
		{"machine", 0, POPT_ARG_STRING, &raw->machine, 0, "what the VM is like (default: microvm)", "microvm|q35"},
		{"kernel", 0, POPT_ARG_STRING, &raw->kernel, 0, "the guest's kernel (or set NACRE_KERNEL)", "FILE"},
		{"image", 0, POPT_ARG_STRING, &raw->image, 0, "the guest's image (or set NACRE_IMAGE)", "FILE"},
		{"accel", 0, POPT_ARG_STRING, &raw->accel, 0, "how the VM runs (default: auto)", "kvm|tcg|auto"},
		{"io", 0, POPT_ARG_STRING, &raw->io, 0, "how streams travel (default: streams)",
		 "calls|sessions|streams"},
		{"timeout", 0, POPT_ARG_STRING, &raw->timeout, 0, "until the VM must answer (default: 60)", "SECONDS"},
		{"debug-console", 0, POPT_ARG_NONE, &raw->debug_console, 0, "let nacre console into the VM", NULL},
		{"verbose", 0, POPT_ARG_NONE, &raw->verbose, 0, "say what is done, and when", NULL},
		{"help", 'h', POPT_ARG_NONE, &raw->help, 0, "show this", NULL},
		POPT_TABLEEND,
	};
	int code;

	argv[0] = "nacre run";
	raw->context = poptGetContext(NULL, argc, argv, table, POPT_CONTEXT_POSIXMEHARDER);
	if (!raw->context)
		return error_errno(error, ENOMEM, "options");
	poptSetOtherOptionHelp(raw->context, "[OPTION...] ROOTFS [--] [COMMAND [ARGUMENT...]]");
	code = poptGetNextOpt(raw->context);
	if (code < -1)
		return error_set(error, EINVAL, "%s: %s (see nacre run --help)",
				 poptBadOption(raw->context, POPT_BADOPTION_NOALIAS), poptStrerror(code));
	/* Its table is a local one: the help has to come from here. */
	if (raw->help)
		poptPrintHelp(raw->context, stdout, 0);
	return 0;
}

/* Files first: what is said on the command line itself replaces it. */
static int take_environment(struct run_options *options, const struct raw_options *raw, struct error *error)
{
	int status = 0;

	for (const char **file = raw->environment_files; file && *file && status == 0; file++)
		status = environment_add_file(&options->environment, *file, error);
	for (const char **entry = raw->environment; entry && *entry && status == 0; entry++)
		if (environment_add(&options->environment, *entry, error) < 0)
			status = error_wrap(error, "--env");
	return status;
}

static int take_published(struct run_options *options, const struct raw_options *raw, struct error *error)
{
	int status = 0;

	for (const char **text = raw->published; text && *text && status == 0; text++) {
		if (options->published_count == PUBLISH_MOST)
			return error_set(error, EINVAL, "--publish: no more than %d ports can be", PUBLISH_MOST);
		status = publish_parse(&options->published[options->published_count++], *text, error);
	}
	if (status < 0)
		return status;
	options->network = options->published_count > 0 ? NETWORK_PUBLISHED : NETWORK_NONE;
	status = raw->network ? parse_name("--network", raw->network, network_names, error) : (int)options->network;
	if (status < 0)
		return status;
	options->network = (enum network)status;
	if (options->network == NETWORK_NONE && options->published_count > 0)
		return error_set(error, EINVAL, "--publish needs a network: not --network none");
	/* QEMU's stack drops what an isolated guest sends by UDP, answers too (measured, 7.2). */
	for (size_t i = 0; i < options->published_count && options->network == NETWORK_PUBLISHED; i++)
		if (options->published[i].udp)
			return error_set(error, EINVAL, "--publish: a UDP port needs --network user, as no answer gets out "
					 "otherwise");
	return 0;
}

/* What goes into the container. */
static int take_contents(struct run_options *options, const struct raw_options *raw, struct error *error)
{
	int status = take_environment(options, raw, error);

	for (const char **text = raw->volumes; text && *text && status == 0; text++)
		status = volumes_add(&options->volumes, *text, error);
	if (status == 0)
		status = take_published(options, raw, error);
	if (status == 0 && raw->share)
		status = parse_name("--share", raw->share, share_names, error);
	if (status < 0)
		return status;
	options->share = raw->share ? (enum share_way)status : SHARE_EROFS;
	return 0;
}

static int take_machine(struct run_options *options, const char *name, struct error *error)
{
	options->machine = machine_type_find(name);
	if (!options->machine)
		return error_set(error, EINVAL, "--machine: '%s' is not " MACHINE_TYPE_NAMES, name);
	return 0;
}

static int take_memory(struct run_options *options, const char *text, struct error *error)
{
	if (text && quantity_parse_memory(text, &options->memory, error) < 0)
		return error_wrap(error, "--memory");
	if (options->memory < MEMORY_LEAST)
		return error_set(error, EINVAL, "--memory: %s is too small to boot a guest, which needs %lluM", text,
				 (unsigned long long)(MEMORY_LEAST / MEBIBYTE));
	options->memory = (options->memory + MEBIBYTE - 1) / MEBIBYTE * MEBIBYTE;
	return 0;
}

static int check(struct run_options *options, const struct raw_options *raw, struct error *error)
{
	int status = take_contents(options, raw, error);

	if (status == 0)
		status = take_machine(options, raw->machine, error);
	if (status == 0)
		status = take_memory(options, raw->memory, error);
	if (status == 0 && raw->unpacked && quantity_parse_memory(raw->unpacked, &options->unpacked_most, error) < 0)
		status = error_wrap(error, "--unpacked-max");
	if (status == 0 && raw->cpus)
		status = quantity_parse_count("--cpus", raw->cpus, 1, CPUS_MOST, &options->cpus, error);
	if (status == 0 && raw->timeout)
		status = quantity_parse_count("--timeout", raw->timeout, 1, 86400, &options->timeout, error);
	if (status == 0 && raw->accel)
		status = accel_parse(raw->accel, &options->accel, error);
	if (status == 0 && raw->io)
		status = io_way_parse(raw->io, &options->io, error);
	if (status == 0 && options->name && !name_valid(options->name))
		status = error_set(error, EINVAL, "--name: '%s' is no name: " NAME_RULE, options->name);
	if (status == 0 && options->directory && *options->directory != '/')
		status = error_set(error, EINVAL, "--workdir: '%s' is not an absolute path", options->directory);
	return status;
}

static int take_arguments(struct run_options *options, const char **arguments, struct error *error)
{
	static const char *none[] = {NULL};

	if (!arguments || !arguments[0])
		return error_set(error, EINVAL, "ROOTFS is missing (see nacre run --help)");
	options->root = *arguments++;
	if (arguments[0] && strcmp(arguments[0], "--") == 0)
		arguments++;
	options->command = arguments[0] ? arguments : none;
	return 0;
}

static void take_raw(struct run_options *options, struct raw_options *raw)
{
	*options = (struct run_options){
		.interactive = raw->interactive,
		.terminal = raw->terminal,
		.read_only = raw->read_only,
		.detached = raw->detached,
		.remove = raw->remove,
		.keys = raw->keys,
		.debug_console = raw->debug_console,
		.verbose = raw->verbose,
		.help = raw->help,
		.name = raw->name,
		.directory = raw->directory,
		.user = raw->user,
		.entrypoint = raw->entrypoint,
		.kernel = raw->kernel,
		.image = raw->image,
		.io = IO_STREAMS,
		.memory = MEMORY_DEFAULT,
		.unpacked_most = UNPACKED_DEFAULT,
		.cpus = 1,
		.timeout = TIMEOUT_DEFAULT,
		.parser = raw,
	};
}

int run_options_parse(struct run_options *options, int argc, const char *argv[], struct error *error)
{
	struct raw_options *raw = calloc(1, sizeof(*raw));
	int status;

	*options = (struct run_options){0};
	if (!raw)
		return error_errno(error, ENOMEM, "options");
	status = read_table(raw, argc, argv, error);
	take_raw(options, raw);
	if (status < 0 || options->help)
		return status;
	status = check(options, raw, error);
	return status < 0 ? status : take_arguments(options, poptGetArgs(raw->context), error);
}

static void free_raw(struct raw_options *raw)
{
	char *const strings[] = {raw->keys,   raw->name, raw->directory, raw->user,  raw->kernel,  raw->image,
				 raw->memory, raw->cpus, raw->timeout,	 raw->accel, raw->io,	   raw->machine,
				 raw->entrypoint, raw->share, raw->network, raw->unpacked};
	const char **const lists[] = {raw->environment, raw->environment_files, raw->volumes, raw->published};

	for (size_t i = 0; i < array_size(strings); i++)
		free(strings[i]);
	for (size_t i = 0; i < array_size(lists); i++) {
		for (const char **entry = lists[i]; entry && *entry; entry++)
			free((void *)*entry);
		free(lists[i]);
	}
	poptFreeContext(raw->context);
	free(raw);
}

void run_options_free(struct run_options *options)
{
	environment_free(&options->environment);
	volumes_free(&options->volumes);
	if (options->parser)
		free_raw(options->parser);
	*options = (struct run_options){0};
}
