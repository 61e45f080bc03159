/* A table. */
#include "runtime/signal_name.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <strings.h>

#include "lib/cleanup.h"

#define HIGHEST 64
/* The kernel's: a C library keeps the first ones for itself. */
#define KERNEL_RTMIN 32
#define KERNEL_RTMAX 64

static const struct {
	const char *name;
	int number;
} names[] = {
	{"HUP", SIGHUP},   {"INT", SIGINT},	{"QUIT", SIGQUIT},   {"ILL", SIGILL},	    {"TRAP", SIGTRAP},
	{"ABRT", SIGABRT}, {"IOT", SIGABRT},	{"BUS", SIGBUS},     {"FPE", SIGFPE},	    {"KILL", SIGKILL},
	{"USR1", SIGUSR1}, {"SEGV", SIGSEGV},	{"USR2", SIGUSR2},   {"PIPE", SIGPIPE},	    {"ALRM", SIGALRM},
	{"TERM", SIGTERM}, {"STKFLT", 16},	{"CHLD", SIGCHLD},   {"CONT", SIGCONT},	    {"STOP", SIGSTOP},
	{"TSTP", SIGTSTP}, {"TTIN", SIGTTIN},	{"TTOU", SIGTTOU},   {"URG", SIGURG},	    {"XCPU", SIGXCPU},
	{"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"WINCH", SIGWINCH},   {"IO", SIGIO},
	{"POLL", SIGIO},   {"PWR", SIGPWR},	{"SYS", SIGSYS},     {"RTMIN", KERNEL_RTMIN + 2}, {"RTMAX", KERNEL_RTMAX},
};

/* Digits only, up to HIGHEST; or -1. */
static int parse_number(const char *text)
{
	char *end;
	long number;

	if (*text < '0' || *text > '9')
		return -1;
	number = strtol(text, &end, 10);
	return *end == '\0' && number <= HIGHEST ? (int)number : -1;
}

/* What stands behind RTMIN or RTMAX: "", "+N" or "-N". */
static int add_offset(int number, const char *offset)
{
	int value = *offset ? parse_number(offset + 1) : 0;

	if (value < 0)
		return -1;
	number += *offset == '-' ? -value : value;
	return number >= KERNEL_RTMIN && number <= KERNEL_RTMAX ? number : -1;
}

static int find(const char *text)
{
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (size_t i = 0; i < array_size(names); i++)
		if (strcasecmp(text, names[i].name) == 0)
			return names[i].number;
	if (strncasecmp(text, "RTMIN+", 6) == 0)
		return add_offset(find("RTMIN"), text + 5);
	if (strncasecmp(text, "RTMAX-", 6) == 0)
		return add_offset(find("RTMAX"), text + 5);
	return -1;
}

int signal_parse(const char *text, struct error *error)
{
	int number = parse_number(text);

	if (number < 0)
		number = find(text);
	return number > 0 ? number : error_set(error, EINVAL, "'%s' is no signal", text);
}
