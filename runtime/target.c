/* Two ways to a directory with sockets. */
#include "runtime/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "runtime/record.h"

/* A container of ours that runs, or is about to. */
static int find_own(struct target *target, const char *name, struct error *error)
{
	struct record record;
	int status = record_open(&record, name, error);

	if (status == 0 && record.state != RECORD_RUNNING && record.state != RECORD_CREATING)
		status = error_set(error, ESRCH, "the container %s isn't running", name);
	if (status == 0) {
		target->directory = strdup(record.directory.path);
		target->memory = (uint64_t)json_integer_value(json_object_get(record.config, "memory"));
	}
	record_close(&record);
	return status;
}

static int find_other(struct target *target, const char *directory, struct error *error)
{
	struct stat status;

	if (stat(directory, &status) < 0)
		return error_errno(error, errno, "--dir: %s", directory);
	if (!S_ISDIR(status.st_mode))
		return error_errno(error, ENOTDIR, "--dir: %s", directory);
	target->directory = strdup(directory);
	return 0;
}

int target_open(struct target *target, const char *directory, const char *name, struct error *error)
{
	int status;

	*target = (struct target){0};
	if (!directory && !name)
		return error_set(error, EINVAL, "the name of a container is missing");
	status = directory ? find_other(target, directory, error) : find_own(target, name, error);
	if (status < 0)
		return status;
	target->container = name ? strdup(name) : NULL;
	return target->directory && (!name || target->container) ? 0 : error_errno(error, ENOMEM, "name of a container");
}

int target_open_machine(struct target *target, const char *directory, const char *name, struct error *error)
{
	*target = (struct target){0};
	if (directory && name)
		return error_set(error, EINVAL, "--dir names the VM already: %s is one argument too many", name);
	return target_open(target, directory, name, error);
}

void target_close(struct target *target)
{
	free(target->directory);
	free(target->container);
	*target = (struct target){0};
}
