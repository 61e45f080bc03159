/* Runs a virtual CPU for one instruction, to see whether KVM works.
 *
 * In a child, which is given a second, then killed, and never waited for without an end: where KVM hangs, it may do so
 * in the kernel, where no signal reaches it. It holds no descriptor of ours, so that nobody waits for it either.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "runtime/accel.h"

#define CODE_ADDRESS 0x1000
#define PAGE 4096
#define CPUINFO_SIZE 65536 /* the first processors' are enough */

#ifdef __x86_64__
static bool cpu_is_able(void)
{
	cleanup_close int fd = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
	cleanup_free char *text = malloc(CPUINFO_SIZE);
	ssize_t length;

	if (fd < 0 || !text)
		return false;
	length = fd_read_all(fd, text, CPUINFO_SIZE - 1);
	if (length <= 0)
		return false;
	text[length] = '\0';
	return accel_flags_name_virtualization(text);
}

/* Real mode, code segment at 0, and HLT where it starts. */
static bool halts(int vcpu, const struct kvm_run *run)
{
	struct kvm_regs registers = {.rip = CODE_ADDRESS, .rflags = 2};
	struct kvm_sregs special;

	if (ioctl(vcpu, KVM_GET_SREGS, &special) < 0)
		return false;
	special.cs.base = 0;
	special.cs.selector = 0;
	return ioctl(vcpu, KVM_SET_SREGS, &special) == 0 && ioctl(vcpu, KVM_SET_REGS, &registers) == 0 &&
	       ioctl(vcpu, KVM_RUN, 0) == 0 && run->exit_reason == KVM_EXIT_HLT;
}
#else
static bool cpu_is_able(void)
{
	return true; /* no flag tells: the probe has to */
}

/* Registers differ everywhere, and where there is no nesting a virtual CPU that can be made also runs. */
static bool halts(int vcpu, const struct kvm_run *run)
{
	return vcpu >= 0 && run != MAP_FAILED;
}
#endif

static bool run_vcpu(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	int size = kvm < 0 ? -1 : ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	uint8_t *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = CODE_ADDRESS,
		.memory_size = PAGE,
		.userspace_addr = (uintptr_t)memory,
	};
	struct kvm_run *run;
	int vcpu;

	if (vm < 0 || size < (int)sizeof(*run) || memory == MAP_FAILED)
		return false;
	memory[0] = 0xf4; /* HLT */
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return false;
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	run = vcpu < 0 ? MAP_FAILED : mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	return run != MAP_FAILED && halts(vcpu, run);
}

static bool vcpu_runs(void)
{
	cleanup_close int pidfd = -1;
	struct pollfd poller;
	int status = -1;
	pid_t pid;

	if (access("/dev/kvm", R_OK | W_OK) < 0)
		return false;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		syscall(SYS_close_range, 0u, ~0u, 0u);
		_exit(run_vcpu() ? 0 : 1);
	}
	if (pid < 0)
		return false;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	poller = (struct pollfd){.fd = pidfd, .events = POLLIN};
	if (pidfd < 0 || poll(&poller, 1, ACCEL_PROBE_MILLISECONDS) <= 0)
		kill(pid, SIGKILL);
	/* Where it isn't dead by now it stays init's to reap, after us. */
	return waitpid(pid, &status, WNOHANG) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

const struct accel_machine accel_machine = {.cpu_is_able = cpu_is_able, .vcpu_runs = vcpu_runs};
