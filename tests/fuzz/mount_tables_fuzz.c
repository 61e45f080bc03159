/* Tables of mounts, as the kernel has them: whoever mounts chooses what sources and paths are called. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/container/cgroup_parts.h"
#include "agent/metrics.h"
#include "lib/mount_table.h"
#include "tests/fuzz/fuzz.h"

static void read_mounts(const char *path)
{
	struct mount_table table;

	promise(mount_table_open(&table, path));
	while (mount_table_next(&table))
		promise(table.source && table.path && table.type && table.options);
	mount_table_close(&table);
}

static void read_cgroups(const char *path)
{
	struct cgroup_tree tree;
	struct error error = {0};
	int status = cgroup_tree_read(&tree, path, &error);

	promise(status == 0 || *error.text);
	promise(tree.hierarchy_count <= CGROUP_HIERARCHIES_MAX);
	promise(status < 0 || tree.hierarchy_count > 0);
	for (size_t i = 0; i < tree.hierarchy_count; i++) {
		promise(memchr(tree.hierarchies[i].controllers, '\0', sizeof(tree.hierarchies[i].controllers)));
		promise(strncmp(tree.hierarchies[i].mount, "/sys/fs/cgroup", 14) == 0);
	}
}

static void write_metrics(const char *path)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	promise(file);
	metrics_write_file_systems(file, path);
	fclose(file);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[FUZZ_PATH_SIZE];
	int fd = fuzz_file(data, size, path);

	read_mounts(path);
	read_cgroups(path);
	write_metrics(path);
	close(fd);
	return 0;
}
