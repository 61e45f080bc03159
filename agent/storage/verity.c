/* A table of one target, for each layer. */
#include "agent/storage/verity.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/dm-ioctl.h>

#include "agent/storage/options.h"
#include "lib/cleanup.h"

#define PREFIX "X-kata.dmverity."
#define CONTROL "/dev/mapper/control"
#define SALT_MAX 256
#define SECTOR 512
#define DIGITS "0123456789abcdefABCDEF"

/* As it lies in front of the hash tree; numbers are little-endian. */
struct superblock {
	char signature[8];
	uint32_t version, hash_type;
	uint8_t uuid[16];
	char algorithm[32];
	uint32_t data_block_size, hash_block_size;
	uint64_t data_blocks;
	uint16_t salt_size;
	uint8_t padding[6];
	uint8_t salt[SALT_MAX];
	uint8_t padding_too[168];
};

struct table {
	const char *root_hash;
	const char *salt;
	const char *algorithm;
	uint64_t hash_offset, data_block_size, hash_block_size, hash_type;
	bool superblock;
	/* What the superblock says. */
	char salt_text[2 * SALT_MAX + 1], algorithm_text[33];
};

/* What the words and the superblock say ------------------------------------------------------------------------ */

/* A number among the words; it stays as it is where they don't have it. */
static int find_number(const char *const *words, size_t count, const char *key, uint64_t *number, struct error *error)
{
	const char *text = options_find(words, count, key);
	char *end;

	if (!text)
		return 0;
	errno = 0;
	*number = strtoull(text, &end, 10);
	if (errno != 0 || *text == '-' || end == text || *end || *number > INT64_MAX)
		return error_set(error, EINVAL, "option %s=%.40s is no number", key, text);
	return 0;
}

static void take_text(const char *const *words, size_t count, const char *key, const char **text)
{
	const char *found = options_find(words, count, key);

	if (found && *found)
		*text = found;
}

static int read_superblock(struct table *table, const char *device, struct error *error)
{
	cleanup_close int fd = open(device, O_RDONLY | O_CLOEXEC);
	struct superblock block;
	uint16_t salt_size;

	if (fd < 0 || pread(fd, &block, sizeof(block), (off_t)table->hash_offset) != sizeof(block))
		return error_errno(error, fd < 0 ? errno : EIO, "read the dm-verity superblock of %s", device);
	salt_size = le16toh(block.salt_size);
	if (memcmp(block.signature, "verity\0\0", sizeof(block.signature)) != 0 || le32toh(block.version) != 1 ||
	    salt_size > SALT_MAX)
		return error_set(error, EINVAL, "%s has no dm-verity superblock at hashoffset %llu", device,
				 (unsigned long long)table->hash_offset);
	memcpy(table->algorithm_text, block.algorithm, sizeof(block.algorithm));
	table->algorithm = table->algorithm_text;
	for (unsigned i = 0; i < salt_size; i++)
		sprintf(table->salt_text + 2 * (size_t)i, "%02x", block.salt[i]);
	if (salt_size > 0)
		table->salt = table->salt_text;
	table->data_block_size = le32toh(block.data_block_size);
	table->hash_block_size = le32toh(block.hash_block_size);
	table->hash_type = le32toh(block.hash_type);
	return 0;
}

/* Each is one word of the table. */
static int check_words(const struct table *table, struct error *error)
{
	if (!*table->root_hash || table->root_hash[strspn(table->root_hash, DIGITS)])
		return error_set(error, EINVAL, PREFIX "roothash=%.80s is no hash", table->root_hash);
	if (strcmp(table->salt, "-") != 0 && table->salt[strspn(table->salt, DIGITS)])
		return error_set(error, EINVAL, PREFIX "salt=%.80s is no salt", table->salt);
	if (!*table->algorithm || table->algorithm[strcspn(table->algorithm, " \t\n\\")])
		return error_set(error, EINVAL, PREFIX "algorithm=%.80s is no algorithm", table->algorithm);
	if (table->data_block_size < SECTOR || table->hash_block_size < SECTOR ||
	    table->data_block_size > INT32_MAX || table->hash_block_size > INT32_MAX)
		return error_set(error, EINVAL, PREFIX "blocksize or hashsize is no size of a block");
	if (table->hash_offset == 0 || table->hash_offset % table->data_block_size ||
	    table->hash_offset % table->hash_block_size)
		return error_set(error, EINVAL, PREFIX "hashoffset=%llu is not aligned to the blocks",
				 (unsigned long long)table->hash_offset);
	return 0;
}

static int fill(struct table *table, const char *device, const char *const *words, size_t count, struct error *error)
{
	const char *without = options_find(words, count, PREFIX "no-superblock");
	int status;

	*table = (struct table){
		.root_hash = "", .salt = "-", .algorithm = "sha256", .data_block_size = 4096, .hash_block_size = 4096,
		.hash_type = 1, .superblock = !without || strcmp(without, "true") != 0,
	};
	status = find_number(words, count, PREFIX "hashoffset", &table->hash_offset, error);
	if (status == 0 && table->superblock)
		status = read_superblock(table, device, error);
	if (status == 0)
		status = find_number(words, count, PREFIX "blocksize", &table->data_block_size, error);
	if (status == 0)
		status = find_number(words, count, PREFIX "hashsize", &table->hash_block_size, error);
	if (status == 0)
		status = find_number(words, count, PREFIX "hashtype", &table->hash_type, error);
	take_text(words, count, PREFIX "roothash", &table->root_hash);
	take_text(words, count, PREFIX "salt", &table->salt);
	take_text(words, count, PREFIX "algorithm", &table->algorithm);
	return status < 0 ? status : check_words(table, error);
}

/* The device mapper -------------------------------------------------------------------------------------------- */

struct request {
	struct dm_ioctl head;
	struct dm_target_spec target;
	char parameters[2048];
};

static int control(unsigned long command, const char *name, uint32_t flags, struct request *request)
{
	cleanup_close int fd = open(CONTROL, O_RDWR | O_CLOEXEC);

	request->head.version[0] = DM_VERSION_MAJOR;
	request->head.data_size = sizeof(*request);
	request->head.data_start = offsetof(struct request, target);
	request->head.flags = flags;
	snprintf(request->head.name, sizeof(request->head.name), "%s", name);
	return fd < 0 || ioctl(fd, command, request) < 0 ? -errno : 0;
}

static int load_table(const char *name, const char *device, const struct table *table, struct error *error)
{
	uint64_t blocks = table->hash_offset / table->data_block_size;
	struct request request = {
		.head.target_count = 1,
		.target = {.length = table->hash_offset / SECTOR, .target_type = "verity"},
	};
	/* The superblock takes the first block of the tree's. */
	int length = snprintf(request.parameters, sizeof(request.parameters), "%u %s %s %u %u %llu %llu %s %s %s",
			      (unsigned)table->hash_type, device, device, (unsigned)table->data_block_size,
			      (unsigned)table->hash_block_size, (unsigned long long)blocks,
			      (unsigned long long)table->hash_offset / table->hash_block_size + table->superblock,
			      table->algorithm, table->root_hash, table->salt);
	int status;

	if (length < 0 || (size_t)length >= sizeof(request.parameters))
		return error_set(error, EINVAL, "the options of dm-verity are too long");
	status = control(DM_TABLE_LOAD, name, DM_READONLY_FLAG, &request);
	return status < 0 ? error_errno(error, -status, "set up dm-verity on %s", device) : 0;
}

int verity_open(const char *name, const char *device, const char *const *words, size_t count,
		char path[DISK_PATH_SIZE], struct error *error)
{
	struct request request = {0};
	struct table table;
	int status = fill(&table, device, words, count, error);

	if (status < 0)
		return status;
	status = control(DM_DEV_CREATE, name, DM_READONLY_FLAG, &request);
	if (status < 0)
		return error_errno(error, -status, "make the dm-verity device %s", name);
	snprintf(path, DISK_PATH_SIZE, "/dev/dm-%u", minor(request.head.dev));
	status = load_table(name, device, &table, error);
	if (status == 0) {
		request = (struct request){0};
		/* Without the flag that suspends, it resumes: the table comes into use. */
		status = control(DM_DEV_SUSPEND, name, 0, &request);
		if (status < 0)
			error_errno(error, -status, "start dm-verity on %s", device);
	}
	if (status < 0)
		verity_close(name);
	return status;
}

void verity_close(const char *name)
{
	struct request request = {0};

	control(DM_DEV_REMOVE, name, DM_DEFERRED_REMOVE, &request);
}
