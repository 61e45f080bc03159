/* The device policy on cgroup v2: a BPF program of type CGROUP_DEVICE, which the kernel asks for every open and mknod
 * of a device. See bpf(2).
 *
 * The program goes through the rules from the last to the first. A register has the kinds of access that nothing has been
 * said about yet, and another one those that are refused; a rule takes the kinds that it is about out of the one, or puts
 * them into the other, so that for each kind the last rule about it counts. There is no jump in it: the kernel looks at each
 * instruction once when it is loaded, where it would follow each way through a program that has several.
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

#define INSTRUCTIONS_PER_RULE 16
#define INSTRUCTIONS_FIXED 15
#define RULES_MAX 1100
#define PROGRAMS_MAX 8

/* A kind of access that is always asked for, and that every allowing rule gives: so what asks for none of the others (a search
 * for a permission that devices haven't) is refused where there is no rule about the device. */
#define SOME 0x8

/* Registers of the program. */
enum {
	RESULT = BPF_REG_0, /* also what is refused */
	CONTEXT = BPF_REG_1,
	TYPE = BPF_REG_2,
	WANTED = BPF_REG_3, /* what is asked for, and not given yet */
	DEVICE = BPF_REG_4, /* major in the upper half, minor in the lower one */
	OTHER = BPF_REG_5, /* 0 for a device that the rule is about, and then all ones for one that it isn't */
	SCRATCH = BPF_REG_6,
};

/* Large, so it isn't on the stack, which would be cleared for it. */
static struct program {
	struct bpf_insn code[RULES_MAX * INSTRUCTIONS_PER_RULE + INSTRUCTIONS_FIXED];
	size_t length;
} device_program;

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

static void emit_value(struct program *program, uint8_t operation, unsigned to, int32_t value)
{
	emit(program, BPF_ALU64 | operation | BPF_K, to, 0, 0, value);
}

static void emit_between(struct program *program, uint8_t operation, unsigned to, unsigned from)
{
	emit(program, BPF_ALU64 | operation | BPF_X, to, from, 0, 0);
}

static void emit_long(struct program *program, unsigned to, uint64_t value)
{
	emit(program, BPF_LD | BPF_IMM | BPF_DW, to, 0, 0, (int32_t)value);
	emit(program, 0, 0, 0, 0, (int32_t)(value >> 32));
}

/* The context's first word is the kind of device in the lower half, the access in the upper one. */
static void emit_start(struct program *program)
{
	emit_load(program, TYPE, offsetof(struct bpf_cgroup_dev_ctx, access_type));
	emit_between(program, BPF_MOV, WANTED, TYPE);
	emit_value(program, BPF_AND, TYPE, 0xffff);
	emit_value(program, BPF_RSH, WANTED, 16);
	emit_value(program, BPF_OR, WANTED, SOME);
	emit_load(program, DEVICE, offsetof(struct bpf_cgroup_dev_ctx, major));
	emit_load(program, SCRATCH, offsetof(struct bpf_cgroup_dev_ctx, minor));
	emit_value(program, BPF_LSH, DEVICE, 32);
	emit_between(program, BPF_OR, DEVICE, SCRATCH);
	emit_value(program, BPF_MOV, RESULT, 0);
}

/* OTHER: 0 for a device that the rule is about. */
static void emit_match(struct program *program, const struct device_rule *rule)
{
	uint64_t mask = (rule->major >= 0 ? UINT64_MAX << 32 : 0) | (rule->minor >= 0 ? UINT32_MAX : 0);
	uint64_t device = ((uint64_t)rule->major << 32 | (uint32_t)rule->minor) & mask;

	if (mask != 0) {
		emit_long(program, OTHER, device);
		emit_between(program, BPF_XOR, OTHER, DEVICE);
	} else {
		emit_value(program, BPF_MOV, OTHER, 0);
	}
	if (mask != 0 && mask != UINT64_MAX) {
		emit_long(program, SCRATCH, mask);
		emit_between(program, BPF_AND, OTHER, SCRATCH);
	}
	if (rule->type == 'a')
		return;
	emit_between(program, BPF_MOV, SCRATCH, TYPE);
	emit_value(program, BPF_XOR, SCRATCH, rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
	emit_between(program, BPF_OR, OTHER, SCRATCH);
}

static void emit_rule(struct program *program, const struct device_rule *rule)
{
	emit_match(program, rule);
	/* Of a number and its negative, one has the highest bit set, unless it is 0. */
	emit_between(program, BPF_MOV, SCRATCH, OTHER);
	emit(program, BPF_ALU64 | BPF_NEG, SCRATCH, 0, 0, 0);
	emit_between(program, BPF_OR, OTHER, SCRATCH);
	emit_value(program, BPF_ARSH, OTHER, 63);
	if (rule->allow) {
		emit_value(program, BPF_OR, OTHER, ~(int32_t)(rule->access | SOME));
		emit_between(program, BPF_AND, WANTED, OTHER);
	} else {
		emit_value(program, BPF_XOR, OTHER, -1);
		emit_value(program, BPF_AND, OTHER, (int32_t)rule->access);
		emit_between(program, BPF_AND, OTHER, WANTED);
		emit_between(program, BPF_OR, RESULT, OTHER);
	}
}

/* 1 where nothing is refused, and nothing left that was never given. */
static void emit_end(struct program *program)
{
	emit_between(program, BPF_OR, RESULT, WANTED);
	emit_value(program, BPF_SUB, RESULT, 1);
	emit_value(program, BPF_RSH, RESULT, 63);
	emit(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void build_program(struct program *program, const struct cgroup_limits *limits)
{
	program->length = 0;
	emit_start(program);
	for (size_t i = limits->rule_count; i-- > 0;)
		emit_rule(program, &limits->rules[i]);
	emit_end(program);
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
	cleanup_close int cgroup = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int loaded = -1, attached = -1;

	if (cgroup < 0)
		return error_errno(error, errno, "open the cgroup");
	if (limits->rule_count > RULES_MAX)
		return error_set(error, EINVAL, "%zu device rules are too many", limits->rule_count);
	build_program(&device_program, limits);
	loaded = load(&device_program, error);
	if (loaded < 0)
		return loaded;
	attached = find_attached(cgroup, error);
	if (attached < 0 && attached != -ENOENT)
		return attached;
	return attach(cgroup, loaded, attached, error);
}
