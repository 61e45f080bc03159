/* The filter, as a program for the kernel's BPF: a comparison for each call that is allowed. On kernels since 5.11 the answer for
 * a call whose arguments don't matter is kept, and costs nothing.
 */
#include "proxy/confine_calls.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "lib/cleanup.h"

#ifdef __x86_64__
#define MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#else
#error "which system calls are this machine's?"
#endif

#define CALLS_MAX 200 /* a jump reaches no further than 255 */
#define CHECKED_SIZE 6
#define CHECKED_COUNT 4

#define load(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
/* The lower half of an argument, on the machines above. */
#define load_argument(number) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[number]))
#define answer(value) BPF_STMT(BPF_RET | BPF_K, value)
#define jump(test, value, yes, no) BPF_JUMP(BPF_JMP | (test) | BPF_K, value, yes, no)

/* Calls whose arguments are looked at where they are allowed. */
static const struct checked {
	int call;
	struct sock_filter check[CHECKED_SIZE - 1]; /* behind the comparison with the call, which skips it */
} checked[CHECKED_COUNT] = {
	{SYS_socket,
	 {load_argument(0), jump(BPF_JEQ, AF_UNIX, 1, 0), jump(BPF_JEQ, AF_VSOCK, 0, 1), answer(SECCOMP_RET_ALLOW),
	  answer(SECCOMP_RET_TRAP)}},
	{SYS_mmap,
	 {load_argument(2), jump(BPF_JSET, PROT_EXEC, 1, 0), answer(SECCOMP_RET_ALLOW), answer(SECCOMP_RET_TRAP),
	  answer(SECCOMP_RET_TRAP)}},
	{SYS_mprotect,
	 {load_argument(2), jump(BPF_JSET, PROT_EXEC, 1, 0), answer(SECCOMP_RET_ALLOW), answer(SECCOMP_RET_TRAP),
	  answer(SECCOMP_RET_TRAP)}},
	{SYS_clone,
	 {load_argument(0), jump(BPF_JEQ, SIGCHLD, 0, 1), answer(SECCOMP_RET_ALLOW), answer(SECCOMP_RET_TRAP),
	  answer(SECCOMP_RET_TRAP)}},
};

static const struct checked *check_of(int call)
{
	for (size_t i = 0; i < array_size(checked); i++)
		if (checked[i].call == call)
			return &checked[i];
	return NULL;
}

struct program {
	size_t length;
	struct sock_filter code[4 + CHECKED_SIZE * CHECKED_COUNT + CALLS_MAX + 2];
};

static void add(struct program *program, struct sock_filter instruction)
{
	program->code[program->length++] = instruction;
}

static void add_checked(struct program *program, const struct checked *call)
{
	add(program, (struct sock_filter)jump(BPF_JEQ, (uint32_t)call->call, 0, CHECKED_SIZE - 1));
	for (size_t i = 0; i < CHECKED_SIZE - 1; i++)
		add(program, call->check[i]);
}

int confine_calls_to(const int *calls, size_t count, struct error *error)
{
	struct program program = {0};
	struct sock_fprog filter;
	size_t plain = 0;

	if (count > CALLS_MAX)
		return error_set(error, E2BIG, "a filter of %zu system calls", count);
	add(&program, (struct sock_filter)load(arch));
	add(&program, (struct sock_filter)jump(BPF_JEQ, MACHINE, 1, 0));
	add(&program, (struct sock_filter)answer(SECCOMP_RET_KILL_PROCESS));
	add(&program, (struct sock_filter)load(nr));
	for (size_t i = 0; i < count; i++) {
		if (check_of(calls[i]))
			add_checked(&program, check_of(calls[i]));
		else
			plain++;
	}
	for (size_t i = 0; i < count; i++)
		if (!check_of(calls[i]))
			add(&program, (struct sock_filter)jump(BPF_JEQ, (uint32_t)calls[i], (uint8_t)plain--, 0));
	add(&program, (struct sock_filter)answer(SECCOMP_RET_TRAP));
	add(&program, (struct sock_filter)answer(SECCOMP_RET_ALLOW));
	filter = (struct sock_fprog){.len = (unsigned short)program.length, .filter = program.code};
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0 ? error_errno(error, errno, "seccomp") : 0;
}
