// uses: runtime/source_tree.c runtime/source_path.c runtime/source_digest.c runtime/source_config.c runtime/signal_name.c lib/arena.c lib/error.c
/* Layers on top of each other, and the names in them. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "runtime/source_config.h"
#include "runtime/source_digest.h"
#include "runtime/source_path.h"
#include "runtime/source_tree.h"

static struct tree tree;
static struct error error;
static unsigned layer;
static uint64_t ordinal;

static int start(void **state)
{
	(void)state;
	layer = 0;
	ordinal = 0;
	memset(&error, 0, sizeof(error));
	return tree_init(&tree, 8, true, &error);
}

static int end(void **state)
{
	(void)state;
	tree_free(&tree);
	return 0;
}

static int add(const char *path, mode_t mode, const char *symlink, const char *hard_link)
{
	struct tree_meta meta = {.mode = mode, .link = symlink, .uid = layer};

	return tree_add(&tree, layer, ordinal++, path, &meta, hard_link, &error);
}

#define FILE_(path) assert_int_equal(add(path, S_IFREG | 0644, NULL, NULL), 0)
#define FOLDER(path) assert_int_equal(add(path, S_IFDIR | 0700, NULL, NULL), 0)
#define SYMLINK(path, target) assert_int_equal(add(path, S_IFLNK | 0777, target, NULL), 0)
#define HARD_LINK(path, target) assert_int_equal(add(path, S_IFREG, NULL, target), 0)
#define REFUSED(path) assert_true(add(path, S_IFREG | 0644, NULL, NULL) < 0)

/* The layer that a file is of, or -1 where there is none. */
static int layer_of(const char *path)
{
	const struct tree_node *node = tree_find(&tree, path);

	return node && node->inode ? (int)node->inode->layer : -1;
}

static bool is_folder(const char *path)
{
	const struct tree_node *node = tree_find(&tree, path);

	return node && node->directory;
}

static void later_layers_win(void **state)
{
	(void)state;
	FILE_("a");
	FOLDER("d");
	FILE_("d/kept");
	FILE_("turns/into/file");
	layer++;
	FILE_("./a");
	FOLDER("d/");
	FILE_("turns/into");
	FOLDER("a2");
	assert_int_equal(layer_of("a"), 1);
	assert_int_equal(layer_of("d/kept"), 0);
	assert_int_equal(tree_find(&tree, "d")->directory->uid, 1);
	assert_int_equal(layer_of("turns/into"), 1);
	assert_null(tree_find(&tree, "turns/into/file"));
	layer++;
	FOLDER("turns/into");
	assert_true(is_folder("turns/into"));
}

static void whiteouts(void **state)
{
	(void)state;
	FILE_("d/a");
	FILE_("d/b");
	FILE_("e/f/g");
	layer++;
	FILE_("d/.wh.a");
	FILE_(".wh.e");
	FILE_("d/.wh.never-was");
	FILE_("no/such/.wh.folder");
	assert_int_equal(layer_of("d/a"), -1);
	assert_int_equal(layer_of("d/b"), 0);
	assert_null(tree_find(&tree, "e"));
	assert_null(tree_find(&tree, "no"));
	assert_null(tree_find(&tree, "d/.wh.a"));
	layer++;
	FILE_("d/a");
	assert_int_equal(layer_of("d/a"), 2);
}

/* A marker is about the layers below, wherever in its own layer it stands. */
static void whiteouts_spare_their_own_layer(void **state)
{
	(void)state;
	FILE_("d/old");
	FILE_("d/sub/old");
	layer++;
	FILE_("d/new");
	FILE_("d/sub/new");
	FILE_("d/.wh..wh..opq");
	FILE_("d/later");
	assert_int_equal(layer_of("d/old"), -1);
	assert_int_equal(layer_of("d/sub/old"), -1);
	assert_int_equal(layer_of("d/new"), 1);
	assert_int_equal(layer_of("d/sub/new"), 1);
	assert_int_equal(layer_of("d/later"), 1);
	FILE_("d/.wh.new");
	assert_int_equal(layer_of("d/new"), 1);
}

static void plain_archives_have_none(void **state)
{
	(void)state;
	tree_free(&tree);
	assert_int_equal(tree_init(&tree, 1, false, &error), 0);
	FILE_("a");
	FILE_(".wh.a");
	assert_int_equal(layer_of("a"), 0);
	assert_int_equal(layer_of(".wh.a"), 0);
}

static void hard_links(void **state)
{
	const struct tree_inode *inode;

	(void)state;
	FILE_("d/a");
	HARD_LINK("b", "d/a");
	HARD_LINK("c", "./b");
	inode = tree_find(&tree, "b")->inode;
	assert_ptr_equal(inode, tree_find(&tree, "d/a")->inode);
	assert_ptr_equal(inode, tree_find(&tree, "c")->inode);
	layer++;
	/* A name that goes, or gets another file, takes nothing from the others. */
	FILE_("d/.wh.a");
	FILE_("b");
	assert_ptr_equal(inode, tree_find(&tree, "c")->inode);
	assert_ptr_equal(inode->names, tree_find(&tree, "c"));
	assert_null(inode->names->next_name);
	assert_int_equal(layer_of("b"), 1);
	/* To a file of a layer below, and to itself. */
	HARD_LINK("e", "c");
	HARD_LINK("e", "e");
	assert_ptr_equal(inode, tree_find(&tree, "e")->inode);
}

static void bad_hard_links(void **state)
{
	static const char *const bad[] = {"none", "../etc/passwd", "/etc/passwd", "d", "", "a/b", "new"};

	(void)state;
	FOLDER("d");
	FILE_("a");
	for (size_t i = 0; i < array_size(bad); i++)
		assert_true(add("new", S_IFREG, NULL, bad[i]) < 0);
}

static void symlinks_stay_inside(void **state)
{
	(void)state;
	FOLDER("usr/lib");
	SYMLINK("lib", "usr/lib");
	SYMLINK("up", "../../../..");
	SYMLINK("abs", "/usr");
	SYMLINK("dangling", "/not/yet");
	layer++;
	FILE_("lib/a");
	FILE_("up/b");
	FILE_("abs/lib/c");
	FILE_("dangling/d");
	assert_int_equal(layer_of("usr/lib/a"), 1);
	assert_int_equal(layer_of("b"), 1);
	assert_int_equal(layer_of("usr/lib/c"), 1);
	assert_int_equal(layer_of("not/yet/d"), 1);
	/* The symlink itself is replaced, not what it leads to. */
	FILE_("lib");
	assert_int_equal(layer_of("lib"), 1);
	assert_true(is_folder("usr/lib"));
}

static void refused_names(void **state)
{
	static const char *const bad[] = {
		"..", "../a", "a/..", "a/../../b", "/a", "//a", "./../a", ".wh.", ".wh..", ".wh...", "d/.wh...",
	};
	char deep[2 * PATH_MAX];

	(void)state;
	SYMLINK("loop", "loop");
	FILE_("file");
	for (size_t i = 0; i < array_size(bad); i++)
		REFUSED(bad[i]);
	REFUSED("loop/a");
	REFUSED("file/a");
	REFUSED(".");
	memset(deep, 'a', 256);
	deep[256] = '\0';
	REFUSED(deep);
	for (size_t i = 0; i < sizeof(deep) - 1; i++)
		deep[i] = i % 2 ? '/' : 'd';
	deep[sizeof(deep) - 1] = '\0';
	REFUSED(deep);
}

/* As deep as it goes, and all of it taken away again. */
static void deep_nesting(void **state)
{
	char deep[PATH_MAX - 8], path[PATH_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(deep) - 1; i++)
		deep[i] = i % 2 ? '/' : 'd';
	deep[sizeof(deep) - 1] = '\0';
	FILE_(deep);
	assert_non_null(tree_find(&tree, deep));
	assert_true(tree_path(tree_find(&tree, deep), path));
	assert_int_equal(strlen(path), strlen(deep) - (deep[strlen(deep) - 1] == '/'));
	/* Longer by a symlink: in the tree, but no path. */
	SYMLINK("s", "d/d/d/d/d/d/d/d");
	FILE_(".wh.d");
	layer++;
	FILE_(".wh.d");
	assert_null(tree_find(&tree, "d"));
}

static void links_in_archives(void **state)
{
	char clean[PATH_MAX];

	(void)state;
	assert_int_equal(source_path_link("a/layer.tar", "../b/layer.tar", clean, &error), 0);
	assert_string_equal(clean, "b/layer.tar");
	assert_int_equal(source_path_link("a/b/c", "../../d", clean, &error), 0);
	assert_string_equal(clean, "d");
	assert_int_equal(source_path_link("a", "b", clean, &error), 0);
	assert_string_equal(clean, "b");
	assert_true(source_path_link("a/b", "../../c", clean, &error) < 0);
	assert_true(source_path_link("a/b", "/c", clean, &error) < 0);
	assert_true(source_path_link("a/b", "c/../d", clean, &error) < 0);
}

static void digests(void **state)
{
	static const char *const bad[] = {
		"", "sha256", "sha256:", "sha256:abc", "md5:d41d8cd98f00b204e9800998ecf8427e",
		"sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
		"sha256:../../../../../../../../../../../../../../../../../../../etc/pass",
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8550",
		" sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	};
	struct digest empty, actual;
	struct digest_state counting;

	(void)state;
	assert_int_equal(digest_parse(&empty,
				      "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", &error),
			 0);
	digest_start(&counting, &empty);
	digest_finish(&counting, &actual);
	assert_true(digest_same(&empty, &actual));
	digest_start(&counting, &empty);
	digest_add(&counting, "a", 1);
	digest_finish(&counting, &actual);
	assert_false(digest_same(&empty, &actual));
	for (size_t i = 0; i < array_size(bad); i++)
		assert_true(digest_parse(&actual, bad[i], &error) < 0);
	assert_false(digest_same(&(struct digest){0}, &(struct digest){0}));
}

static void configurations(void **state)
{
	static const char *const bad[] = {
		"", "[]", "{", "{\"config\": {\"Env\": \"A=1\"}}", "{\"config\": {\"Env\": [\"A\"]}}",
		"{\"config\": {\"Cmd\": [1]}}", "{\"config\": {\"WorkingDir\": \"here\"}}",
		"{\"config\": {\"StopSignal\": \"SIGNONE\"}}", "{\"rootfs\": {\"diff_ids\": [{}]}}",
	};
	struct image_config config;

	(void)state;
	assert_int_equal(image_config_parse(&config, "{\"config\": {\"Env\": [\"A=1\"], \"Entrypoint\": null, \"Cmd\": "
					    "[\"x\"], \"User\": \"\", \"StopSignal\": \"INT\"}, \"rootfs\": "
					    "{\"diff_ids\": [\"d\"]}}", &error), 0);
	assert_string_equal(config.environment[0], "A=1");
	assert_null(config.entrypoint[0]);
	assert_string_equal(config.command[0], "x");
	assert_null(config.user);
	assert_int_equal(config.stop_signal, SIGINT);
	assert_int_equal(config.layer_count, 1);
	image_config_free(&config);
	for (size_t i = 0; i < array_size(bad); i++) {
		assert_true(image_config_parse(&config, bad[i], &error) < 0);
		image_config_free(&config);
	}
}

#define IN_A_TREE(test) cmocka_unit_test_setup_teardown(test, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_TREE(later_layers_win), IN_A_TREE(whiteouts), IN_A_TREE(whiteouts_spare_their_own_layer),
		IN_A_TREE(plain_archives_have_none), IN_A_TREE(hard_links), IN_A_TREE(bad_hard_links),
		IN_A_TREE(symlinks_stay_inside), IN_A_TREE(refused_names), IN_A_TREE(deep_nesting),
		cmocka_unit_test(links_in_archives), cmocka_unit_test(digests), 
		cmocka_unit_test(configurations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
