/* nacre-box: finds the command in the table, and runs it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "box/box.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/version.h"

#define DEFAULT_ROOT "/run/nacre-box"
#define FILE_SIZE_MAX (16u << 20)

struct box_settings box_settings = {.root = DEFAULT_ROOT};

static const struct box_command commands[] = {
	{"create", "make a container, whose process waits to be started", command_create},
	{"start", "start it", command_start},
	{"run", "create, start, wait and delete", command_run},
	{"state", "print a container's state, as JSON", command_state},
	{"kill", "send a container's process a signal", command_kill},
	{"delete", "remove a container that has stopped", command_delete},
	{"exec", "run a further process in a container", command_exec},
	{"list", "list containers", command_list},
	{"ps", "list a container's processes", command_ps},
	{"pause", "freeze a container", command_pause},
	{"resume", "thaw it", command_resume},
	{"features", "print what is implemented, as JSON", command_features},
};

static void append_log(const char *level, const char *text)
{
	cleanup_close int fd = -1;
	char when[32], line[1024], quoted[2 * ERROR_TEXT_SIZE], *to = quoted;
	time_t now = time(NULL);
	int length;

	if (!box_settings.log)
		return;
	for (const char *from = text; *from && to < quoted + sizeof(quoted) - 3; from++) {
		if (*from == '"' || *from == '\\')
			*to++ = '\\';
		*to++ = *from;
	}
	*to = '\0';
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
	length = snprintf(line, sizeof(line),
			  box_settings.log_json ? "{\"level\":\"%s\",\"msg\":\"%s\",\"time\":\"%s\"}\n" :
						  "level=%s msg=\"%s\" time=%s\n",
			  level, quoted, when);
	fd = open(box_settings.log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0)
		fd_write_all(fd, line, (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1);
}

int box_fail(const struct error *error)
{
	fprintf(stderr, "nacre-box: %s\n", error->text);
	append_log("error", error->text);
	return BOX_FAILED;
}

void box_warn(const char *text)
{
	fprintf(stderr, "nacre-box: %s\n", text);
	append_log("warning", text);
}

int box_write_file(const char *path, const char *text, struct error *error)
{
	cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int status = fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));

	return status < 0 ? error_errno(error, -status, "write %s", path) : 0;
}

int box_read_file(const char *path, char **text, struct error *error)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	ssize_t length;

	if (fd < 0 || fstat(fd, &status) < 0)
		return error_errno(error, errno, "open %s", path);
	if (!S_ISREG(status.st_mode) || status.st_size > FILE_SIZE_MAX)
		return error_set(error, EINVAL, "%s is no file, or a large one", path);
	*text = malloc((size_t)status.st_size + 1);
	if (!*text)
		return error_errno(error, ENOMEM, "read %s", path);
	length = fd_read_all(fd, *text, (size_t)status.st_size);
	if (length < 0) {
		free(take_pointer(text));
		return error_errno(error, (int)-length, "read %s", path);
	}
	(*text)[length] = '\0';
	return 0;
}

static const char **bad_usage(const char *name, const char *what, const char *why, int *status)
{
	fprintf(stderr, "%s: %s%s%s (see %s --help)\n", name, what, *what ? ": " : "", why, name);
	*status = BOX_FAILED;
	return NULL;
}

const char **box_line_read(poptContext *context, int argc, const char *argv[], const struct poptOption *table,
			   const char *usage, unsigned least, int *status)
{
	static const char *none[] = {NULL};
	static char name[64];
	const char **arguments;
	unsigned count = 0;
	int code;

	snprintf(name, sizeof(name), "nacre-box %s", argv[0]);
	argv[0] = name;
	*context = poptGetContext(NULL, argc, argv, table, POPT_CONTEXT_POSIXMEHARDER);
	poptSetOtherOptionHelp(*context, usage);
	code = poptGetNextOpt(*context);
	if (code == 'h') {
		poptPrintHelp(*context, stdout, 0);
		*status = 0;
		return NULL;
	}
	if (code < -1)
		return bad_usage(name, poptBadOption(*context, POPT_BADOPTION_NOALIAS), poptStrerror(code), status);
	arguments = poptGetArgs(*context);
	arguments = arguments ? arguments : none;
	while (arguments[count])
		count++;
	return count < least ? bad_usage(name, "", "an argument is missing", status) : arguments;
}

static int help(FILE *file, int status)
{
	fputs("Usage: nacre-box [--root DIR] [--log FILE] [--log-format text|json] COMMAND [OPTION...] [ARGUMENT...]\n"
	      "\n"
	      "The container code of nacre's guest agent, as an OCI runtime for tests.\n"
	      "\n"
	      "Commands:\n",
	      file);
	for (size_t i = 0; i < array_size(commands); i++)
		fprintf(file, "  %-10s %s\n", commands[i].name, commands[i].summary);
	fputs("\nContainers are in " DEFAULT_ROOT " where --root names no other folder.\n", file);
	return status;
}

int main(int argc, const char *argv[])
{
	char *root = NULL, *log = NULL, *format = NULL;
	int wants_help = 0, wants_version = 0, ignored = 0;
	const struct poptOption table[] = {
		{"root", 0, POPT_ARG_STRING, &root, 0, NULL, NULL},
		{"log", 0, POPT_ARG_STRING, &log, 0, NULL, NULL},
		{"log-format", 0, POPT_ARG_STRING, &format, 0, NULL, NULL},
		{"systemd-cgroup", 0, POPT_ARG_NONE, &ignored, 0, NULL, NULL},
		{"debug", 0, POPT_ARG_NONE, &ignored, 0, NULL, NULL},
		{"help", 'h', POPT_ARG_NONE, &wants_help, 0, NULL, NULL},
		{"version", 'v', POPT_ARG_NONE, &wants_version, 0, NULL, NULL},
		POPT_TABLEEND,
	};
	poptContext context = poptGetContext(NULL, argc, argv, table, POPT_CONTEXT_POSIXMEHARDER);
	int code = poptGetNextOpt(context), count = 0;
	const char **rest = poptGetArgs(context);

	if (code < -1) {
		fprintf(stderr, "nacre-box: %s: %s\n", poptBadOption(context, 0), poptStrerror(code));
		return BOX_FAILED;
	}
	if (wants_version) {
		puts("nacre-box " NACRE_VERSION "\nspec: " BOX_OCI_VERSION);
		return 0;
	}
	if (wants_help || !rest || !*rest)
		return help(wants_help ? stdout : stderr, wants_help ? 0 : BOX_FAILED);
	box_settings.log = log;
	box_settings.log_json = format && strcmp(format, "json") == 0;
	if (root)
		box_settings.root = root;
	if (*box_settings.root != '/') {
		fprintf(stderr, "nacre-box: --root %s isn't an absolute path\n", root);
		return BOX_FAILED;
	}
	while (rest[count])
		count++;
	for (size_t i = 0; i < array_size(commands); i++)
		if (strcmp(rest[0], commands[i].name) == 0)
			return commands[i].run(count, rest);
	fprintf(stderr, "nacre-box: there is no command '%s' (see nacre-box --help)\n", rest[0]);
	return BOX_FAILED;
}
