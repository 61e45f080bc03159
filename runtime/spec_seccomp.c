/* The seccomp profile: what docker's default one takes away from a container without extra capabilities.
 *
 * docker lists what is allowed; this lists what isn't, which is a tenth of the length and of the filter that the guest
 * compiles and runs. The difference is what a future kernel adds. It matters less here: the kernel behind the filter is
 * the VM's own, and the newest that ours has are named below.
 */
#include <errno.h>
#include <sched.h>

#include "lib/cleanup.h"
#include "runtime/spec.h"

#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif

static const char *const refused[] = {
	"acct", "add_key", "bpf", "clock_adjtime", "clock_settime",
	"delete_module", "fanotify_init", "finit_module", "fsconfig", "fsmount",
	"fsopen", "fspick", "init_module", "io_uring_enter", "io_uring_register",
	"io_uring_setup", "ioperm", "iopl", "kcmp", "kexec_file_load",
	"kexec_load", "keyctl", "lookup_dcookie", "mount", "mount_setattr",
	"move_mount", "move_pages", "name_to_handle_at", "nfsservctl", "open_by_handle_at",
	"open_tree", "perf_event_open", "pivot_root", "quotactl", "reboot",
	"request_key", "setdomainname", "sethostname", "setns", "settimeofday",
	"swapoff", "swapon", "sysfs", "syslog", "umount",
	"umount2", "unshare", "uselib", "userfaultfd", "ustat",
	"vhangup",
};

/* clone(2) is refused with any of these in its first argument. */
static const uint64_t clone_flags[] = {
	CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET,
};

#define REFUSED_ACTION "SCMP_ACT_ERRNO"

static Grpc__LinuxSyscall *rule(const char *const *names, size_t count, uint32_t number, struct arena *arena)
{
	Grpc__LinuxSyscall *syscall = SPEC_NEW(arena, Grpc__LinuxSyscall, grpc__linux_syscall__init);

	if (!syscall)
		return NULL;
	syscall->names = (char **)names;
	syscall->n_names = count;
	syscall->action = (char *)REFUSED_ACTION;
	syscall->errno_ret_case = GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET;
	syscall->errnoret = number;
	return syscall;
}

static Grpc__LinuxSyscall *clone_rule(uint64_t flag, struct arena *arena)
{
	static const char *const names[] = {"clone"};
	Grpc__LinuxSyscall *syscall = rule(names, 1, EPERM, arena);
	Grpc__LinuxSeccompArg *argument = SPEC_NEW(arena, Grpc__LinuxSeccompArg, grpc__linux_seccomp_arg__init);

	if (!syscall || !argument)
		return NULL;
	argument->index = 0;
	argument->value = flag;
	argument->valuetwo = flag;
	argument->op = (char *)"SCMP_CMP_MASKED_EQ";
	syscall->args = arena_array(arena, 1, sizeof(*syscall->args));
	if (!syscall->args)
		return NULL;
	syscall->args[syscall->n_args++] = argument;
	return syscall;
}

Grpc__LinuxSeccomp *spec_seccomp(struct arena *arena)
{
	static const char *const clone3[] = {"clone3"};
	Grpc__LinuxSeccomp *seccomp = SPEC_NEW(arena, Grpc__LinuxSeccomp, grpc__linux_seccomp__init);

	if (!seccomp)
		return NULL;
	seccomp->defaultaction = (char *)"SCMP_ACT_ALLOW";
	seccomp->syscalls = arena_array(arena, 2 + array_size(clone_flags), sizeof(*seccomp->syscalls));
	if (!seccomp->syscalls)
		return NULL;
	seccomp->syscalls[seccomp->n_syscalls++] = rule(refused, array_size(refused), EPERM, arena);
	/* Its flags are behind a pointer, where no filter sees them: C libraries fall back to clone on this errno. */
	seccomp->syscalls[seccomp->n_syscalls++] = rule(clone3, 1, ENOSYS, arena);
	for (size_t i = 0; i < array_size(clone_flags); i++)
		seccomp->syscalls[seccomp->n_syscalls++] = clone_rule(clone_flags[i], arena);
	return seccomp;
}
