// uses: agent/container/executable.c agent/container/home.c lib/error.c lib/path.c
/* What is looked up in a container before its command runs: the command, and its user's home. The files are hostile. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
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

#include "agent/container/helper.h"
#include "lib/cleanup.h"
#include "lib/path.h"

struct fixture {
	struct helper helper;
	char directory[64];
	char *arguments[2];
	char *environment[2];
	char path[128];
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	strcpy(fixture->directory, "/tmp/container-command-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	fixture->helper.root = open(fixture->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fixture->helper.proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	fixture->helper.plan.process.arguments = fixture->arguments;
	fixture->helper.plan.process.environment = fixture->environment;
	fixture->helper.plan.process.search_path = fixture->directory;
	fixture->helper.plan.process.home_wanted = true;
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(path_remove_tree(AT_FDCWD, fixture->directory, NULL), 0);
	close(fixture->helper.root);
	close(fixture->helper.proc);
	free(fixture);
	return 0;
}

static void put(struct fixture *fixture, const char *name, const void *data, size_t size, mode_t mode)
{
	int fd = openat(fixture->helper.root, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	close(fd);
	fixture->arguments[0] = fixture->path;
	snprintf(fixture->path, sizeof(fixture->path), "%s/%s", fixture->directory, name);
}

static void assert_found(struct fixture *fixture)
{
	int status = executable_find(&fixture->helper);

	if (status < 0)
		fail_msg("%s", fixture->helper.error.text);
}

static void assert_refused(struct fixture *fixture, enum launch_class class, const char *text)
{
	assert_true(executable_find(&fixture->helper) < 0);
	assert_int_equal(fixture->helper.failure_class, class);
	if (!strstr(fixture->helper.error.text, text))
		fail_msg("\"%s\" doesn't say \"%s\"", fixture->helper.error.text, text);
}

static void test_search(void **state)
{
	struct fixture *fixture = *state;

	put(fixture, "tool", "#!/bin/sh\n", 10, 0755);
	fixture->arguments[0] = "tool";
	fixture->helper.plan.process.search_path = "relative::/nowhere:/etc/passwd";
	assert_refused(fixture, LAUNCH_NOT_FOUND, "exec: \"tool\": executable file not found in $PATH");
	fixture->helper.plan.process.search_path = fixture->directory;
	assert_found(fixture);
	assert_string_equal(fixture->helper.executable, fixture->path);
	fixture->arguments[0] = "";
	assert_refused(fixture, LAUNCH_NOT_FOUND, "executable file not found in $PATH");
}

static void test_modes(void **state)
{
	struct fixture *fixture = *state;

	put(fixture, "plain", "#!/bin/sh\n", 10, 0644);
	assert_refused(fixture, LAUNCH_PERMISSION, "permission denied");
	fixture->arguments[0] = fixture->directory;
	assert_refused(fixture, LAUNCH_PERMISSION, "is a directory");
	fixture->arguments[0] = "/no/such";
	assert_refused(fixture, LAUNCH_NOT_FOUND, "exec: \"/no/such\": no such file or directory");
	assert_int_equal(mkfifoat(fixture->helper.root, "fifo", 0755), 0);
	snprintf(fixture->path, sizeof(fixture->path), "%s/fifo", fixture->directory);
	fixture->arguments[0] = fixture->path;
	assert_refused(fixture, LAUNCH_PERMISSION, "permission denied"); /* and doesn't hang */
}

static void test_scripts(void **state)
{
	struct fixture *fixture = *state;
	char self[160];

	put(fixture, "a", "#! /bin/sh -e\n", 14, 0755);
	assert_found(fixture);
	put(fixture, "b", "#!/no/such\n", 11, 0755);
	assert_refused(fixture, LAUNCH_NOT_FOUND, "interpreter /no/such: no such file or directory");
	put(fixture, "c", "#!\n", 3, 0755);
	assert_refused(fixture, LAUNCH_PERMISSION, "exec format error");
	put(fixture, "d", "", 0, 0755);
	assert_refused(fixture, LAUNCH_PERMISSION, "exec format error");
	snprintf(self, sizeof(self), "#!%s/e\n", fixture->directory);
	put(fixture, "e", self, strlen(self), 0755);
	assert_refused(fixture, LAUNCH_NOT_FOUND, "too many levels");
	put(fixture, "f", "echo without a first line\n", 26, 0755);
	assert_refused(fixture, LAUNCH_PERMISSION, "exec format error");
}

static void test_elf(void **state)
{
	struct fixture *fixture = *state;
	struct {
		Elf64_Ehdr header;
		Elf64_Phdr program;
		char interpreter[16];
	} file = {.header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1}, .e_type = ET_EXEC}};

	/* Of this test's own machine. */
	cleanup_close int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	Elf64_Ehdr own;

	assert_int_equal(read(self, &own, sizeof(own)), sizeof(own));
	file.header.e_machine = own.e_machine;
	file.header.e_phentsize = sizeof(file.program);
	put(fixture, "static", &file, sizeof(file), 0755);
	assert_found(fixture);

	file.header.e_phnum = 1;
	file.header.e_phoff = sizeof(file.header);
	file.program.p_type = PT_INTERP;
	file.program.p_offset = sizeof(file.header) + sizeof(file.program);
	file.program.p_filesz = 9;
	strcpy(file.interpreter, "/no/such");
	put(fixture, "dynamic", &file, sizeof(file), 0755);
	assert_refused(fixture, LAUNCH_NOT_FOUND, "interpreter /no/such: no such file or directory");
	strcpy(file.interpreter, "/bin/sh");
	file.program.p_filesz = 8;
	put(fixture, "dynamic", &file, sizeof(file), 0755);
	assert_found(fixture);

	/* Numbers that lead nowhere. */
	file.program.p_filesz = UINT64_MAX;
	put(fixture, "bad", &file, sizeof(file), 0755);
	assert_refused(fixture, LAUNCH_PERMISSION, "exec format error");
	file.program.p_filesz = 8;
	file.program.p_offset = UINT64_MAX - 4;
	put(fixture, "bad", &file, sizeof(file), 0755);
	assert_refused(fixture, LAUNCH_PERMISSION, "exec format error");
	file.header.e_phoff = UINT64_MAX;
	file.header.e_phnum = UINT16_MAX;
	put(fixture, "bad", &file, sizeof(file), 0755);
	assert_found(fixture); /* the kernel's matter: nothing is known about an interpreter */
	file.header.e_machine = EM_68K;
	put(fixture, "foreign", &file, sizeof(file), 0755);
	if (faccessat(fixture->helper.proc, "sys/fs/binfmt_misc/register", F_OK, 0) < 0)
		assert_refused(fixture, LAUNCH_PERMISSION, "exec format error");
}

static void assert_home(struct fixture *fixture, uid_t uid, const char *passwd, const char *home)
{
	assert_true(mkdirat(fixture->helper.root, "etc", 0755) == 0 || errno == EEXIST);
	put(fixture, "etc/passwd", passwd, strlen(passwd), 0644);
	fixture->helper.plan.process.uid = uid;
	assert_int_equal(home_find(&fixture->helper), 0);
	assert_string_equal(fixture->environment[0], home);
}

static void test_home(void **state)
{
	struct fixture *fixture = *state;
	static char long_line[10000];

	assert_home(fixture, 5, "root:x:0:0::/root:\nu:x:5:5::/home/u:/bin/sh\n", "HOME=/home/u");
	assert_home(fixture, 5, "u:x:5:5::/home/u:", "HOME=/home/u");
	assert_home(fixture, 5, "", "HOME=/");
	/* By number only: not by a name that looks like one, not by half a number. */
	assert_home(fixture, 5, "5:x:0:0::/root:\n", "HOME=/");
	assert_home(fixture, 5, "a:x:05x:0::/a:\nb:x: 5:0::/b:\nc:x:+5:0::/c:\nd:x::0::/d:\n", "HOME=/");
	assert_home(fixture, 0, "a:x:4294967296:0::/a:\nb:x:18446744073709551616:0::/b:\n", "HOME=/");
	assert_home(fixture, 5, "u:x:5:5:/home/u\n:::::::::\nu:x:5:5::relative:\n", "HOME=/");
	memset(long_line, 'x', sizeof(long_line) - 1);
	memcpy(long_line, "u:x:5:5::/", 10);
	assert_home(fixture, 5, long_line, "HOME=/");

	/* No regular file: nothing hangs, nothing is read. */
	assert_int_equal(unlinkat(fixture->helper.root, "etc/passwd", 0), 0);
	assert_int_equal(mkfifoat(fixture->helper.root, "etc/passwd", 0644), 0);
	assert_int_equal(home_find(&fixture->helper), 0);
	assert_string_equal(fixture->environment[0], "HOME=/");
	assert_int_equal(unlinkat(fixture->helper.root, "etc/passwd", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", fixture->helper.root, "etc/passwd"), 0); /* in the root: itself */
	fixture->helper.plan.process.uid = 0;
	assert_int_equal(home_find(&fixture->helper), 0);
	assert_string_equal(fixture->environment[0], "HOME=/");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_search, setup, teardown),
		cmocka_unit_test_setup_teardown(test_modes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_scripts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_elf, setup, teardown),
		cmocka_unit_test_setup_teardown(test_home, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
