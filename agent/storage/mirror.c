/* One pass over a tree, by descriptors. The source is the host's, and the target a container may write to: neither is
 * trusted to stay as it was looked at. */
#include "agent/storage/mirror.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/path.h"

#define DEPTH_MAX 32
#define ENTRIES_MAX 65536
#define NEW_LINK ".nacre-new-link"

struct entry {
	char *name;
	mode_t type; /* S_IFDIR, S_IFREG, S_IFLNK: others aren't listed */
	char *link;  /* the text of a symlink */
};

/* What is in a directory, by name. */
struct listing {
	struct entry *entries;
	size_t count;
};

static void free_listing(struct listing *listing)
{
	while (listing->count-- > 0) {
		free(listing->entries[listing->count].name);
		free(listing->entries[listing->count].link);
	}
	free(listing->entries);
}

#define cleanup_listing __attribute__((cleanup(free_listing)))

static int by_name(const void *left, const void *right)
{
	return strcmp(((const struct entry *)left)->name, ((const struct entry *)right)->name);
}

static int add(struct listing *listing, int directory, const char *name)
{
	struct entry entry = {.name = NULL};
	char text[PATH_MAX];
	struct stat status;
	void *more;

	if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	entry.type = status.st_mode & S_IFMT;
	if (entry.type == S_IFLNK) {
		ssize_t length = readlinkat(directory, name, text, sizeof(text) - 1);

		if (length < 0)
			return errno == ENOENT || errno == EINVAL ? 0 : -errno;
		text[length] = '\0';
	} else if (entry.type != S_IFDIR && entry.type != S_IFREG) {
		return 0;
	}
	if (listing->count >= ENTRIES_MAX)
		return -EFBIG;
	more = reallocarray(listing->entries, listing->count + 1, sizeof(entry));
	if (!more)
		return -ENOMEM;
	listing->entries = more;
	entry.name = strdup(name);
	entry.link = entry.type == S_IFLNK ? strdup(text) : NULL;
	listing->entries[listing->count++] = entry;
	return entry.name && (entry.link || entry.type != S_IFLNK) ? 0 : -ENOMEM;
}

static int list(struct listing *listing, int directory)
{
	int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), status = 0;
	DIR *stream = copy < 0 ? NULL : fdopendir(copy);

	*listing = (struct listing){.count = 0};
	if (!stream) {
		status = -errno;
		fd_close(&copy);
		return status;
	}
	for (struct dirent *entry = readdir(stream); entry && status == 0; entry = readdir(stream))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			status = add(listing, directory, entry->d_name);
	closedir(stream);
	if (listing->count > 0)
		qsort(listing->entries, listing->count, sizeof(*listing->entries), by_name);
	return status;
}

static bool same_text(const char *left, const char *right)
{
	return left == right || (left && right && strcmp(left, right) == 0);
}

static bool same_listing(const struct listing *left, const struct listing *right)
{
	if (left->count != right->count)
		return false;
	for (size_t i = 0; i < left->count; i++)
		if (strcmp(left->entries[i].name, right->entries[i].name) != 0 ||
		    left->entries[i].type != right->entries[i].type ||
		    !same_text(left->entries[i].link, right->entries[i].link))
			return false;
	return true;
}

/* Owner and mode ------------------------------------------------------------------------------------------------ */

/* What is right already isn't touched: a change of attributes is an event, too. */
static int take_over(int fd, const struct stat *wanted)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -errno;
	if ((status.st_uid != wanted->st_uid || status.st_gid != wanted->st_gid) &&
	    fchown(fd, wanted->st_uid, wanted->st_gid) < 0)
		return -errno;
	if (((status.st_mode ^ wanted->st_mode) & 07777) && fchmod(fd, wanted->st_mode & 07777) < 0)
		return -errno;
	return 0;
}

/* Regular files -------------------------------------------------------------------------------------------------- */

static bool same_time(const struct timespec *left, const struct timespec *right)
{
	return left->tv_sec == right->tv_sec && left->tv_nsec == right->tv_nsec;
}

/* -EFBIG where there isn't room for so much. */
static int take_room(uint64_t *room, uint64_t bytes)
{
	if (bytes > *room)
		return -EFBIG;
	*room -= bytes;
	return 0;
}

/* Over what is there, which is cut only then: what is read meanwhile is never empty. The file may have grown since it was
 * looked at. */
static int copy_content(int from, int to, uint64_t *room)
{
	static char buffer[65536];
	off_t length = 0;
	ssize_t count;

	while ((count = read(from, buffer, sizeof(buffer))) > 0) {
		int status = take_room(room, (uint64_t)count);

		if (status == 0)
			status = fd_write_all(to, buffer, (size_t)count);
		if (status < 0)
			return status;
		length += count;
	}
	return count < 0 || ftruncate(to, length) < 0 ? -errno : 0;
}

static int copy_file(int from, int to, const struct stat *wanted, uint64_t *room)
{
	const struct timespec times[2] = {wanted->st_atim, wanted->st_mtim};
	int status = copy_content(from, to, room);

	if (status == 0)
		status = take_over(to, wanted);
	/* The time of before: what has been changed since then will be seen. */
	if (status == 0 && futimens(to, times) < 0)
		status = -errno;
	return status;
}

/* Takes away what stands where a file of another type is to be. */
static int make_room(int directory, const char *name, mode_t type, struct stat *status)
{
	if (fstatat(directory, name, status, AT_SYMLINK_NOFOLLOW) < 0) {
		*status = (struct stat){.st_size = -1};
		return errno == ENOENT ? 0 : -errno;
	}
	if ((status->st_mode & S_IFMT) == type)
		return 0;
	*status = (struct stat){.st_size = -1};
	return path_remove_tree(directory, name, NULL);
}

static int mirror_file(int source, int target, const char *from_name, const char *to_name, uint64_t *room)
{
	cleanup_close int from = -1, to = -1;
	struct stat wanted, present;
	int status;

	if (fstatat(source, from_name, &wanted, source == AT_FDCWD ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	status = make_room(target, to_name, S_IFREG, &present);
	if (status < 0)
		return status;
	if (present.st_size == wanted.st_size && same_time(&present.st_mtim, &wanted.st_mtim) &&
	    present.st_uid == wanted.st_uid && present.st_gid == wanted.st_gid && present.st_mode == wanted.st_mode)
		return take_room(room, (uint64_t)wanted.st_size);
	from = openat(source, from_name, O_RDONLY | O_NONBLOCK | (source == AT_FDCWD ? 0 : O_NOFOLLOW) | O_CLOEXEC);
	if (from < 0 || fstat(from, &wanted) < 0)
		return -errno;
	if (!S_ISREG(wanted.st_mode))
		return -ENOENT; /* not any more */
	if ((uint64_t)wanted.st_size > *room)
		return -EFBIG;
	to = openat(target, to_name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	return to < 0 ? -errno : copy_file(from, to, &wanted, room);
}

/* Directories ---------------------------------------------------------------------------------------------------- */

static int mirror_directory(int source, int target, int depth, uint64_t *room);

static int mirror_subdirectory(int source, int target, const char *from_name, const char *name, int depth, uint64_t *room)
{
	/* Only the top may be a symlink: it has a path of its own. */
	int follow = source == AT_FDCWD ? 0 : O_NOFOLLOW;
	cleanup_close int from = openat(source, from_name, O_RDONLY | O_DIRECTORY | follow | O_CLOEXEC), to = -1;
	struct stat wanted, present;
	int status, settled;

	if (from < 0 || fstat(from, &wanted) < 0)
		return -errno;
	status = make_room(target, name, S_IFDIR, &present);
	if (status < 0)
		return status;
	if (mkdirat(target, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	to = openat(target, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return -errno;
	settled = mirror_directory(from, to, depth + 1, room);
	status = settled < 0 ? settled : take_over(to, &wanted);
	return status < 0 ? status : settled;
}

/* By a rename, which takes the old one's place at once. */
static int mirror_link(int source, int target, const struct entry *entry)
{
	char text[PATH_MAX];
	struct stat wanted, present;
	ssize_t length;
	int status;

	if (fstatat(source, entry->name, &wanted, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	length = readlinkat(target, entry->name, text, sizeof(text) - 1);
	text[length < 0 ? 0 : length] = '\0';
	if (length < 0 || strcmp(text, entry->link) != 0) {
		status = make_room(target, entry->name, S_IFLNK, &present);
		if (status < 0)
			return status;
		if (symlinkat(entry->link, target, NEW_LINK) < 0 ||
		    fchownat(target, NEW_LINK, wanted.st_uid, wanted.st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
		    renameat(target, NEW_LINK, target, entry->name) < 0) {
			status = -errno;
			unlinkat(target, NEW_LINK, 0);
			return status;
		}
		return 0;
	}
	if (fstatat(target, entry->name, &present, AT_SYMLINK_NOFOLLOW) < 0 ||
	    ((present.st_uid != wanted.st_uid || present.st_gid != wanted.st_gid) &&
	     fchownat(target, entry->name, wanted.st_uid, wanted.st_gid, AT_SYMLINK_NOFOLLOW) < 0))
		return -errno;
	return 0;
}

static bool is_listed(const struct listing *listing, const struct entry *entry)
{
	return listing->count > 0 &&
	       bsearch(entry, listing->entries, listing->count, sizeof(*entry), by_name) != NULL;
}

/* Whether a link leads into `name`, which is beside it. */
static bool is_led_to(const struct listing *listing, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < listing->count; i++) {
		const char *link = listing->entries[i].link;

		if (link && strncmp(link, name, length) == 0 && (link[length] == '\0' || link[length] == '/'))
			return true;
	}
	return false;
}

/* A link that leads to what isn't there is older than what we have seen of its directory: the host's cache does that. */
static int remove_others(int target, const struct listing *wanted)
{
	cleanup_listing struct listing present = {0};
	int status = list(&present, target);

	for (size_t i = 0; i < present.count && status == 0; i++) {
		const char *name = present.entries[i].name;

		if (!is_listed(wanted, &present.entries[i]) && !is_led_to(wanted, name))
			status = path_remove_tree(target, name, NULL);
	}
	return status;
}

/* Everything but the links. 1 where something has gone meanwhile. */
static int mirror_contents(int source, int target, const struct listing *listing, int depth, uint64_t *room)
{
	int result = 0;

	for (size_t i = 0; i < listing->count; i++) {
		const struct entry *entry = &listing->entries[i];
		int status = 0;

		if (entry->type == S_IFDIR)
			status = mirror_subdirectory(source, target, entry->name, entry->name, depth, room);
		else if (entry->type == S_IFREG)
			status = mirror_file(source, target, entry->name, entry->name, room);
		if (status < 0 && status != -ENOENT && status != -ENOTDIR && status != -ELOOP)
			return status;
		if (status != 0)
			result = 1;
	}
	return result;
}

static int mirror_directory(int source, int target, int depth, uint64_t *room)
{
	cleanup_listing struct listing before = {0}, after = {0};
	int status = depth > DEPTH_MAX ? -EFBIG : list(&before, source);

	if (status == 0)
		status = mirror_contents(source, target, &before, depth, room);
	/* Links are exchanged only in a directory that has stood still, so that they lead to what has been copied. */
	if (status == 0)
		status = list(&after, source);
	if (status == 0 && !same_listing(&before, &after))
		status = 1;
	for (size_t i = 0; i < before.count && status == 0; i++)
		if (before.entries[i].type == S_IFLNK)
			status = mirror_link(source, target, &before.entries[i]);
	return status == 0 ? remove_others(target, &before) : status;
}

/* The whole ------------------------------------------------------------------------------------------------------ */

int mirror(const char *source, const char *target, struct error *error)
{
	uint64_t room = MIRROR_SIZE_MAX;
	struct stat status;
	int result;

	if (stat(source, &status) < 0)
		result = -errno;
	else if (S_ISDIR(status.st_mode))
		result = mirror_subdirectory(AT_FDCWD, AT_FDCWD, source, target, -1, &room);
	else
		result = mirror_file(AT_FDCWD, AT_FDCWD, source, target, &room);
	return result < 0 ? error_errno(error, -result, "copy %.200s to %.200s", source, target) : result;
}

bool mirror_is_empty(int directory)
{
	cleanup_listing struct listing listing = {0};

	return list(&listing, directory) == 0 && listing.count == 0;
}
