/* What a fuzz target may do to the machine that it runs on: nothing. The code under test is the real one, so a system call
 * that changes anything outside of the process is refused to it (EPERM). New files can be written, which is how libFuzzer
 * keeps its corpus and what crashes; processes can be made (LeakSanitizer has one), but nothing executed or killed by them. Behind
 * the filter there is the place that tests/fuzz/run puts a target in; without both it doesn't start.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#define LOG_SUBSYSTEM "fuzz"
#include "lib/log.h"
#include "tests/fuzz/fuzz.h"

static const int refused[] = {
	/* File systems. */
	SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(move_mount),
	SCMP_SYS(open_tree), SCMP_SYS(fsopen), SCMP_SYS(fsmount), SCMP_SYS(mount_setattr), SCMP_SYS(swapon),
	SCMP_SYS(swapoff), SCMP_SYS(chdir), SCMP_SYS(fchdir),
	/* Files, but for making them. */
	SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2),
	SCMP_SYS(rmdir), SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(symlink), SCMP_SYS(symlinkat), SCMP_SYS(link),
	SCMP_SYS(linkat), SCMP_SYS(mknod), SCMP_SYS(mknodat), SCMP_SYS(chmod), SCMP_SYS(fchmodat), SCMP_SYS(chown),
	SCMP_SYS(lchown), SCMP_SYS(fchownat), SCMP_SYS(truncate), SCMP_SYS(setxattr), SCMP_SYS(lsetxattr),
	/* Processes. */
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(kill), SCMP_SYS(pidfd_send_signal), SCMP_SYS(setns), SCMP_SYS(unshare),
	/* The machine. */
	SCMP_SYS(reboot), SCMP_SYS(kexec_load), SCMP_SYS(sethostname), SCMP_SYS(setdomainname), SCMP_SYS(settimeofday),
	SCMP_SYS(clock_settime), SCMP_SYS(adjtimex), SCMP_SYS(clock_adjtime), SCMP_SYS(init_module),
	SCMP_SYS(finit_module), SCMP_SYS(delete_module), SCMP_SYS(bpf), SCMP_SYS(connect), SCMP_SYS(bind),
};

/* Files that exist are not for writing. */
static int refuse_writing(scmp_filter_ctx filter)
{
	const scmp_datum_t mode = O_ACCMODE | O_CREAT;
	int status = 0;

	status |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(openat), 1,
				   SCMP_A2(SCMP_CMP_MASKED_EQ, mode, O_WRONLY));
	status |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(openat), 1,
				   SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE, O_RDWR));
	status |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(open), 1,
				   SCMP_A1(SCMP_CMP_MASKED_EQ, mode, O_WRONLY));
	status |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(open), 1,
				   SCMP_A1(SCMP_CMP_MASKED_EQ, O_ACCMODE, O_RDWR));
	return status;
}

/* Harmless in themselves, and refused by the filter alone: what is asked for doesn't exist. */
static void check_filter(void)
{
	const struct timespec now = {0};

	/* That one can't be set: EINVAL, by the kernel. */
	promise(clock_settime(CLOCK_MONOTONIC, &now) < 0 && errno == EPERM);
	promise(kill(getpid(), 0) < 0 && errno == EPERM);
	promise(umount2("", -1) < 0 && errno == EPERM);
	promise(open("/dev/null", O_RDWR) < 0 && errno == EPERM);
	promise(socket(AF_VSOCK, SOCK_STREAM, 0) < 0 && errno == EAFNOSUPPORT);
}

/* The first process of this pid namespace is a target too: this one, or the one that merges corpora. */
static bool first_is_target(void)
{
	struct stat first, self;

	return stat("/proc/1/exe", &first) == 0 && stat("/proc/self/exe", &self) == 0 && first.st_dev == self.st_dev &&
	       first.st_ino == self.st_ino;
}

/* tests/fuzz/run starts a target without capabilities and as the first process of a pid namespace, so that nothing comes of it
 * where the filter has a hole. */
static void check_place(void)
{
	if (first_is_target() && prctl(PR_CAPBSET_READ, CAP_SYS_TIME) == 0 && prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) == 0)
		return;
	fprintf(stderr, "This is run by tests/fuzz/run only, which keeps it from harming the machine.\n");
	exit(1);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	scmp_filter_ctx filter;
	int status;

	(void)argc;
	(void)argv;
	check_place();
	/* Who merges corpora gives inputs to another process of this program's alone. */
	if (getenv("FUZZ_MERGE") && getpid() == 1)
		return 0;
	filter = seccomp_init(SCMP_ACT_ALLOW);
	promise(filter);
	/* Made as always, and read by nobody but who looks at a single input. */
	log_open(getenv("FUZZ_LOG") ? STDERR_FILENO : open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_JSON, LOG_TRACE, "fuzz");
	status = refuse_writing(filter);
	status |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
				   SCMP_A0(SCMP_CMP_NE, AF_UNIX, 0));
	for (size_t i = 0; i < array_size(refused); i++)
		status |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
	promise(status == 0 && seccomp_load(filter) == 0);
	seccomp_release(filter);
	check_filter();
	return 0;
}
