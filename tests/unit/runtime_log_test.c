// uses: runtime/output_log.c runtime/log_reader.c runtime/log_format.c runtime/log_writer.c lib/utf8.c runtime/moment.c lib/buffer.c lib/error.c lib/fd.c lib/path.c
/* output.log: what is written comes back byte for byte, also while it is being written and when files change. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/path.h"
#include "runtime/log_reader.h"
#include "runtime/log_writer.h"
#include "runtime/moment.h"
#include "runtime/output_log.h"

static char folder[] = "/tmp/nacre-log-test-XXXXXX";
static int directory;

static void entries(void **state)
{
	static const char line[] = "2026-11-24T11:40:05.000000001Z stderr F some text ";
	static const char *const bad[] = {
		"", " ", "time", "time stdout", "time stdout F", "time stdin F x", "time stdout X x", "time  F x",
		"time stdout FF x", "time stdoutt F x",
	};
	struct log_entry entry;

	(void)state;
	assert_int_equal(log_entry_parse(line, strlen(line), &entry), 0);
	assert_int_equal(entry.time_length, 30);
	assert_int_equal(entry.stream, 1);
	assert_true(entry.whole);
	assert_int_equal(entry.length, strlen("some text "));
	assert_memory_equal(entry.text, "some text ", entry.length);
	assert_int_equal(log_entry_parse("t stdout P ", 11, &entry), 0);
	assert_false(entry.whole);
	assert_int_equal(entry.length, 0);
	for (size_t i = 0; i < array_size(bad); i++)
		assert_int_equal(log_entry_parse(bad[i], strlen(bad[i]), &entry), -EPROTO);
}

/* Reads all that is there, and appends each stream's bytes to its buffer. */
static void read_on(struct log_reader *reader, struct buffer texts[2])
{
	struct log_entry entry;
	struct error error;
	int status;

	while ((status = log_reader_next(reader, &entry, &error)) > 0) {
		buffer_append(&texts[entry.stream], entry.text, entry.length);
		if (entry.whole)
			buffer_append(&texts[entry.stream], "\n", 1);
	}
	assert_int_equal(status, 0);
}

static void bytes_come_back(void **state)
{
	static const char *const pieces[] = {"one\ntwo\n", "no newline", " yet\n", "\n\n", "\0\xff\r\n", "P F stdout", "end"};
	static const size_t lengths[] = {8, 10, 5, 2, 4, 10, 3};
	struct buffer texts[2], written;
	struct output_log log;
	struct log_reader reader;
	struct error error;

	(void)state;
	for (int i = 0; i < 2; i++)
		buffer_init(&texts[i], 1 << 20);
	buffer_init(&written, 1 << 20);
	assert_int_equal(output_log_open(&log, directory, &error), 0);
	assert_int_equal(log_reader_open(&reader, directory, &error), 0);
	for (size_t i = 0; i < array_size(pieces); i++) {
		output_log_write(&log, 0, pieces[i], lengths[i]);
		output_log_write(&log, 1, "e", 1);
		buffer_append(&written, pieces[i], lengths[i]);
		/* As it is written. */
		read_on(&reader, texts);
		assert_int_equal(buffer_length(&texts[0]), buffer_length(&written));
		assert_memory_equal(buffer_bytes(&texts[0]), buffer_bytes(&written), buffer_length(&written));
	}
	assert_int_equal(buffer_length(&texts[1]), array_size(pieces));
	log_reader_close(&reader);
	output_log_close(&log);
	buffer_free(&texts[0]);
	buffer_free(&texts[1]);
	buffer_free(&written);
}

/* A line that is longer than an entry. */
static void long_line(void **state)
{
	size_t length = 5 * LOG_TEXT_MOST + 1;
	char *text = malloc(length);
	struct buffer texts[2];
	struct output_log log;
	struct log_reader reader;
	struct error error;

	(void)state;
	memset(text, 'x', length);
	text[length - 1] = '\n';
	for (int i = 0; i < 2; i++)
		buffer_init(&texts[i], 1 << 20);
	output_log_open(&log, directory, &error);
	output_log_write(&log, 1, text, length);
	assert_int_equal(log_reader_open(&reader, directory, &error), 0);
	read_on(&reader, texts);
	assert_int_equal(buffer_length(&texts[1]), length);
	assert_memory_equal(buffer_bytes(&texts[1]), text, length);
	log_reader_close(&reader);
	output_log_close(&log);
	buffer_free(&texts[0]);
	buffer_free(&texts[1]);
	free(text);
}

/* What isn't an entry, as of a file that was cut, costs itself only. */
static void damage(void **state)
{
	static const char text[] = "garbage\nt stdout F one\n\nt stdout\nt stdout P two\nt stderr F unfinis";
	int fd = openat(directory, OUTPUT_LOG, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	struct buffer texts[2];
	struct log_reader reader;
	struct error error;

	(void)state;
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	for (int i = 0; i < 2; i++)
		buffer_init(&texts[i], 1 << 20);
	assert_int_equal(log_reader_open(&reader, directory, &error), 0);
	read_on(&reader, texts);
	assert_int_equal(buffer_length(&texts[0]), 7);
	assert_memory_equal(buffer_bytes(&texts[0]), "one\ntwo", 7);
	assert_int_equal(buffer_length(&texts[1]), 0);
	assert_int_equal(write(fd, "hed\n", 4), 4);
	read_on(&reader, texts);
	assert_memory_equal(buffer_bytes(&texts[1]), "unfinished\n", 11);
	log_reader_close(&reader);
	close(fd);
	buffer_free(&texts[0]);
	buffer_free(&texts[1]);
}

/* A log never grows beyond two files; a reader who keeps up misses nothing, one who comes late gets the latest. */
static void bounded(void **state)
{
	static char chunk[65536];
	struct output_log log;
	struct log_reader reader, late;
	struct log_entry entry;
	struct error error;
	struct stat stat_;
	size_t total = 0, held = 0, written = 0;

	(void)state;
	memset(chunk, 'y', sizeof(chunk));
	output_log_open(&log, directory, &error);
	assert_int_equal(log_reader_open(&reader, directory, &error), 0);
	while (written < 3 * OUTPUT_LOG_MOST) {
		output_log_write(&log, 0, chunk, sizeof(chunk));
		written += sizeof(chunk);
		while (log_reader_next(&reader, &entry, &error) > 0)
			total += entry.length;
	}
	assert_int_equal(total, written);
	assert_int_equal(fstatat(directory, OUTPUT_LOG, &stat_, 0), 0);
	assert_true(stat_.st_size < OUTPUT_LOG_MOST + (1 << 20));
	assert_int_equal(fstatat(directory, OUTPUT_LOG_OLD, &stat_, 0), 0);
	assert_true(stat_.st_size < OUTPUT_LOG_MOST + (1 << 20));
	assert_int_equal(log_reader_open(&late, directory, &error), 0);
	while (log_reader_next(&late, &entry, &error) > 0)
		held += entry.length;
	assert_in_range(held, OUTPUT_LOG_MOST - (1 << 20), 2 * OUTPUT_LOG_MOST);
	log_reader_close(&late);
	log_reader_close(&reader);
	output_log_close(&log);
}

/* What a writer makes of a text on stream 0, with the time "T". */
static void write_entry(struct log_writer *writer, const char *text, bool whole)
{
	const struct log_entry entry = {.time = "T", .time_length = 1, .text = text, .length = strlen(text), .whole = whole};
	struct error error;

	assert_int_equal(log_writer_add(writer, &entry, &error), 0);
}

static void holds(const char *name, const char *expected)
{
	char text[1024];
	ssize_t length = fd_read_file(directory, name, text, sizeof(text), NULL);

	assert_true(length >= 0);
	assert_string_equal(text, expected);
}

static void formats(void **state)
{
	static const struct {
		const char *text;
		size_t length;
		bool whole;
		const char *cri, *json;
	} cases[] = {
		{"a", 1, true, "T stderr F a\n", "{\"log\":\"a\\n\",\"stream\":\"stderr\",\"time\":\"T\"}\n"},
		{"", 0, true, "T stderr F \n", "{\"log\":\"\\n\",\"stream\":\"stderr\",\"time\":\"T\"}\n"},
		{"\"\\\t\033", 4, false, "T stderr P \"\\\t\033\n",
		 "{\"log\":\"\\\"\\\\\\u0009\\u001b\",\"stream\":\"stderr\",\"time\":\"T\"}\n"},
		{"\303\244\377", 3, true, "T stderr F \303\244\377\n",
		 "{\"log\":\"\303\244\357\277\275\\n\",\"stream\":\"stderr\",\"time\":\"T\"}\n"},
	};
	struct buffer text;

	(void)state;
	buffer_init(&text, 4096);
	for (size_t i = 0; i < array_size(cases); i++) {
		const struct log_entry entry = {.time = "T", .time_length = 1, .text = cases[i].text,
						.length = cases[i].length, .stream = 1, .whole = cases[i].whole};

		assert_int_equal(log_format_cri(&text, &entry), 0);
		assert_int_equal(buffer_length(&text), strlen(cases[i].cri));
		assert_memory_equal(buffer_bytes(&text), cases[i].cri, strlen(cases[i].cri));
		buffer_consume(&text, buffer_length(&text));
		assert_int_equal(log_format_json(&text, &entry), 0);
		assert_int_equal(buffer_length(&text), strlen(cases[i].json));
		assert_memory_equal(buffer_bytes(&text), cases[i].json, strlen(cases[i].json));
		buffer_consume(&text, buffer_length(&text));
	}
	buffer_free(&text);
}

/* "T stdout F one" is 15 bytes with its newline. */
static void rotation(void **state)
{
	char path[64];
	struct log_writer writer = {.path = path, .format = log_format_cri, .size_most = 31, .files = 3, .fd = -1};
	struct error error;

	(void)state;
	snprintf(path, sizeof(path), "%s/w", folder);
	assert_int_equal(log_writer_open(&writer, &error), 0);
	for (char digit = '1'; digit <= '9'; digit++) {
		char text[] = {'l', 'i', digit, '\0'};

		write_entry(&writer, text, true);
	}
	assert_int_equal(log_writer_flush(&writer, &error), 0);
	holds("w", "T stdout F li9");
	holds("w.1", "T stdout F li7\nT stdout F li8");
	holds("w.2", "T stdout F li5\nT stdout F li6");
	assert_true(faccessat(directory, "w.3", F_OK, 0) < 0);
	/* Larger than any file: in one of its own. */
	write_entry(&writer, "something that is long", true);
	write_entry(&writer, "x", true);
	log_writer_flush(&writer, &error);
	holds("w.1", "T stdout F something that is long");
	holds("w", "T stdout F x");
	log_writer_close(&writer);

	/* Opened once more it goes on; by a single file the old one goes. */
	writer.files = 1;
	assert_int_equal(log_writer_open(&writer, &error), 0);
	write_entry(&writer, "y", true);
	write_entry(&writer, "zzzzz", true);
	log_writer_flush(&writer, &error);
	holds("w", "T stdout F zzzzz");
	holds("w.1", "T stdout F something that is long");
	log_writer_close(&writer);
}

/* A full file has been moved, and there is no room for another: nothing else is moved until there is. */
static void failed_rotation(void **state)
{
	static const struct log_entry third = {.time = "T", .time_length = 1, .text = "li3", .length = 3, .whole = true};
	char path[64];
	struct log_writer writer = {.path = path, .format = log_format_cri, .size_most = 31, .files = 3, .fd = -1};
	struct rlimit limit, none;
	struct error error;

	(void)state;
	snprintf(path, sizeof(path), "%s/f", folder);
	assert_int_equal(log_writer_open(&writer, &error), 0);
	write_entry(&writer, "li1", true);
	write_entry(&writer, "li2", true);
	getrlimit(RLIMIT_NOFILE, &limit);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
	setrlimit(RLIMIT_NOFILE, &none);
	assert_int_equal(log_writer_add(&writer, &third, &error), 1);
	assert_int_equal(error.number, EMFILE);
	setrlimit(RLIMIT_NOFILE, &limit);
	write_entry(&writer, "li4", true);
	assert_int_equal(log_writer_flush(&writer, &error), 0);
	write_entry(&writer, "li5", true);
	assert_int_equal(log_writer_flush(&writer, &error), 0);
	assert_int_equal(writer.lost, 0);
	holds("f.1", "T stdout F li1\nT stdout F li2\nT stdout F li3\nT stdout F li4");
	holds("f", "T stdout F li5");
	assert_true(faccessat(directory, "f.2", F_OK, 0) < 0);
	log_writer_close(&writer);
}

static void reopening(void **state)
{
	char path[64], moved[64];
	struct log_writer writer = {.path = path, .format = log_format_cri, .files = 5, .fd = -1};
	struct error error;

	(void)state;
	snprintf(path, sizeof(path), "%s/r", folder);
	snprintf(moved, sizeof(moved), "%s/moved", folder);
	assert_int_equal(log_writer_open(&writer, &error), 0);
	write_entry(&writer, "one", true);
	log_writer_flush(&writer, &error);
	assert_int_equal(rename(path, moved), 0);
	write_entry(&writer, "two", true);
	log_writer_flush(&writer, &error);
	holds("moved", "T stdout F one\nT stdout F two");
	assert_int_equal(log_writer_reopen(&writer, &error), 0);
	write_entry(&writer, "three", false);
	log_writer_flush(&writer, &error);
	holds("r", "T stdout P three");
	/* Where it can't be opened, the old one stays. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_true(log_writer_reopen(&writer, &error) < 0);
	write_entry(&writer, "four", true);
	assert_int_equal(log_writer_flush(&writer, &error), 0);
	log_writer_close(&writer);
	assert_true(log_writer_open(&writer, &error) < 0);
	log_writer_close(&writer);
	rmdir(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_true(log_writer_open(&writer, &error) < 0);
	log_writer_close(&writer);
}

/* A limit of the file's size stands for a full disk: no half entry stays, it is told once, and goes on. */
static void no_room(void **state)
{
	char path[64];
	struct log_writer writer = {.path = path, .format = log_format_cri, .files = 5, .fd = -1};
	struct rlimit limit, small;
	struct error error;

	(void)state;
	snprintf(path, sizeof(path), "%s/full", folder);
	assert_int_equal(log_writer_open(&writer, &error), 0);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &limit);
	small = (struct rlimit){.rlim_cur = 20, .rlim_max = limit.rlim_max};
	setrlimit(RLIMIT_FSIZE, &small);
	write_entry(&writer, "one", true);
	assert_int_equal(log_writer_flush(&writer, &error), 0);
	write_entry(&writer, "two", true);
	assert_int_equal(log_writer_flush(&writer, &error), 1);
	assert_int_equal(error.number, EFBIG);
	write_entry(&writer, "three", true);
	assert_int_equal(log_writer_flush(&writer, &error), 0);
	assert_int_equal(writer.lost, 15 + 17);
	setrlimit(RLIMIT_FSIZE, &limit);
	write_entry(&writer, "four", true);
	assert_int_equal(log_writer_flush(&writer, &error), 0);
	holds("full", "T stdout F one\nT stdout F four");
	log_writer_close(&writer);
}

static void moments(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} spans[] = {
		{-5, "Less than a second"}, {0, "Less than a second"}, {1, "1 second"}, {59, "59 seconds"},
		{60, "About a minute"}, {120, "2 minutes"}, {3599, "59 minutes"}, {3600, "About an hour"},
		{7200, "2 hours"}, {47 * 3600, "47 hours"}, {48 * 3600, "2 days"}, {13 * 86400, "13 days"},
		{14 * 86400, "2 weeks"}, {60 * 86400, "2 months"}, {730 * 86400, "2 years"},
	};
	char text[MOMENT_SIZE];

	(void)state;
	for (size_t i = 0; i < array_size(spans); i++) {
		moment_describe(spans[i].seconds * MOMENT_SECOND, text);
		assert_string_equal(text, spans[i].text);
	}
	moment_format(INT64_C(1795520405) * MOMENT_SECOND + 1, text);
	assert_string_equal(text, "2026-11-24T11:40:05.000000001Z");
	assert_int_equal(moment_parse(text), INT64_C(1795520405) * MOMENT_SECOND + 1);
	moment_format(0, text);
	assert_string_equal(text, "");
	assert_int_equal(moment_parse(""), 0);
	assert_int_equal(moment_parse("yesterday"), 0);
}

static int make_folder(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	directory = open(folder, O_RDONLY | O_DIRECTORY);
	return directory < 0 ? -1 : 0;
}

static int remove_folder(void **state)
{
	(void)state;
	close(directory);
	return path_remove_tree(AT_FDCWD, folder, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries),   cmocka_unit_test(bytes_come_back), cmocka_unit_test(long_line),
		cmocka_unit_test(damage),    cmocka_unit_test(bounded),		cmocka_unit_test(formats),
		cmocka_unit_test(rotation), cmocka_unit_test(failed_rotation), cmocka_unit_test(reopening), cmocka_unit_test(no_room), cmocka_unit_test(moments),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
