// uses: agent/device/cdi.c agent/device/cdi_edits.c agent/device/json.c agent/device/device_spec.c
// uses: lib/match.c lib/arena.c lib/error.c lib/fd.c lib/loop.c
/* CDI: JSON, names of devices, and what files make of a spec. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/device/cdi.h"
#include "agent/device/json.h"

static struct error error;
static struct arena arena;
static char directory[] = "/tmp/nacre-cdi.XXXXXX";
static Grpc__Spec spec;
static Grpc__Process process;
static char *environment[] = {"A=b", "VISIBLE_CDI_DEVICES=vendor.com/net=0,1:other.com/x=y"};
static Grpc__Spec__AnnotationsEntry annotation, *annotations[] = {&annotation};

static void write_file(const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int set_up(void **state)
{
	(void)state;
	arena_init(&arena, ARENA_FORK, 1 << 20);
	grpc__spec__init(&spec);
	grpc__process__init(&process);
	grpc__spec__annotations_entry__init(&annotation);
	annotation.key = "cdi.k8s.io/vfio17";
	annotation.value = "vendor.com/net=0";
	process.env = environment;
	process.n_env = 2;
	spec.process = &process;
	spec.annotations = annotations;
	spec.n_annotations = 1;
	strcpy(directory + strlen(directory) - 6, "XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[PATH_MAX];

	(void)state;
	arena_free(&arena);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

static const struct json *parse(const char *text)
{
	char *copy = arena_strdup(&arena, text);

	return json_parse(copy, &arena);
}

static void json_is_read_as_it_is_written(void **state)
{
	const struct json *value = parse(" {\"a\" : \"x\\u00e9\\n\\ud83d\\ude00\\/\", \"b\":[1,-2,3.5e-2,true,null,{}],\"c\":{\"\":\"\"}} ");
	const struct json *list = json_find(value, "b");

	(void)state;
	assert_non_null(value);
	assert_string_equal(json_text(value, "a"), "x\xc3\xa9\n\xf0\x9f\x98\x80/");
	assert_int_equal(list->kind, JSON_LIST);
	assert_int_equal(list->first->number, 1);
	assert_int_equal(list->first->next->number, -2);
	assert_int_equal(list->first->next->next->kind, JSON_OTHER);
	assert_int_equal(json_number(value, "a", 7), 7);
	assert_null(json_text(value, "b"));
	assert_null(json_find(list, "a"));
	assert_string_equal(json_text(json_find(value, "c"), ""), "");
	assert_int_equal(parse("99999999999999999999")->kind, JSON_OTHER);
}

static void what_is_no_json_is_refused(void **state)
{
	static const char *const texts[] = {
		"", " ", "{", "[", "\"", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "[1,]", "[1 2]", "{a:1}", "01", "-", "1.", "1e",
		".5", "tru", "nulll", "1 1", "\"\\x\"", "\"\\u12\"", "\"\\u0000\"", "\"\\ud800\"", "\"\\ud800\\u0041\"",
		"\"\\udc00\"", "\"a\nb\"", "{\"a\":1}}", "\"\\", "\"\\u", "{\"a\":\"b}",
	};
	char deep[128] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (parse(texts[i]))
			fail_msg("taken for JSON: %s", texts[i]);
	memset(deep, '[', 33);
	memset(deep + 33, ']', 33);
	assert_null(parse(deep));
	deep[65] = '\0';
	assert_non_null(parse(deep + 1));
}

#define DEVICES                                                                                                      \
	"{\"cdiVersion\": \"0.6.0\", \"kind\": \"vendor.com/net\", \"devices\": ["                                      \
	"{\"name\": \"0\", \"containerEdits\": {\"env\": [\"CARD=0\"], \"deviceNodes\": [{\"path\": \"/dev/null\"},"    \
	"{\"path\": \"/dev/card\", \"hostPath\": \"/dev/zero\", \"permissions\": \"rw\", \"fileMode\": 384, \"uid\": 5}," \
	"{\"path\": \"/dev/made\", \"type\": \"b\", \"major\": 240, \"minor\": 3}]}},"                                   \
	"{\"name\": \"1\", \"containerEdits\": {\"env\": [\"OTHER=1\"]}}],"                                             \
	"\"containerEdits\": {\"mounts\": [{\"hostPath\": \"/usr/lib/x\", \"containerPath\": \"/lib/x\","               \
	"\"options\": [\"ro\", \"rbind\"]}, {\"hostPath\": \"/a\", \"containerPath\": \"/b\"}], \"additionalGids\": [44]}}"

static int inject(bool visible, uint64_t timeout)
{
	return cdi_inject(&spec, visible, directory, timeout, &arena, &error);
}

static void a_device_changes_the_spec(void **state)
{
	(void)state;
	write_file("vendor.json", DEVICES);
	write_file("broken.json", "{");
	assert_int_equal(inject(false, 0), 0);
	assert_int_equal(process.n_env, 3);
	assert_string_equal(process.env[2], "CARD=0");
	assert_int_equal(spec.linux->n_devices, 3);
	assert_int_equal(spec.linux->devices[0]->major, 1);
	assert_int_equal(spec.linux->devices[0]->minor, 3);
	assert_string_equal(spec.linux->devices[1]->path, "/dev/card");
	assert_int_equal(spec.linux->devices[1]->minor, 5);
	assert_int_equal(spec.linux->devices[1]->filemode, 0600);
	assert_int_equal(spec.linux->devices[1]->uid, 5);
	assert_string_equal(spec.linux->devices[2]->type, "b");
	assert_int_equal(spec.linux->devices[2]->major, 240);
	assert_int_equal(spec.linux->resources->n_devices, 3);
	assert_string_equal(spec.linux->resources->devices[1]->access, "rw");
	assert_int_equal(spec.n_mounts, 2);
	assert_string_equal(spec.mounts[0]->source, "/usr/lib/x");
	assert_string_equal(spec.mounts[0]->destination, "/lib/x");
	assert_int_equal(spec.mounts[0]->n_options, 2);
	assert_string_equal(spec.mounts[1]->options[0], "bind");
	assert_int_equal(process.user->n_additionalgids, 1);
	assert_int_equal(process.user->additionalgids[0], 44);
}

static void names_come_from_the_variable_too_where_that_is_wanted(void **state)
{
	(void)state;
	write_file("vendor.json", DEVICES);
	write_file("other.json", "{\"kind\": \"other.com/x\", \"devices\": [{\"name\": \"y\", \"containerEdits\": {\"env\": [\"Y=1\"]}}]}");
	assert_int_equal(inject(true, 0), 0);
	assert_int_equal(process.n_env, 5);
	assert_int_equal(spec.n_mounts, 2);
	spec.n_annotations = 0;
	assert_true(cdi_wanted(&spec, true));
	assert_false(cdi_wanted(&spec, false));
	process.n_env = 2;
	environment[1] = "VISIBLE_CDI_DEVICES=none";
	process.env = environment;
	assert_int_equal(inject(true, 0), 0);
	assert_int_equal(process.n_env, 2);
}

static void a_sandbox_gets_none(void **state)
{
	static Grpc__Spec__AnnotationsEntry type, *both[] = {&annotation, &type};

	(void)state;
	grpc__spec__annotations_entry__init(&type);
	type.key = "io.katacontainers.pkg.oci.container_type";
	type.value = "pod_sandbox";
	spec.annotations = both;
	spec.n_annotations = 2;
	assert_false(cdi_wanted(&spec, true));
	type.value = "pod_container";
	assert_true(cdi_wanted(&spec, true));
}

static void fails(int number, const char *text, int status)
{
	assert_int_equal(status, -number);
	if (!strstr(error.text, text))
		fail_msg("%s: not in: %s", text, error.text);
}

static void what_cannot_be_is_named(void **state)
{
	(void)state;
	fails(ETIMEDOUT, "failed to inject devices after CDI timeout of 0 seconds: no file has the CDI device vendor.com/net=0",
	      inject(false, 0));
	write_file("vendor.json", "{\"kind\": \"vendor.com/net\"");
	fails(ETIMEDOUT, "vendor.json isn't JSON of root's", inject(false, 0));
	write_file("vendor.json", "{\"kind\": \"vendor.com/net\", \"devices\": [{\"name\": \"1\"}]}");
	fails(EINVAL, "there is no CDI device vendor.com/net=0", inject(false, UINT64_MAX / 4));
	annotation.value = "net";
	fails(EINVAL, "'net' names no CDI device", inject(false, 0));
	annotation.value = "vendor.com/net=";
	fails(EINVAL, "names no CDI device", inject(false, 0));
	annotation.value = "vendor.com/net=1";
#define EDITS(edits) "{\"kind\": \"vendor.com/net\", \"devices\": [{\"name\": \"1\", \"containerEdits\": {" edits "}}]}"
	write_file("vendor.json", EDITS("\"netDevices\": [{\"hostInterfaceName\": \"eth0\"}]"));
	fails(EOPNOTSUPP, "CDI: netDevices: ", inject(false, 0));
	write_file("vendor.json", EDITS("\"hooks\": [{\"hookName\": \"prestart\"}]"));
	fails(EINVAL, "CDI: hooks: no path", inject(false, 0));
	write_file("vendor.json", EDITS("\"hooks\": [{\"hookName\": \"preStart\", \"path\": \"/bin/sh\"}]"));
	fails(EINVAL, "no hookName that is known", inject(false, 0));
	write_file("vendor.json", EDITS("\"hooks\": [{\"hookName\": \"poststop\", \"path\": \"/x\", \"args\": [1]}]"));
	fails(EINVAL, "an argument or a variable that is no text", inject(false, 0));
	write_file("vendor.json", EDITS("\"deviceNodes\": [{\"path\": \"/dev/nosuch\"}]"));
	fails(ENOENT, "CDI: deviceNodes: look at /dev/nosuch", inject(false, 0));
	write_file("vendor.json", EDITS("\"deviceNodes\": [{\"path\": \"/etc\"}]"));
	fails(EINVAL, "CDI: deviceNodes: /etc is no device", inject(false, 0));
	write_file("vendor.json", EDITS("\"env\": [\"A\"]"));
	fails(EINVAL, "CDI: env: no NAME=VALUE", inject(false, 0));
	write_file("vendor.json", EDITS("\"mounts\": [{\"hostPath\": \"/a\"}]"));
	fails(EINVAL, "CDI: mounts: no hostPath, or no containerPath", inject(false, 0));
	write_file("vendor.json", EDITS("\"additionalGids\": [-1]"));
	fails(EINVAL, "CDI: additionalGids: no number", inject(false, 0));
}

static void files_that_come_late_are_waited_for(void **state)
{
	pid_t child;

	(void)state;
	error.number = 0;
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		usleep(100000);
		write_file("vendor.json", DEVICES);
		_exit(0);
	}
	assert_int_equal(inject(false, UINT64_MAX / 4), 0);
	assert_int_equal(error.number, 0);
	assert_int_equal(process.n_env, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(json_is_read_as_it_is_written),
		TEST(what_is_no_json_is_refused),
		TEST(a_device_changes_the_spec),
		TEST(names_come_from_the_variable_too_where_that_is_wanted),
		TEST(a_sandbox_gets_none),
		TEST(what_cannot_be_is_named),
		TEST(files_that_come_late_are_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
