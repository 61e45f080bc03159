/* Memory of the guest, as tmpfs or huge pages, and folders of it: volumes which live as long as the sandbox. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "agent/storage/drivers.h"
#include "agent/storage/mount.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

/* Huge pages --------------------------------------------------------------------------------------------------- */

struct huge_pages {
	uint64_t page_size; /* bytes */
	uint64_t pages;
};

/* "key=N" in comma-separated options. 0 where there is none, or no number. */
static uint64_t find_in_data(const char *data, const char *key)
{
	size_t length = strlen(key);

	for (const char *word = data; *word; word += strcspn(word, ","), word += *word == ',')
		if (strncmp(word, key, length) == 0 && word[length] == '=' && word[length + 1] != '-') {
			char *end;
			uint64_t number = strtoull(word + length + 1, &end, 10);

			return *end == '\0' || *end == ',' ? number : 0;
		}
	return 0;
}

/* Runtimes send "pagesize=BYTES,size=BYTES", as one word. */
static int parse_huge_pages(struct huge_pages *huge, const char *data, struct error *error)
{
	huge->page_size = find_in_data(data, "pagesize");
	if (huge->page_size == 0)
		return error_set(error, EINVAL, "hugetlbfs: '%.80s' has no pagesize=BYTES", data);
	huge->pages = find_in_data(data, "size") / huge->page_size;
	if (huge->pages == 0 || huge->pages > INT64_MAX)
		return error_set(error, EINVAL, "hugetlbfs: '%.80s' has no size=BYTES of a page or more", data);
	return 0;
}

static int read_pages(int pool, int64_t *pages)
{
	char text[32] = "";

	if (pread(pool, text, sizeof(text) - 1, 0) <= 0)
		return -EIO;
	*pages = strtoll(text, NULL, 10);
	return 0;
}

static int write_pages(int pool, int64_t pages)
{
	return dprintf(pool, "%lld\n", (long long)pages) < 0 ? -errno : 0;
}

/* Makes the guest's pool of pages of that size so much larger or smaller: it serves every volume of that size, and what the
 * boot has put there. The kernel takes a number that it can't satisfy and gives fewer. */
static int change_pool(uint64_t page_size, int64_t change, struct error *error)
{
	cleanup_close int pool = -1;
	int64_t before, after;
	char path[96];

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%llukB/nr_hugepages",
		 (unsigned long long)page_size / 1024);
	pool = open(path, O_RDWR | O_CLOEXEC);
	if (pool < 0 && errno == ENOENT)
		return error_set(error, EINVAL, "hugetlbfs: this guest has no pages of %llu bytes",
				 (unsigned long long)page_size);
	/* Other jobs may be at it. */
	if (pool < 0 || flock(pool, LOCK_EX) < 0 || read_pages(pool, &before) < 0)
		return error_errno(error, errno, "open %s", path);
	if (change > INT64_MAX - before)
		return error_set(error, EINVAL, "hugetlbfs: more pages than there can be");
	if (write_pages(pool, before + change > 0 ? before + change : 0) < 0 || read_pages(pool, &after) < 0)
		return error_errno(error, errno, "write %s", path);
	if (after >= before + change)
		return 0;
	write_pages(pool, before);
	return error_set(error, ENOMEM, "Only allocated %lld of %lld hugepages of size %llu",
			 (long long)(after - before), (long long)change, (unsigned long long)page_size);
}

static int mount_huge_pages(const struct storage_request *request, const struct mount_options *options,
			    struct error *error)
{
	struct huge_pages huge = {0};
	int status = parse_huge_pages(&huge, options->data, error);

	if (status == 0 && mount_is_there(request->mount_point, "hugetlbfs"))
		return 1;
	if (status == 0)
		status = change_pool(huge.page_size, (int64_t)huge.pages, error);
	if (status < 0)
		return status;
	status = mount_source(request, request->source, options, error);
	if (status < 0)
		change_pool(huge.page_size, -(int64_t)huge.pages, NULL);
	return status;
}

/* tmpfs -------------------------------------------------------------------------------------------------------- */

static int give_to_group(const char *mount_point, gid_t group, struct error *error)
{
	struct stat status;

	if (stat(mount_point, &status) < 0 || chown(mount_point, (uid_t)-1, group) < 0 ||
	    chmod(mount_point, (status.st_mode & 07777) | S_ISGID) < 0)
		return error_errno(error, errno, "give %s to group %u", mount_point, group);
	return 0;
}

int driver_ephemeral(const struct storage_request *request, struct error *error)
{
	struct mount_options options;
	long group;
	int status = options_number(request->options, request->option_count, "fsgid", 10, &group, error), mounted;

	if (status == 0)
		status = options_parse_without(&options, request->options, request->option_count, "fsgid", error);
	if (status < 0)
		return status;
	if (strcmp(request->fstype, "hugetlbfs") == 0)
		mounted = mount_huge_pages(request, &options, error);
	else
		mounted = mount_source(request, request->source, &options, error);
	if (mounted < 0 || group < 0)
		return mounted;
	status = give_to_group(request->mount_point, (gid_t)group, error);
	if (status < 0 && mounted == 0)
		driver_ephemeral_unmount(request, NULL);
	return status < 0 ? status : mounted;
}

int driver_ephemeral_unmount(const struct storage_request *request, struct error *error)
{
	struct statfs before;
	bool huge_pages = statfs(request->mount_point, &before) == 0 && before.f_type == HUGETLBFS_MAGIC;
	int status = storage_unmount(request->mount_point, error);

	/* A huge page is a block there, and its size in pages what it was mounted with. */
	if (status == 0 && huge_pages)
		status = change_pool((uint64_t)before.f_bsize, -(int64_t)before.f_blocks, error);
	return status;
}

/* A folder, shared by containers. */
int driver_local(const struct storage_request *request, struct error *error)
{
	long group, mode;
	int status = options_number(request->options, request->option_count, "fsgid", 10, &group, error);

	if (status == 0)
		status = options_number(request->options, request->option_count, "mode", 8, &mode, error);
	if (status == 0)
		status = mount_make_directory(request->mount_point, error);
	if (status < 0)
		return status;
	if (group >= 0 && chown(request->mount_point, (uid_t)-1, (gid_t)group) < 0)
		return error_errno(error, errno, "give %s to group %ld", request->mount_point, group);
	if (mode >= 0 && chmod(request->mount_point, ((mode_t)mode & 07777) | (group >= 0 ? S_ISGID : 0)) < 0)
		return error_errno(error, errno, "change the mode of %s", request->mount_point);
	return 0;
}
