// uses: runtime/volume.c runtime/publish.c runtime/environment.c lib/error.c lib/fd.c
/* What --volume, --publish and --env-file mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "runtime/environment.h"
#include "runtime/publish.h"
#include "runtime/volume.h"

static void good_volumes(void **state)
{
	struct volumes volumes = {0};

	(void)state;
	assert_int_equal(volumes_add(&volumes, "/a:/b", NULL), 0);
	assert_int_equal(volumes_add(&volumes, "./a b:/c//d/:ro", NULL), 0);
	assert_int_equal(volumes_add(&volumes, "x:/...:rw", NULL), 0);
	assert_int_equal(volumes.count, 3);
	assert_string_equal(volumes.list[0].source, "/a");
	assert_string_equal(volumes.list[0].destination, "/b");
	assert_false(volumes.list[0].read_only);
	assert_string_equal(volumes.list[1].source, "./a b");
	assert_string_equal(volumes.list[1].destination, "/c/d");
	assert_true(volumes.list[1].read_only);
	assert_string_equal(volumes.list[2].destination, "/...");
	assert_false(volumes.list[2].read_only);
	volumes_free(&volumes);
}

static void bad_volumes(void **state)
{
	static const char *const bad[] = {
		"",	  ":",	     "/a",	 "/a:",	      ":/b",	   "/a:b",    "/a:/",	 "/a:///",
		"/a:/b:", "/a:/b:x", "/a:/b:ro:ro", "/a:/b/../c", "/a:/./b", "/a:/..", "/a:/b:RO", "/a:/taken/",
	};
	struct volumes volumes = {0};
	struct error error;

	(void)state;
	assert_int_equal(volumes_add(&volumes, "/a:/taken", NULL), 0);
	for (size_t i = 0; i < array_size(bad); i++) {
		memset(&error, 0, sizeof(error));
		assert_true(volumes_add(&volumes, bad[i], &error) < 0);
		assert_non_null(strstr(error.text, "--volume"));
	}
	assert_int_equal(volumes.count, 1);
	for (int i = 1; i < VOLUMES_MOST; i++) {
		char text[32];

		snprintf(text, sizeof(text), "/a:/%d", i);
		assert_int_equal(volumes_add(&volumes, text, NULL), 0);
	}
	assert_true(volumes_add(&volumes, "/a:/more", &error) < 0);
	volumes_free(&volumes);
}

static void ports(void **state)
{
	static const struct {
		const char *text, *address;
		unsigned host, guest;
		bool udp;
	} good[] = {
		{"8080:80", "", 8080, 80, false},
		{"127.0.0.1:8080:80", "127.0.0.1", 8080, 80, false},
		{"53:5353/udp", "", 53, 5353, true},
		{"0.0.0.0:65535:1/tcp", "0.0.0.0", 65535, 1, false},
	};
	static const char *const bad[] = {
		"",	 "80",	    ":80",	 "80:",	     "0:80",	    "80:0",	       "65536:80",
		"80:x",	 "80:-1",   "80: 1",	 "80:80/",   "80:80/sctp",  "localhost:80:80", "1.2.3:80:80",
		"::1:8:8", "[::1]:80:80", "1.2.3.4:80:80:80", "80:80,guestfwd=x", "1.2.3.4,x:80:80", "+80:80",
	};
	struct publish publish;
	struct error error;

	(void)state;
	for (size_t i = 0; i < array_size(good); i++) {
		assert_int_equal(publish_parse(&publish, good[i].text, &error), 0);
		assert_string_equal(publish.address, good[i].address);
		assert_int_equal(publish.host, good[i].host);
		assert_int_equal(publish.guest, good[i].guest);
		assert_int_equal(publish.udp, good[i].udp);
	}
	for (size_t i = 0; i < array_size(bad); i++)
		assert_true(publish_parse(&publish, bad[i], &error) < 0);
}

static int read_file(struct environment *environment, const char *text, size_t length, struct error *error)
{
	char path[] = "/tmp/nacre-test-XXXXXX";
	int fd = mkstemp(path), status;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, length), (ssize_t)length);
	close(fd);
	status = environment_add_file(environment, path, error);
	unlink(path);
	return status;
}

static void environment_file(void **state)
{
	static const char text[] = "\xef\xbb\xbf" "A=1\n# B=2\n\n   C= 3 # 4 \"\n\t#D=\nPASSED_ON\nNOT_SET\nE=\nA=5=6\nF=last";
	struct environment environment = {0};
	struct error error;

	(void)state;
	setenv("PASSED_ON", "y=es", 1);
	unsetenv("NOT_SET");
	assert_int_equal(read_file(&environment, text, sizeof(text) - 1, &error), 0);
	assert_int_equal(environment.count, 5);
	assert_string_equal(environment.list[0], "A=5=6");
	assert_string_equal(environment.list[1], "C= 3 # 4 \"");
	assert_string_equal(environment.list[2], "PASSED_ON=y=es");
	assert_string_equal(environment.list[3], "E=");
	assert_string_equal(environment.list[4], "F=last");
	assert_null(environment.list[5]);
	environment_free(&environment);
}

static void bad_environment_files(void **state)
{
	static const struct {
		const char *text, *said;
		size_t length;
	} bad[] = {
		{"A=1\n=2\n", "line 2: '=2' has no name", 7},
		{"A B=1\n", "line 1: the name 'A B' has a blank in it", 6},
		{"A =1\n", "line 1: the name 'A ' has a blank in it", 5},
		{"A=1\nB=\0x\n", "line 2: no line of text", 9},
	};
	struct error error;

	(void)state;
	for (size_t i = 0; i < array_size(bad); i++) {
		struct environment environment = {0};

		assert_true(read_file(&environment, bad[i].text, bad[i].length, &error) < 0);
		assert_non_null(strstr(error.text, bad[i].said));
		environment_free(&environment);
	}
	assert_true(environment_add_file(&(struct environment){0}, "/nonexistent/file", &error) < 0);
	assert_non_null(strstr(error.text, "/nonexistent/file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_volumes), cmocka_unit_test(bad_volumes), cmocka_unit_test(ports),
		cmocka_unit_test(environment_file), cmocka_unit_test(bad_environment_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
