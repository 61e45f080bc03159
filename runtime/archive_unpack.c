/* From a guest's tar stream to files. See archive.h for what is promised. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/path.h"
#include "runtime/archive.h"

#define BLOCK 65536
#define MODE_KEPT 0777
#define DIRECTORIES_MOST 1000000

/* A directory gets its mode and times when everything is in it. */
struct later {
	struct later *next;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	struct timespec modified;
	char path[];
};

struct unpacking {
	const struct archive_options *options;
	struct archive *archive;
	int directory;
	struct later *later;
	unsigned later_count;
	unsigned left_out;
	struct error *error;
};

/* Where an entry goes: the directory that it is in, and its name there. */
struct place {
	int parent;
	const char *name;
	char path[PATH_MAX];
};

static int fail(struct unpacking *unpacking, int number, const char *path)
{
	return error_errno(unpacking->error, number, "unpack %.200s", *path ? path : ".");
}

static int fail_archive(struct unpacking *unpacking)
{
	return error_set(unpacking->error, EIO, "the guest's archive: %s", archive_error_string(unpacking->archive));
}

/* Opens the parent of a place. Without symbolic links on the way nothing leads out, and nothing that was unpacked
 * before leads elsewhere. */
static int find_place(struct unpacking *unpacking, const char *name, struct place *place)
{
	int status = archive_place(unpacking->options, name, place->path, sizeof(place->path), unpacking->error);
	char *slash, parent[PATH_MAX] = ".";

	place->parent = -1;
	if (status < 0)
		return status;
	slash = strrchr(place->path, '/');
	place->name = slash ? slash + 1 : place->path;
	if (slash) {
		memcpy(parent, place->path, (size_t)(slash - place->path));
		parent[slash - place->path] = '\0';
	}
	place->parent = path_open_beneath(unpacking->directory, parent, O_RDONLY | O_DIRECTORY, 0);
	return place->parent < 0 ? fail(unpacking, -place->parent, place->path) : 0;
}

/* Takes away what is in the way of something that isn't a directory. */
static int make_room(struct unpacking *unpacking, const struct place *place)
{
	if (unlinkat(place->parent, place->name, 0) == 0 || errno == ENOENT)
		return 0;
	return fail(unpacking, errno, place->path);
}

static int set_attributes(int fd, mode_t mode, bool owners, uid_t uid, gid_t gid, struct timespec modified)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, modified};

	/* The owner first: changing it takes bits of the mode away. */
	if (owners && fchown(fd, uid, gid) < 0)
		return -errno;
	if (fchmod(fd, mode & MODE_KEPT) < 0)
		return -errno;
	return futimens(fd, times) < 0 && errno != EINVAL ? -errno : 0;
}

static struct timespec modified_of(struct archive_entry *entry)
{
	return (struct timespec){.tv_sec = archive_entry_mtime(entry), .tv_nsec = archive_entry_mtime_nsec(entry)};
}

static int unpack_directory(struct unpacking *unpacking, struct archive_entry *entry, const struct place *place)
{
	size_t length = strlen(place->path) + 1;
	struct later *later;
	struct stat stat;

	if (*place->name == '\0')
		return 0; /* the directory that was there before */
	if (mkdirat(place->parent, place->name, 0700) < 0) {
		if (errno != EEXIST)
			return fail(unpacking, errno, place->path);
		if (fstatat(place->parent, place->name, &stat, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(stat.st_mode))
			return fail(unpacking, ENOTDIR, place->path);
	}
	if (++unpacking->later_count > DIRECTORIES_MOST)
		return error_set(unpacking->error, E2BIG, "the guest's archive has too many directories");
	later = malloc(sizeof(*later) + length);
	if (!later)
		return fail(unpacking, ENOMEM, place->path);
	*later = (struct later){
		.next = unpacking->later,
		.mode = archive_entry_perm(entry),
		.uid = (uid_t)archive_entry_uid(entry),
		.gid = (gid_t)archive_entry_gid(entry),
		.modified = modified_of(entry),
	};
	memcpy(later->path, place->path, length);
	unpacking->later = later;
	return 0;
}

static int write_at(int fd, const char *data, size_t length, off_t offset)
{
	while (length > 0) {
		ssize_t count = pwrite(fd, data, length, offset);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return count < 0 ? -errno : -EIO;
		data += count;
		length -= (size_t)count;
		offset += count;
	}
	return 0;
}

static int copy_contents(struct unpacking *unpacking, int fd, const char *path)
{
	const void *data;
	size_t length;
	la_int64_t offset;
	int code, status = 0;

	while ((code = archive_read_data_block(unpacking->archive, &data, &length, &offset)) == ARCHIVE_OK) {
		status = offset < 0 ? -EINVAL : write_at(fd, data, length, (off_t)offset);
		if (status < 0)
			return fail(unpacking, -status, path);
	}
	return code == ARCHIVE_EOF ? 0 : fail_archive(unpacking);
}

static int unpack_file(struct unpacking *unpacking, struct archive_entry *entry, const struct place *place)
{
	cleanup_close int fd = -1;
	int status = make_room(unpacking, place);

	if (status < 0)
		return status;
	fd = openat(place->parent, place->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(unpacking, errno, place->path);
	status = copy_contents(unpacking, fd, place->path);
	if (status < 0)
		return status;
	status = set_attributes(fd, archive_entry_perm(entry), unpacking->options->owners,
				(uid_t)archive_entry_uid(entry), (gid_t)archive_entry_gid(entry), modified_of(entry));
	return status < 0 ? fail(unpacking, -status, place->path) : 0;
}

static int unpack_symlink(struct unpacking *unpacking, struct archive_entry *entry, const struct place *place)
{
	const char *target = archive_entry_symlink(entry);
	int status = make_room(unpacking, place);

	if (status < 0)
		return status;
	if (!target || symlinkat(target, place->parent, place->name) < 0)
		return fail(unpacking, target ? errno : EINVAL, place->path);
	if (unpacking->options->owners && fchownat(place->parent, place->name, (uid_t)archive_entry_uid(entry),
						   (gid_t)archive_entry_gid(entry), AT_SYMLINK_NOFOLLOW) < 0)
		return fail(unpacking, errno, place->path);
	return 0;
}

/* A further name of a file that has been unpacked: it is found by the same rules. */
static int unpack_link(struct unpacking *unpacking, const char *name, const struct place *place)
{
	struct place target;
	struct stat stat;
	int status = find_place(unpacking, name, &target);

	if (status < 0)
		return status;
	if (strcmp(target.path, place->path) == 0)
		status = fail(unpacking, EINVAL, place->path);
	if (status == 0)
		status = make_room(unpacking, place);
	if (status == 0 && (fstatat(target.parent, target.name, &stat, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(stat.st_mode)))
		status = fail(unpacking, ENOENT, target.path);
	/* Without AT_SYMLINK_FOLLOW a symbolic link is linked to itself. */
	if (status == 0 && linkat(target.parent, target.name, place->parent, place->name, 0) < 0)
		status = fail(unpacking, errno, place->path);
	close(target.parent);
	return status;
}

static int unpack_entry(struct unpacking *unpacking, struct archive_entry *entry, const struct place *place)
{
	const char *link = archive_entry_hardlink(entry);

	if (*place->name == '\0' && archive_entry_filetype(entry) != AE_IFDIR)
		return error_set(unpacking->error, EPERM, "the guest's archive is not what was asked for");
	if (link)
		return unpack_link(unpacking, link, place);
	switch (archive_entry_filetype(entry)) {
	case AE_IFDIR:
		return unpack_directory(unpacking, entry, place);
	case AE_IFREG:
		return unpack_file(unpacking, entry, place);
	case AE_IFLNK:
		return unpack_symlink(unpacking, entry, place);
	default:
		unpacking->left_out++;
		return 0;
	}
}

static int unpack_all(struct unpacking *unpacking)
{
	struct archive_entry *entry;
	int code, status = 0;

	while (status == 0 && (code = archive_read_next_header(unpacking->archive, &entry)) != ARCHIVE_EOF) {
		const char *name = code >= ARCHIVE_WARN ? archive_entry_pathname(entry) : NULL;
		struct place place;

		if (!name)
			return fail_archive(unpacking);
		status = find_place(unpacking, name, &place);
		if (status == 0) {
			status = unpack_entry(unpacking, entry, &place);
			close(place.parent);
		}
	}
	return status;
}

/* The last one first, so that what is inside comes before what it is in. */
static int finish_directories(struct unpacking *unpacking, int status)
{
	while (unpacking->later) {
		struct later *later = unpacking->later;
		cleanup_close int fd = path_open_beneath(unpacking->directory, later->path, O_RDONLY | O_DIRECTORY, 0);
		int result = fd;

		unpacking->later = later->next;
		if (fd >= 0)
			result = set_attributes(fd, later->mode, unpacking->options->owners, later->uid, later->gid,
						later->modified);
		if (status == 0 && result < 0)
			status = fail(unpacking, -result, later->path);
		free(later);
	}
	return status;
}

/* Whoever writes the stream isn't to be broken off behind the archive's end. */
static void read_rest(int from)
{
	char block[BLOCK];
	ssize_t count;

	do {
		count = read(from, block, sizeof(block));
	} while (count > 0 || (count < 0 && errno == EINTR));
}

int archive_unpack(int from, int directory, const struct archive_options *options, unsigned *left_out,
		   struct error *error)
{
	struct unpacking unpacking = {.options = options, .directory = directory, .error = error};
	struct archive *archive = archive_read_new();
	int status;

	unpacking.archive = archive;
	if (!archive)
		return error_errno(error, ENOMEM, "unpack");
	archive_read_support_format_tar(archive);
	archive_read_set_options(archive, "hdrcharset=BINARY");
	status = archive_read_open_fd(archive, from, BLOCK) == ARCHIVE_OK ? unpack_all(&unpacking) :
									   fail_archive(&unpacking);
	status = finish_directories(&unpacking, status);
	archive_read_free(archive);
	if (status == 0)
		read_rest(from);
	*left_out = unpacking.left_out;
	return status;
}
