// uses: agent/metrics.c agent/metrics_fs.c lib/utf8.c
/* Metrics: names, labels that have to be escaped, and texts that are no UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/metrics.h"
#include "lib/cleanup.h"
#include "lib/utf8.h"

static void names_are_those_of_kata(void **state)
{
	static const char *const names[][2] = {
		{"MemTotal", "mem_total"},	 {"Active(anon)", "active_anon"},     {"SReclaimable", "s_reclaimable"},
		{"NFS_Unstable", "nfs_unstable"}, {"Committed_AS", "committed_as"},   {"AnonHugePages", "anon_hugepages"},
		{"HugePages_Total", "hugepages_total"}, {"Hugepagesize", "hugepagesize"}, {"DirectMap4k", "direct_map_4k"},
		{"DirectMap2M", "direct_map_2M"}, {"Percpu", "per_cpu"},	      {"KReclaimable", "k_reclaimable"},
		{"ShmemPmdMapped", "shmem_pmd_mapped"}, {"WritebackTmp", "writeback_tmp"},
	};
	char item[64];

	(void)state;
	for (size_t i = 0; i < array_size(names); i++) {
		metrics_item_name(names[i][0], item, sizeof(item));
		assert_string_equal(item, names[i][1]);
	}
	/* Cut, and terminated. */
	metrics_item_name("AAAAAAAAAAAAAAAAAAAA", item, 8);
	assert_true(strlen(item) < 8);
}

/* What is written of the file systems in a mountinfo with `lines`, in which %s is `directory`. */
static char *file_systems(const char *lines, const char *directory)
{
	char path[] = "/tmp/mountinfo-XXXXXX";
	FILE *mounts = fdopen(mkstemp(path), "w"), *file;
	char *text = NULL;
	size_t size = 0;

	assert_non_null(mounts);
	fprintf(mounts, lines, directory, directory);
	fclose(mounts);
	file = open_memstream(&text, &size);
	metrics_write_file_systems(file, path);
	fclose(file);
	unlink(path);
	return text;
}

static void labels_are_escaped(void **state)
{
	char directory[] = "/tmp/metrics-XXXXXX";
	cleanup_free char *text = NULL, *path = NULL;

	(void)state;
	assert_non_null(mkdtemp(directory));
	assert_true(asprintf(&path, "%s/a \"b\\c\xff\n", directory) > 0);
	assert_int_equal(mkdir(path, 0700), 0);
	text = file_systems("30 1 8:1 / %s/a\\040\"b\\134c\xff\\012 rw,relatime shared:1 - ext4 /dev/\"x rw\n", directory);
	assert_non_null(strstr(text, "/a \\\"b\\\\c\xef\xbf\xbd\\n\",device=\"/dev/\\\"x\",item=\"total\"} "));
	assert_null(strchr(text, '\xff'));
	rmdir(path);
	rmdir(directory);
}

static void each_writable_file_system_counts_once(void **state)
{
	static const char lines[] = "30 1 8:1 / %s rw - ext4 /dev/a rw\n31 1 8:1 / %s rw - ext4 /dev/again rw\n"
				    "32 1 8:2 / /tmp ro - xfs /dev/readonly rw\n33 1 0:9 / /tmp rw - tmpfs none rw\n"
				    "34 1 8:4 / /nowhere/at/all rw - ext4 /dev/gone rw\nnot a line\n35 1 8:5\n"
				    "36 1 0:40 / /tmp rw - overlay overlay rw\n";
	cleanup_free char *text = file_systems(lines, "/tmp");
	size_t samples = 0;

	(void)state;
	for (const char *at = text; (at = strstr(at, "device=")); at++)
		samples++;
	assert_int_equal(samples, 2 * 2 * 3); /* two file systems, bytes and inodes, three items */
	assert_null(strstr(text, "/dev/again"));
	assert_null(strstr(text, "readonly"));
	assert_non_null(strstr(text, "# TYPE kata_guest_filesystem_inodes gauge\n"));
}

static void texts_become_utf8(void **state)
{
	static const struct {
		const char *from;
		size_t length;
		const char *to;
	} texts[] = {
		{"plain", 5, "plain"},
		{"a\0b", 3, "a\xef\xbf\xbd"
			    "b"},
		{"\xc3\xa9\xf0\x9f\x98\x80", 6, "\xc3\xa9\xf0\x9f\x98\x80"},
		{"\xc3", 1, "\xef\xbf\xbd"},			     /* cut */
		{"\xc0\x80", 2, "\xef\xbf\xbd\xef\xbf\xbd"},	     /* too long a form */
		{"\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* half of a pair */
		{"\xf4\x90\x80\x80", 4, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"", 0, ""},
	};
	char to[UTF8_COPY_SIZE(16)];

	(void)state;
	for (size_t i = 0; i < array_size(texts); i++) {
		utf8_copy(to, texts[i].from, texts[i].length);
		assert_string_equal(to, texts[i].to);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_those_of_kata),
		cmocka_unit_test(labels_are_escaped),
		cmocka_unit_test(each_writable_file_system_counts_once),
		cmocka_unit_test(texts_become_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
