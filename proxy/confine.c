/* Limits, capabilities and system calls; confine_files.c has the files. */
#include "proxy/confine.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>

#include "lib/cleanup.h"
#include "lib/poison.h"
#include "proxy/confine_calls.h"
#include "proxy/confine_files.h"
#include "proxy_syscalls.h"

#define LOG_SUBSYSTEM "confine"
#include "lib/log.h"

/* keeper's syscalls: prctl capget capset setrlimit prlimit64 rt_sigaction seccomp */

#define LARGEST_FILE (64u << 20) /* bytes: of any that is written here */

static int limit(int which, rlim_t most, struct error *error)
{
	const struct rlimit rlimit = {.rlim_cur = most, .rlim_max = most};

	return setrlimit(which, &rlimit) < 0 ? error_errno(error, errno, "setrlimit") : 0;
}

static int limit_both(struct error *error)
{
	int status = limit(RLIMIT_CORE, 0, error); /* it would have clients' data in it */

	if (status == 0)
		status = limit(RLIMIT_FSIZE, LARGEST_FILE, error);
	if (status == 0)
		status = limit(RLIMIT_MEMLOCK, 0, error);
	return status < 0 ? status : limit(RLIMIT_MSGQUEUE, 0, error);
}

/* All of them, but those of the first 32 that are to be kept and are there. */
static int drop_capabilities(uint32_t kept, struct error *error)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	if (syscall(SYS_capget, &header, data) < 0)
		return error_errno(error, errno, "capget");
	kept &= data[0].permitted;
	memset(data, 0, sizeof(data));
	data[0].permitted = data[0].effective = kept;
	return syscall(SYS_capset, &header, data) < 0 ? error_errno(error, errno, "capset") : 0;
}

static bool missing(const struct error *error)
{
	return error->number == ENOSYS || error->number == EOPNOTSUPP;
}

/* Both, where it is root's to have the namespace; otherwise one of them, and Landlock first: who has a user namespace doesn't know
 * root any more. */
static int confine_files_best(const struct options *options, struct error *error)
{
	bool hidden = confine_files_namespace(options, false, error) == 0;

	if (confine_files_landlock(options, error) == 0 || (hidden && missing(error)))
		return 0;
	return missing(error) ? confine_files_namespace(options, true, error) : -error->number;
}

static int confine_files(const struct options *options, struct error *error)
{
	switch (options->confine) {
	case CONFINE_LANDLOCK:
		return confine_files_landlock(options, error);
	case CONFINE_NAMESPACE:
		return confine_files_namespace(options, true, error);
	case CONFINE_OFF:
		return 0;
	case CONFINE_AUTO:
		break;
	}
	if (confine_files_best(options, error) < 0)
		log_warning("every file of this user stays within reach: %s", error->text);
	return 0;
}

#ifndef POISON_KEPT
static int *refused_call; /* NULL in the keeper, of whose end nobody else would tell */

static void refused(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	if (refused_call)
		*refused_call = info->si_syscall + 1;
	else
		log_error("system call %d isn't one of the keeper's", info->si_syscall);
	_exit(CONFINE_REFUSED);
}

static int confine_calls(const int *calls, size_t count, struct error *error)
{
	struct sigaction action = {.sa_sigaction = refused, .sa_flags = SA_SIGINFO};

	if (sigaction(SIGSYS, &action, NULL) < 0)
		return error_errno(error, errno, "sigaction");
	return confine_calls_to(calls, count, error);
}
#endif

int confine_keeper(const struct options *options, struct error *error)
{
	int status = limit_both(error);

	if (status == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		status = error_errno(error, errno, "no_new_privs");
#ifdef POISON_KEPT
	/* What AddressSanitizer does in the end, and as it reports, is none of this program's business. */
	(void)confine_files;
	(void)options;
	return status < 0 ? status : drop_capabilities(0, error);
#else
	if (status == 0)
		status = confine_files(options, error);
	/* A VMM may have become another user by itself. */
	if (status == 0)
		status = drop_capabilities(options->vmm ? 1u << CAP_KILL : 0, error);
	return status < 0 ? status : confine_calls(keeper_calls, array_size(keeper_calls), error);
#endif
}

int confine_worker(int *refused_by_filter, struct error *error)
{
	int status = limit(RLIMIT_NPROC, 0, error);

	if (status == 0)
		status = drop_capabilities(0, error);
#ifdef POISON_KEPT
	(void)refused_by_filter;
	return status;
#else
	refused_call = refused_by_filter;
	return status < 0 ? status : confine_calls(worker_calls, array_size(worker_calls), error);
#endif
}
