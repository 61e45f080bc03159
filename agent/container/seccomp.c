/* Seccomp profiles, compiled by libseccomp in the agent: the helper only hands a finished program to the kernel. */
#include "agent/container/seccomp.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"

#define ARGUMENTS_MAX 6
#define FLAG_WAIT_KILLABLE_RECV (1u << 5) /* of Linux 5.19 */

struct word {
	const char *name;
	uint32_t value;
};

static const struct word actions[] = {
	{"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
	{"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
	{"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
	{"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
	{"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0)},
	{"SCMP_ACT_TRACE", SCMP_ACT_TRACE(0)},
	{"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
	{"SCMP_ACT_LOG", SCMP_ACT_LOG},
	{"SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY},
	{NULL, 0},
};

/* A kernel has the calls of few architectures. Programs of the others can't run there, so nothing is to be said of them, and the
 * library of the guest doesn't know them (scripts/build-sysroot). */
#define FOREIGN SCMP_ARCH_NATIVE
#ifdef __x86_64__
#define OF_X86(token) (token)
#else
#define OF_X86(token) FOREIGN
#endif
#ifdef __aarch64__
#define OF_ARM(token) (token)
#else
#define OF_ARM(token) FOREIGN
#endif
#ifdef __powerpc64__
#define OF_POWER(token) (token)
#else
#define OF_POWER(token) FOREIGN
#endif
#ifdef __s390x__
#define OF_S390(token) (token)
#else
#define OF_S390(token) FOREIGN
#endif

static const struct word architectures[] = {
	{"SCMP_ARCH_NATIVE", SCMP_ARCH_NATIVE},
	{"SCMP_ARCH_X86", OF_X86(SCMP_ARCH_X86)},
	{"SCMP_ARCH_X86_64", OF_X86(SCMP_ARCH_X86_64)},
	{"SCMP_ARCH_X32", OF_X86(SCMP_ARCH_X32)},
	{"SCMP_ARCH_ARM", OF_ARM(SCMP_ARCH_ARM)},
	{"SCMP_ARCH_AARCH64", OF_ARM(SCMP_ARCH_AARCH64)},
	{"SCMP_ARCH_PPC", OF_POWER(SCMP_ARCH_PPC)},
	{"SCMP_ARCH_PPC64", OF_POWER(SCMP_ARCH_PPC64)},
	{"SCMP_ARCH_PPC64LE", OF_POWER(SCMP_ARCH_PPC64LE)},
	{"SCMP_ARCH_S390", OF_S390(SCMP_ARCH_S390)},
	{"SCMP_ARCH_S390X", OF_S390(SCMP_ARCH_S390X)},
	{"SCMP_ARCH_MIPS", FOREIGN},
	{"SCMP_ARCH_MIPS64", FOREIGN},
	{"SCMP_ARCH_MIPS64N32", FOREIGN},
	{"SCMP_ARCH_MIPSEL", FOREIGN},
	{"SCMP_ARCH_MIPSEL64", FOREIGN},
	{"SCMP_ARCH_MIPSEL64N32", FOREIGN},
	{"SCMP_ARCH_PARISC", FOREIGN},
	{"SCMP_ARCH_PARISC64", FOREIGN},
	{"SCMP_ARCH_RISCV64", FOREIGN},
	{"SCMP_ARCH_LOONGARCH64", FOREIGN},
	{"SCMP_ARCH_M68K", FOREIGN},
	{"SCMP_ARCH_SH", FOREIGN},
	{"SCMP_ARCH_SHEB", FOREIGN},
	{NULL, 0},
};

static const struct word operators[] = {
	{"SCMP_CMP_NE", SCMP_CMP_NE},
	{"SCMP_CMP_LT", SCMP_CMP_LT},
	{"SCMP_CMP_LE", SCMP_CMP_LE},
	{"SCMP_CMP_EQ", SCMP_CMP_EQ},
	{"SCMP_CMP_GE", SCMP_CMP_GE},
	{"SCMP_CMP_GT", SCMP_CMP_GT},
	{"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
	{NULL, 0},
};

static const struct word flags[] = {
	{"SECCOMP_FILTER_FLAG_TSYNC", 0}, /* there is one thread */
	{"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
	{"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
	{"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", FLAG_WAIT_KILLABLE_RECV},
	{NULL, 0},
};

static void release_context(scmp_filter_ctx *context)
{
	if (*context)
		seccomp_release(*context);
}

static int look_up(const struct word *words, const char *name, const char *what, uint32_t *value, struct error *error)
{
	for (const struct word *word = words; word->name; word++) {
		if (strcmp(word->name, name) != 0)
			continue;
		*value = word->value;
		return 0;
	}
	return error_set(error, EINVAL, "unknown seccomp %s \"%.64s\"", what, name);
}

/* An action with its errno, EPERM where the profile names none. */
static int resolve_action(const char *name, bool has_errno, uint32_t number, uint32_t *action, struct error *error)
{
	int status = look_up(actions, name, "action", action, error);

	if (status < 0)
		return status;
	if (has_errno && *action != SCMP_ACT_ERRNO(0) && *action != SCMP_ACT_TRACE(0))
		return error_set(error, EINVAL, "seccomp action %s takes no errno", name);
	if (!has_errno)
		number = EPERM;
	if (number > 0xffff)
		return error_set(error, EINVAL, "seccomp errno %u is out of range", number);
	if (*action == SCMP_ACT_ERRNO(0))
		*action = SCMP_ACT_ERRNO(number);
	else if (*action == SCMP_ACT_TRACE(0))
		*action = SCMP_ACT_TRACE(number);
	return 0;
}

static int resolve_arguments(const Grpc__LinuxSyscall *rule, struct scmp_arg_cmp *comparisons, bool *repeated,
			     struct error *error)
{
	unsigned seen = 0;

	*repeated = false;
	for (size_t i = 0; i < rule->n_args; i++) {
		const Grpc__LinuxSeccompArg *argument = rule->args[i];
		uint32_t operator;
		int status = look_up(operators, argument->op, "operator", &operator, error);

		if (status < 0)
			return status;
		if (argument->index >= ARGUMENTS_MAX)
			return error_set(error, EINVAL, "seccomp argument index %llu is out of range",
					 (unsigned long long)argument->index);
		comparisons[i] = (struct scmp_arg_cmp){
			.arg = (unsigned)argument->index,
			.op = (enum scmp_compare)operator,
			.datum_a = argument->value,
			.datum_b = argument->valuetwo,
		};
		*repeated |= seen >> argument->index & 1;
		seen |= 1u << argument->index;
	}
	return 0;
}

/* One system call: all comparisons must hold; but where one argument is compared several times each comparison is a
 * rule of its own, of which any may hold, as runc reads such profiles (and libseccomp can't express the other). */
static int add_call(scmp_filter_ctx context, uint32_t action, int call, const struct scmp_arg_cmp *comparisons,
		    size_t count, bool repeated)
{
	int status;

	if (!repeated) {
		status = seccomp_rule_add_array(context, action, call, (unsigned)count, comparisons);
		return status == -EEXIST ? 0 : status;
	}
	for (size_t i = 0; i < count; i++) {
		status = seccomp_rule_add_array(context, action, call, 1, &comparisons[i]);
		if (status < 0 && status != -EEXIST)
			return status;
	}
	return 0;
}

/* The listener is passed on by the process that is filtered: what it needs for that can't wait for it. */
static const char *const needed_calls[] = {"sendmsg", "recvfrom", "close", "prctl", "capset", "clone"};

static int check_notification(const Grpc__LinuxSyscall *rule, struct error *error)
{
	for (size_t i = 0; i < rule->n_names; i++)
		for (size_t j = 0; j < array_size(needed_calls); j++)
			if (strcmp(rule->names[i], needed_calls[j]) == 0)
				return error_set(error, EINVAL, "seccomp: nobody can be notified of %s", rule->names[i]);
	return 0;
}

static int add_rule(scmp_filter_ctx context, const Grpc__LinuxSyscall *rule, uint32_t default_action,
		    struct plan_process *process, const struct plan_extras *extras, struct error *error)
{
	bool has_errno = rule->errno_ret_case == GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET;
	struct scmp_arg_cmp comparisons[64];
	uint32_t action;
	bool repeated = false;
	int status;

	if (rule->n_args > array_size(comparisons))
		return error_set(error, EINVAL, "a seccomp rule has %zu arguments", rule->n_args);
	status = resolve_action(rule->action, has_errno, has_errno ? rule->errnoret : 0, &action, error);
	if (status < 0)
		return status;
	if (action == SCMP_ACT_NOTIFY && !(extras && extras->seccomp_listener))
		return error_set(error, EINVAL, "seccomp: SCMP_ACT_NOTIFY needs a listener");
	if (action == SCMP_ACT_NOTIFY) {
		process->seccomp_flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
		status = check_notification(rule, error);
	}
	if (status == 0)
		status = resolve_arguments(rule, comparisons, &repeated, error);
	if (status < 0)
		return status;
	if (action == default_action) /* says nothing, and libseccomp refuses it */
		return 0;
	for (size_t i = 0; i < rule->n_names; i++) {
		int call = seccomp_syscall_resolve_name(rule->names[i]);

		if (call == __NR_SCMP_ERROR)
			continue;
		status = add_call(context, action, call, comparisons, rule->n_args, repeated);
		if (status < 0)
			return error_errno(error, -status, "seccomp rule for %.64s", rule->names[i]);
	}
	return 0;
}

static int add_architectures(scmp_filter_ctx context, const Grpc__LinuxSeccomp *profile, struct error *error)
{
	for (size_t i = 0; i < profile->n_architectures; i++) {
		uint32_t token;
		int status = look_up(architectures, profile->architectures[i], "architecture", &token, error);

		if (status < 0)
			return status;
		status = seccomp_arch_add(context, token);
		/* -EDOM: of the other byte order, whose programs can't run here. */
		if (status < 0 && status != -EEXIST && status != -EDOM)
			return error_errno(error, -status, "seccomp architecture %.64s", profile->architectures[i]);
	}
	return 0;
}

/* The finished program, by way of a memfd: libseccomp only writes to a file. */
static int export_program(struct plan_process *process, struct arena *arena, scmp_filter_ctx context,
			  struct error *error)
{
	cleanup_close int fd = memfd_create("seccomp", MFD_CLOEXEC);
	struct sock_filter *program;
	struct stat stat;
	int status;

	if (fd < 0)
		return error_errno(error, errno, "make a memfd for the seccomp program");
	status = seccomp_export_bpf(context, fd);
	if (status < 0)
		return error_errno(error, -status, "compile the seccomp profile");
	if (fstat(fd, &stat) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return error_errno(error, errno, "read the seccomp program");
	if (stat.st_size % (off_t)sizeof(*program) != 0 || stat.st_size / (off_t)sizeof(*program) > BPF_MAXINSNS)
		return error_set(error, E2BIG, "the seccomp profile makes a program of %lld bytes, too long",
				 (long long)stat.st_size);
	program = arena_alloc(arena, (size_t)stat.st_size);
	if (!program)
		return error_errno(error, ENOMEM, "keep the seccomp program");
	if (fd_read_all(fd, program, (size_t)stat.st_size) != (ssize_t)stat.st_size)
		return error_set(error, EIO, "the seccomp program can't be read back");
	process->seccomp = program;
	process->seccomp_count = (size_t)stat.st_size / sizeof(*program);
	return 0;
}

static int compile(struct plan_process *process, struct arena *arena, const Grpc__LinuxSeccomp *profile,
		   const struct plan_extras *extras, struct error *error)
{
	bool has_errno = extras && extras->seccomp_errno_given;
	__attribute__((cleanup(release_context))) scmp_filter_ctx context = NULL;
	uint32_t default_action;
	int status;

	status = resolve_action(profile->defaultaction, has_errno, has_errno ? extras->seccomp_errno : 0, &default_action,
				error);
	if (status < 0)
		return status;
	if (default_action == SCMP_ACT_NOTIFY)
		return error_set(error, EINVAL, "seccomp: SCMP_ACT_NOTIFY can't be the default");
	for (size_t i = 0; i < profile->n_flags; i++) {
		uint32_t flag;

		status = look_up(flags, profile->flags[i], "flag", &flag, error);
		if (status < 0)
			return status;
		process->seccomp_flags |= flag;
	}
	context = seccomp_init(default_action);
	if (!context)
		return error_errno(error, ENOMEM, "make a seccomp filter");
	status = add_architectures(context, profile, error);
	for (size_t i = 0; status == 0 && i < profile->n_syscalls; i++)
		status = add_rule(context, profile->syscalls[i], default_action, process, extras, error);
	/* It is for filters that notify, and refused without. */
	if (!(process->seccomp_flags & SECCOMP_FILTER_FLAG_NEW_LISTENER))
		process->seccomp_flags &= ~FLAG_WAIT_KILLABLE_RECV;
	return status < 0 ? status : export_program(process, arena, context, error);
}

/* The last profile, as the wire has it, and what became of it: a pod's containers and their execs mostly have the same, and
 * compiling it takes longer than all the rest of a plan. */
static struct {
	uint8_t *profile;
	size_t size;
	struct sock_filter *program;
	size_t count;
	unsigned flags;
} last;

/* Without the memory for it, it is compiled again. */
static void remember(const struct plan_process *process, const uint8_t *profile, size_t size)
{
	size_t length = process->seccomp_count * sizeof(*process->seccomp);

	free(last.program);
	last.program = malloc(length + size);
	if (!last.program)
		return;
	memcpy(last.program, process->seccomp, length);
	last.profile = memcpy((uint8_t *)last.program + length, profile, size);
	last.size = size;
	last.count = process->seccomp_count;
	last.flags = process->seccomp_flags;
}

static int take_last(struct plan_process *process, struct arena *arena, struct error *error)
{
	struct sock_filter *program = arena_array(arena, last.count, sizeof(*program));

	if (!program)
		return error_errno(error, ENOMEM, "keep the seccomp program");
	process->seccomp = memcpy(program, last.program, last.count * sizeof(*program));
	process->seccomp_count = last.count;
	process->seccomp_flags = last.flags;
	return 0;
}

int seccomp_plan(struct plan_process *process, struct arena *arena, const Grpc__LinuxSeccomp *profile,
		 const struct plan_extras *extras, struct error *error)
{
	uint8_t *packed;
	size_t size;
	int status;

	if (!profile || !*profile->defaultaction)
		return 0;
	if (extras) /* they are no part of what is compared */
		return compile(process, arena, profile, extras, error);
	size = grpc__linux_seccomp__get_packed_size(profile);
	packed = arena_alloc(arena, size);
	if (!packed)
		return error_errno(error, ENOMEM, "compare the seccomp profile");
	grpc__linux_seccomp__pack(profile, packed);
	if (last.program && last.size == size && memcmp(last.profile, packed, size) == 0)
		return take_last(process, arena, error);
	status = compile(process, arena, profile, NULL, error);
	if (status == 0)
		remember(process, packed, size);
	return status;
}

int seccomp_load_plan(const struct plan_process *process, struct error *error)
{
	struct sock_fprog program = {
		.len = (unsigned short)process->seccomp_count,
		.filter = (struct sock_filter *)process->seccomp,
	};
	int listener;

	if (!process->seccomp)
		return 0;
	listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, process->seccomp_flags, &program);
	if (listener < 0)
		return error_errno(error, errno, "load the seccomp filter");
	return listener;
}
