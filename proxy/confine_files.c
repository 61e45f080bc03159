/* Files: which directories are left, and the two ways to lose the others. */
#include "proxy/confine_files.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"

#define LOG_SUBSYSTEM "confine"
#include "lib/log.h"

#define PLACES_MAX (3 + FORWARDS_MAX)

/* Rights, by the kernel's numbers (linux/landlock.h), of which older headers don't have all. */
#define WRITE_FILE (UINT64_C(1) << 1)
#define READ_FILE (UINT64_C(1) << 2)
#define READ_DIR (UINT64_C(1) << 3)
#define REMOVE_FILE (UINT64_C(1) << 5)
#define MAKE_REG (UINT64_C(1) << 8)
#define MAKE_SOCK (UINT64_C(1) << 9)
#define TRUNCATE (UINT64_C(1) << 14)

#define FILES_OF_LOG (WRITE_FILE | READ_FILE | MAKE_REG | TRUNCATE)
#define ALL_OF_RUN (WRITE_FILE | READ_DIR | REMOVE_FILE | MAKE_REG | MAKE_SOCK | TRUNCATE)

struct place {
	char *path; /* as the options have it */
	uint64_t rights;
	int fd;
};

struct places {
	size_t count;
	struct place list[PLACES_MAX];
};

static void free_places(struct places *places)
{
	while (places->count > 0) {
		struct place *place = &places->list[--places->count];

		fd_close(&place->fd);
		free(place->path);
	}
}

static int add_directory(struct places *places, char *name, uint64_t rights, struct error *error)
{
	cleanup_free char *path = name;
	int fd;

	if (!path)
		return error_errno(error, ENOMEM, "--confine");
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		log_warning("%s isn't there, and stays out of reach", path);
		return 0;
	}
	if (fd < 0)
		return error_errno(error, errno, "open %s", path);
	places->list[places->count++] = (struct place){.path = take_pointer(&path), .rights = rights, .fd = fd};
	return 0;
}

/* Where a socket is, or will be. */
static int add_parent(struct places *places, const char *socket, uint64_t rights, struct error *error)
{
	const char *slash = strrchr(socket, '/');

	return add_directory(places, slash ? strndup(socket, (size_t)(slash - socket) + 1) : strdup("."), rights, error);
}

static int find_places(struct places *places, const struct options *options, struct error *error)
{
	int status = add_directory(places, strdup(options->directory), ALL_OF_RUN, error);

	if (status == 0 && options->carrier.path)
		status = add_parent(places, options->carrier.path,
				    options->carrier.type == CARRIER_SERIAL ? 0 : MAKE_SOCK | REMOVE_FILE, error);
	if (status == 0 && options->guest_log.sink.type != LOG_SINK_NONE)
		status = add_parent(places, options->guest_log.sink.path,
				    options->guest_log.sink.type == LOG_SINK_FILE ? FILES_OF_LOG : 0, error);
	for (size_t i = 0; i < options->forwards.count && status == 0; i++) {
		const struct forward_rule *rule = &options->forwards.list[i];

		status = add_parent(places, rule->path, rule->to_guest ? REMOVE_FILE : 0, error);
	}
	return status;
}

/* ---- Landlock ------------------------------------------------------------------------------------------------ */

struct ruleset {
	uint64_t files;	 /* rights which are only had by rule */
	uint64_t network; /* from version 4 on */
	uint64_t scoped; /* from version 6 on */
};

struct beneath {
	uint64_t rights;
	int32_t directory;
} __attribute__((packed));

#define RULE_BENEATH 1
#define CREATE_VERSION 1u

#define NETWORK_TCP 3u	   /* bind and connect */
#define SCOPED_ABSTRACT 1u /* abstract sockets of others */

/* All rights to files that a version knows: the first has 13 of them. */
static uint64_t files_of(long version)
{
	static const unsigned int known[] = {13, 14, 15, 15, 16};
	size_t last = array_size(known) - 1;

	return (UINT64_C(1) << known[(size_t)version - 1 < last ? (size_t)version - 1 : last]) - 1;
}

static int restrict_to(int rules, const struct places *places, uint64_t files, struct error *error)
{
	for (size_t i = 0; i < places->count; i++) {
		const struct beneath beneath = {.rights = places->list[i].rights & files, .directory = places->list[i].fd};

		if (beneath.rights != 0 && syscall(SYS_landlock_add_rule, rules, RULE_BENEATH, &beneath, 0) < 0)
			return error_errno(error, errno, "Landlock: %s", places->list[i].path);
	}
	return syscall(SYS_landlock_restrict_self, rules, 0) < 0 ? error_errno(error, errno, "Landlock") : 0;
}

int confine_files_landlock(const struct options *options, struct error *error)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);
	struct ruleset ruleset = {.network = NETWORK_TCP, .scoped = SCOPED_ABSTRACT};
	struct places places = {0};
	cleanup_close int rules = -1;
	int status;

	if (version < 1)
		return error_errno(error, errno, "Landlock");
	ruleset.files = files_of(version);
	rules = (int)syscall(SYS_landlock_create_ruleset, &ruleset, version < 4 ? 8 : version < 6 ? 16 : sizeof(ruleset), 0);
	if (rules < 0)
		return error_errno(error, errno, "Landlock");
	status = find_places(&places, options, error);
	if (status == 0)
		status = restrict_to(rules, &places, ruleset.files, error);
	free_places(&places);
	return status;
}

/* ---- A mount namespace ----------------------------------------------------------------------------------------- */

/* Of linux/mount.h and fcntl.h, which newer headers have in both. */
#define CLONE_TREE (0x1 | 0x1000 | 0x8000 | O_CLOEXEC) /* OPEN_TREE_CLONE, AT_EMPTY_PATH, AT_RECURSIVE */
#define MOVE_EMPTY_PATH 0x4

static int write_map(const char *path, unsigned int id, struct error *error)
{
	char line[64];

	snprintf(line, sizeof(line), "%u %u 1", id, id);
	return fd_write_file(AT_FDCWD, path, line, error);
}

/* Without root's rights: as the only user of a user namespace, by the number that it has. */
static int enter(bool with_user, struct error *error)
{
	uid_t user = geteuid();
	gid_t group = getegid();
	int status;

	if (unshare(CLONE_NEWNS) == 0)
		return 0;
	if (errno != EPERM || !with_user || unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return error_errno(error, errno, "unshare");
	/* Otherwise the maps aren't this user's, where it has just become that. */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	status = fd_write_file(AT_FDCWD, "/proc/self/setgroups", "deny", error);
	if (status == 0)
		status = write_map("/proc/self/uid_map", user, error);
	return status < 0 ? status : write_map("/proc/self/gid_map", group, error);
}

/* An absolute path below the new root, made of as many directories as it takes. */
static int make_directories(char *path, struct error *error)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return error_errno(error, errno, "make %s in a namespace", path);
		*slash = '/';
	}
	return 0;
}

/* Puts a directory under `root` at the path by which it will be looked for. */
static int put(const char *root, const char *cwd, const struct place *place, struct error *error)
{
	cleanup_free char *target = NULL;
	struct stat wanted, there;
	int status;

	if (asprintf(&target, "%s%s/%s/", root, place->path[0] == '/' ? "" : cwd, place->path) < 0) {
		target = NULL;
		return error_errno(error, ENOMEM, "%s", place->path);
	}
	/* It may be in one that is there already. */
	if (fstat(place->fd, &wanted) == 0 && stat(target, &there) == 0 && wanted.st_dev == there.st_dev &&
	    wanted.st_ino == there.st_ino)
		return 0;
	status = make_directories(target, error);
	if (status < 0)
		return status;
	status = (int)syscall(SYS_move_mount, place->fd, "", AT_FDCWD, target, MOVE_EMPTY_PATH);
	return status < 0 ? error_errno(error, errno, "mount %s", place->path) : 0;
}

/* Makes of each place's descriptor a mount of it, which is nowhere yet. */
static int clone_places(struct places *places, struct error *error)
{
	for (size_t i = 0; i < places->count; i++) {
		struct place *place = &places->list[i];
		int tree = (int)syscall(SYS_open_tree, place->fd, "", CLONE_TREE);

		if (tree < 0)
			return error_errno(error, errno, "clone %s", place->path);
		fd_close(&place->fd);
		place->fd = tree;
	}
	return 0;
}

/* A new root, on top of the run directory. */
static int make_root(const struct places *places, const char *root, const char *cwd, struct error *error)
{
	cleanup_free char *own = NULL;
	int status = 0;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return error_errno(error, errno, "make mounts private");
	if (mount("nacre", root, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64k,mode=0755") < 0)
		return error_errno(error, errno, "mount a tmpfs");
	/* For relative paths. */
	if (asprintf(&own, "%s%s/", root, cwd) < 0) {
		own = NULL;
		status = error_errno(error, ENOMEM, "%s", cwd);
	}
	if (status == 0)
		status = make_directories(own, error);
	for (size_t i = 0; i < places->count && status == 0; i++)
		status = put(root, cwd, &places->list[i], error);
	/* What was made in the directory is still to be removed. */
	if (status < 0)
		umount2(root, MNT_DETACH);
	return status;
}

static int change_root(const char *root, const char *cwd, struct error *error)
{
	if (chdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return error_errno(error, errno, "change the root");
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return error_errno(error, errno, "make the root read-only");
	return chdir(cwd) < 0 ? error_errno(error, errno, "change to %s", cwd) : 0;
}

int confine_files_namespace(const struct options *options, bool with_user, struct error *error)
{
	cleanup_free char *cwd = getcwd(NULL, 0), *root = realpath(options->directory, NULL);
	struct places places = {0};
	int status;

	if (!cwd || !root)
		return error_errno(error, errno, "%s", options->directory);
	status = enter(with_user, error);
	/* Their descriptors are of the new namespace. */
	if (status == 0)
		status = find_places(&places, options, error);
	if (status == 0)
		status = clone_places(&places, error);
	if (status == 0)
		status = make_root(&places, root, cwd, error);
	if (status == 0)
		status = change_root(root, cwd, error);
	free_places(&places);
	return status;
}
