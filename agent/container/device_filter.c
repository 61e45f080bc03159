/* The device policy on cgroup v2: a BPF program of type CGROUP_DEVICE, which the kernel asks for every open and mknod
 * of a device. See bpf(2).
 *
 * The program keeps the asked-for kinds of access in a register and goes through the rules from the last to the
 * first: an allowing one that is about this device takes its kinds out, and when none are left access is given; a
 * denying one that is about a kind still in there ends it. So for each kind of access the last rule about it counts.
 *
 * It is attached to the cgroup itself, not through a link, which would end with the process that holds it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/container/cgroup_parts.h"
#include "lib/cleanup.h"

#define INSTRUCTIONS_PER_RULE 8
#define INSTRUCTIONS_FIXED 10
#define RULES_MAX 1100
#define PROGRAMS_MAX 8

/* Registers of the program. */
enum {
	RESULT = BPF_REG_0,
	CONTEXT = BPF_REG_1,
	TYPE = BPF_REG_2,
	WANTED = BPF_REG_3,
	MAJOR = BPF_REG_4,
	MINOR = BPF_REG_5,
};

struct program {
	struct bpf_insn code[RULES_MAX * INSTRUCTIONS_PER_RULE + INSTRUCTIONS_FIXED];
	size_t length;
};

static void emit(struct program *program, uint8_t code, unsigned to, unsigned from, int16_t offset, int32_t value)
{
	program->code[program->length++] = (struct bpf_insn){
		.code = code,
		.dst_reg = to & 0xf,
		.src_reg = from & 0xf,
		.off = offset,
		.imm = value,
	};
}

static void emit_load(struct program *program, unsigned to, size_t offset)
{
	emit(program, BPF_LDX | BPF_MEM | BPF_W, to, CONTEXT, (int16_t)offset, 0);
}

/* A jump whose distance is set by land() once it is known. */
static size_t emit_jump(struct program *program, uint8_t operation, unsigned reg, int32_t value)
{
	emit(program, BPF_JMP | operation | BPF_K, reg, 0, 0, value);
	return program->length - 1;
}

static void land(struct program *program, size_t jump)
{
	program->code[jump].off = (int16_t)(program->length - jump - 1);
}

static void emit_exit(struct program *program, int32_t result)
{
	emit(program, BPF_ALU64 | BPF_MOV | BPF_K, RESULT, 0, 0, result);
	emit(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* The context's first word is the kind of device in the lower half, the access in the upper one. */
static void emit_start(struct program *program)
{
	emit_load(program, TYPE, offsetof(struct bpf_cgroup_dev_ctx, access_type));
	emit(program, BPF_ALU64 | BPF_MOV | BPF_X, WANTED, TYPE, 0, 0);
	emit(program, BPF_ALU64 | BPF_AND | BPF_K, TYPE, 0, 0, 0xffff);
	emit(program, BPF_ALU64 | BPF_RSH | BPF_K, WANTED, 0, 0, 16);
	emit_load(program, MAJOR, offsetof(struct bpf_cgroup_dev_ctx, major));
	emit_load(program, MINOR, offsetof(struct bpf_cgroup_dev_ctx, minor));
}

static void emit_rule(struct program *program, const struct device_rule *rule)
{
	size_t skips[5], count = 0;

	if (rule->type != 'a')
		skips[count++] = emit_jump(program, BPF_JNE, TYPE, rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK :
										       BPF_DEVCG_DEV_CHAR);
	if (rule->major >= 0)
		skips[count++] = emit_jump(program, BPF_JNE, MAJOR, (int32_t)rule->major);
	if (rule->minor >= 0)
		skips[count++] = emit_jump(program, BPF_JNE, MINOR, (int32_t)rule->minor);
	if (rule->allow) {
		emit(program, BPF_ALU64 | BPF_AND | BPF_K, WANTED, 0, 0, ~(int32_t)rule->access);
		skips[count++] = emit_jump(program, BPF_JNE, WANTED, 0);
		emit_exit(program, 1);
	} else {
		size_t denied = emit_jump(program, BPF_JSET, WANTED, (int32_t)rule->access);

		skips[count++] = emit_jump(program, BPF_JA, 0, 0);
		land(program, denied);
		emit_exit(program, 0);
	}
	for (size_t i = 0; i < count; i++)
		land(program, skips[i]);
}

static void build_program(struct program *program, const struct cgroup_limits *limits)
{
	program->length = 0;
	emit_start(program);
	for (size_t i = limits->rule_count; i-- > 0;)
		emit_rule(program, &limits->rules[i]);
	emit_exit(program, 0);
}

static long bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int load(const struct program *program, struct error *error)
{
	union bpf_attr attr;
	long fd;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uintptr_t)program->code;
	attr.insn_cnt = (uint32_t)program->length;
	attr.license = (uintptr_t)"Apache-2.0";
	fd = bpf(BPF_PROG_LOAD, &attr);
	if (fd < 0)
		return error_errno(error, errno, "load the device filter (%zu instructions)", program->length);
	return (int)fd;
}

/* The program attached here already, as an fd; -ENOENT where there is none. */
static int find_attached(int cgroup, struct error *error)
{
	uint32_t ids[PROGRAMS_MAX];
	union bpf_attr attr;
	long fd;

	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (uint32_t)cgroup;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uintptr_t)ids;
	attr.query.prog_cnt = PROGRAMS_MAX;
	if (bpf(BPF_PROG_QUERY, &attr) < 0)
		return error_errno(error, errno, "look for a device filter");
	if (attr.query.prog_cnt == 0)
		return -ENOENT;
	if (attr.query.prog_cnt > 1)
		return error_set(error, EEXIST, "the cgroup has %u device filters", attr.query.prog_cnt);
	memset(&attr, 0, sizeof(attr));
	attr.prog_id = ids[0];
	fd = bpf(BPF_PROG_GET_FD_BY_ID, &attr);
	return fd < 0 ? error_errno(error, errno, "open the device filter") : (int)fd;
}

static int attach(int cgroup, int program, int replaced, struct error *error)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)cgroup;
	attr.attach_bpf_fd = (uint32_t)program;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (replaced >= 0) {
		attr.attach_flags |= BPF_F_REPLACE;
		attr.replace_bpf_fd = (uint32_t)replaced;
	}
	if (bpf(BPF_PROG_ATTACH, &attr) < 0)
		return error_errno(error, errno, "attach the device filter");
	return 0;
}

int device_filter_attach(int directory, const struct cgroup_limits *limits, struct error *error)
{
	struct program program;
	cleanup_close int cgroup = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int loaded = -1, attached = -1;

	if (cgroup < 0)
		return error_errno(error, errno, "open the cgroup");
	if (limits->rule_count > RULES_MAX)
		return error_set(error, EINVAL, "%zu device rules are too many", limits->rule_count);
	build_program(&program, limits);
	loaded = load(&program, error);
	if (loaded < 0)
		return loaded;
	attached = find_attached(cgroup, error);
	if (attached < 0 && attached != -ENOENT)
		return attached;
	return attach(cgroup, loaded, attached, error);
}
