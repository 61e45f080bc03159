// uses: runtime/run_options.c runtime/environment.c runtime/volume.c runtime/publish.c runtime/machine_type.c
// uses: runtime/quantity.c runtime/name.c runtime/accel.c lib/error.c lib/fd.c lib/loop.c
/* The options of `nacre run`: what they become, and how wrong ones are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "runtime/name.h"
#include "runtime/quantity.h"
#include "runtime/run_options.h"

static void names(void **state)
{
	char name[NAME_LONGEST + 1], longest[80];

	(void)state;
	assert_true(name_valid("ab"));
	assert_true(name_valid("0.-_Z"));
	assert_false(name_valid(""));
	assert_false(name_valid("a"));
	assert_false(name_valid(".."));
	assert_false(name_valid("-a"));
	assert_false(name_valid("_a"));
	assert_false(name_valid("a/b"));
	assert_false(name_valid("a b"));
	assert_false(name_valid("a\n"));
	assert_false(name_valid("\303\244\303\244"));
	memset(longest, 'x', sizeof(longest));
	longest[64] = '\0';
	assert_true(name_valid(longest));
	longest[64] = 'x';
	longest[65] = '\0';
	assert_false(name_valid(longest));
	for (int i = 0; i < 100; i++) {
		name_make(name);
		assert_true(name_valid(name));
	}
}

static void memory(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{"0", 0}, {"1", 1}, {"512b", 512}, {"4k", 4096}, {"4KB", 4096}, {"64m", 64 << 20}, {"64M", 64 << 20},
		{"64MiB", 64 << 20}, {"2g", UINT64_C(2) << 30}, {"1T", UINT64_C(1) << 40},
	};
	static const char *const bad[] = {"", "m", "-1", "+1", " 1", "1 m", "1x", "1mm", "1.5g", "0x10", "1mib1",
					  "18446744073709551616", "99999999999g", "\300m"};
	uint64_t bytes;

	(void)state;
	for (size_t i = 0; i < array_size(good); i++) {
		assert_int_equal(quantity_parse_memory(good[i].text, &bytes, NULL), 0);
		assert_int_equal(bytes, good[i].bytes);
	}
	for (size_t i = 0; i < array_size(bad); i++)
		assert_true(quantity_parse_memory(bad[i], &bytes, NULL) < 0);
}

static void counts(void **state)
{
	unsigned count;

	(void)state;
	assert_int_equal(quantity_parse_count("--cpus", "4", 1, 64, &count, NULL), 0);
	assert_int_equal(count, 4);
	assert_true(quantity_parse_count("--cpus", "0", 1, 64, &count, NULL) < 0);
	assert_true(quantity_parse_count("--cpus", "65", 1, 64, &count, NULL) < 0);
	assert_true(quantity_parse_count("--cpus", "1.5", 1, 64, &count, NULL) < 0);
	assert_true(quantity_parse_count("--cpus", "", 1, 64, &count, NULL) < 0);
	assert_true(quantity_parse_count("--cpus", "4294967297", 1, 64, &count, NULL) < 0);
}

#define PARSE(options, error, ...)                                                                      \
	({                                                                                              \
		const char *arguments_[] = {"run", __VA_ARGS__, NULL};                                  \
		run_options_parse(options, (int)array_size(arguments_) - 1, arguments_, error);         \
	})

static void defaults(void **state)
{
	struct run_options options;
	struct error error;

	(void)state;
	assert_int_equal(PARSE(&options, &error, "/root"), 0);
	assert_string_equal(options.root, "/root");
	assert_null(options.command[0]); /* ROOTFS knows */
	assert_null(options.directory);
	assert_int_equal(options.network, NETWORK_NONE);
	assert_int_equal(options.memory, MEMORY_DEFAULT);
	assert_int_equal(options.cpus, 1);
	assert_string_equal(options.machine->name, "microvm");
	assert_int_equal(options.timeout, TIMEOUT_DEFAULT);
	assert_int_equal(options.accel, ACCEL_AUTO);
	assert_int_equal(options.io, IO_STREAMS);
	assert_false(options.interactive || options.terminal || options.read_only || options.verbose);
	run_options_free(&options);
}

static void combined(void **state)
{
	struct run_options options;
	struct error error;

	(void)state;
	setenv("PASSED_ON", "yes", 1);
	unsetenv("NOT_SET");
	assert_int_equal(PARSE(&options, &error, "-it", "-e", "A=1", "--env=B=2", "-e", "PASSED_ON", "-e", "NOT_SET",
			       "-m", "100000k", "--cpus", "2", "--io", "calls", "--accel", "tcg", "--name", "box",
			       "--rm", "--read-only", "-w", "/tmp", "-u", "me:us", "/root", "--", "ls", "-l", "--",
			       "--help"),
			 0);
	assert_true(options.interactive && options.terminal && options.read_only);
	assert_int_equal(options.environment.count, 3);
	assert_string_equal(options.environment.list[0], "A=1");
	assert_string_equal(options.environment.list[1], "B=2");
	assert_string_equal(options.environment.list[2], "PASSED_ON=yes");
	assert_int_equal(options.memory, 98 * MEBIBYTE); /* rounded up */
	assert_int_equal(options.cpus, 2);
	assert_int_equal(options.io, IO_CALLS);
	assert_int_equal(options.accel, ACCEL_TCG);
	assert_string_equal(options.name, "box");
	assert_string_equal(options.user, "me:us");
	assert_string_equal(options.command[0], "ls");
	assert_string_equal(options.command[1], "-l");
	assert_string_equal(options.command[2], "--");
	assert_string_equal(options.command[3], "--help");
	assert_null(options.command[4]);
	run_options_free(&options);
}

/* What follows ROOTFS is the container's, with or without "--" in between. */
static void options_end_at_root(void **state)
{
	struct run_options options;
	struct error error;

	(void)state;
	assert_int_equal(PARSE(&options, &error, "-i", "/root", "sh", "-c", "echo", "-t"), 0);
	assert_false(options.terminal);
	assert_string_equal(options.command[1], "-c");
	assert_string_equal(options.command[3], "-t");
	run_options_free(&options);
	assert_int_equal(PARSE(&options, &error, "/root", "-t"), 0);
	assert_string_equal(options.command[0], "-t");
	run_options_free(&options);
}

static void refused(void **state)
{
	static const char *const bad[][2] = {
		{"--memory=16M", "too small"}, {"--memory=x", "no amount"},    {"--cpus=0", "--cpus"},
		{"--accel=xen", "--accel"},    {"--io=pipes", "--io"},	       {"--timeout=0", "--timeout"},
		{"--name=x", "no name"},       {"--workdir=tmp", "absolute"},  {"--env==x", "no name"},
		{"--frob", "--frob"},	       {"-Z", "-Z"},		       {"--unpacked-max=x", "--unpacked-max"},
				       {"--machine=pc", "--machine"},
	};
	struct run_options options;
	struct error error;

	(void)state;
	for (size_t i = 0; i < array_size(bad); i++) {
		assert_true(PARSE(&options, &error, bad[i][0], "/root") < 0);
		assert_non_null(strstr(error.text, bad[i][1]));
		run_options_free(&options);
	}
	assert_true(PARSE(&options, &error, "-i") < 0);
	assert_non_null(strstr(error.text, "ROOTFS"));
	run_options_free(&options);
	assert_true(PARSE(&options, &error, "--name") < 0);
	run_options_free(&options);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),	       cmocka_unit_test(memory),   cmocka_unit_test(counts),
		cmocka_unit_test(defaults),	       cmocka_unit_test(combined), cmocka_unit_test(refused),
		cmocka_unit_test(options_end_at_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
