/* The device policy: OCI rules to a list, and that list to cgroup v1's files. Whatever isn't allowed is denied; the
 * default devices always are allowed, and the disks under the guest's own root never (CVE-2020-2023). */
#include <errno.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "agent/container/cgroup_parts.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

#define RULES_MAX 1024 /* the program on v2 has a handful of instructions for each */
#define ANY (-1)
#define MKNOD BPF_DEVCG_ACC_MKNOD
#define READ_WRITE (BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE)
#define ALL (MKNOD | READ_WRITE)

static const struct device_rule default_rules[] = {
	{true, 'c', ANY, ANY, MKNOD}, /* making a node gives no access to what it names */
	{true, 'b', ANY, ANY, MKNOD},
	{true, 'c', 1, 3, ALL},	  /* null */
	{true, 'c', 1, 5, ALL},	  /* zero */
	{true, 'c', 1, 7, ALL},	  /* full */
	{true, 'c', 1, 8, ALL},	  /* random */
	{true, 'c', 1, 9, ALL},	  /* urandom */
	{true, 'c', 5, 0, ALL},	  /* tty */
	{true, 'c', 5, 1, ALL},	  /* console */
	{true, 'c', 5, 2, ALL},	  /* ptmx */
	{true, 'c', 136, ANY, ALL}, /* pts */
	{true, 'c', 10, 200, ALL},  /* tun */
};

static int resolve_access(const char *text, unsigned *access)
{
	*access = *text ? 0 : ALL;
	for (; *text; text++) {
		switch (*text) {
		case 'r':
			*access |= BPF_DEVCG_ACC_READ;
			break;
		case 'w':
			*access |= BPF_DEVCG_ACC_WRITE;
			break;
		case 'm':
			*access |= MKNOD;
			break;
		default:
			return -EINVAL;
		}
	}
	return 0;
}

static char resolve_type(const char *type)
{
	if (!*type || strcmp(type, "a") == 0)
		return 'a';
	if (strcmp(type, "c") == 0 || strcmp(type, "u") == 0)
		return 'c';
	return strcmp(type, "b") == 0 ? 'b' : 0;
}

static int resolve_rule(const Grpc__LinuxDeviceCgroup *given, struct device_rule *rule, struct error *error)
{
	*rule = (struct device_rule){
		.allow = given->allow,
		.type = resolve_type(given->type),
		/* The wire has no "absent": no device has major 0, but minor 0 is a common one. */
		.major = given->major > 0 ? given->major : ANY,
		.minor = given->minor > 0 || (given->minor == 0 && given->major > 0) ? given->minor : ANY,
	};
	if (!rule->type)
		return error_set(error, EINVAL, "unknown type \"%.16s\" of a device rule", given->type);
	if (resolve_access(given->access, &rule->access) < 0)
		return error_set(error, EINVAL, "unknown access \"%.16s\" of a device rule", given->access);
	if (rule->major > UINT32_MAX || rule->minor > UINT32_MAX)
		return error_set(error, EINVAL, "a device rule has an impossible number");
	return 0;
}

static bool covers(const struct device_rule *rule, dev_t disk)
{
	return rule->allow && rule->type != 'c' && rule->access & READ_WRITE &&
	       (rule->major == ANY || rule->major == (int64_t)major(disk)) &&
	       (rule->minor == ANY || rule->minor == (int64_t)minor(disk));
}

/* v1 has no order: with "deny" as the default a rule for all of a kind can't have exceptions. Such a rule, where it
 * would give the guest's own disk away, is refused. (Where all is allowed, exceptions work.) */
static int check_v1(const struct cgroup_tree *tree, const struct device_rule *rule, struct error *error)
{
	for (size_t i = 0; i < array_size(tree->guest_disks); i++)
		if (tree->guest_disks[i] && rule->type == 'b' && covers(rule, tree->guest_disks[i]))
			return error_set(error, EINVAL, "a device rule gives away the guest's own disk");
	return 0;
}

static void add_rule(struct device_rule *rules, size_t *count, const struct device_rule *rule)
{
	bool everything = rule->major == ANY && rule->minor == ANY && rule->access == ALL;

	rules[*count] = *rule;
	if (rule->type == 'a' && !everything) {
		/* v1 takes "a" as everything, whatever the numbers say. */
		rules[*count].type = 'b';
		rules[++*count] = *rule;
		rules[*count].type = 'c';
	}
	++*count;
}

int device_rules_plan(struct cgroup_limits *limits, struct arena *arena, const struct cgroup_tree *tree,
		      const Grpc__LinuxResources *resources, struct error *error)
{
	size_t given = resources ? resources->n_devices : 0;
	size_t room = 2 * given + array_size(default_rules) + array_size(tree->guest_disks), count = 0;
	struct device_rule *rules;

	if (given > RULES_MAX / 2)
		return error_set(error, EINVAL, "%zu device rules are too many", given);
	rules = arena_array(arena, room, sizeof(*rules));
	if (!rules)
		return error_set(error, ENOMEM, "the device rules are too many");
	for (size_t i = 0; i < given; i++) {
		struct device_rule rule;
		int status = resolve_rule(resources->devices[i], &rule, error);

		if (status == 0 && !tree->unified)
			status = check_v1(tree, &rule, error);
		if (status < 0)
			return status;
		add_rule(rules, &count, &rule);
	}
	memcpy(rules + count, default_rules, sizeof(default_rules));
	count += array_size(default_rules);
	for (size_t i = 0; i < array_size(tree->guest_disks); i++) {
		dev_t disk = tree->guest_disks[i];

		if (disk)
			rules[count++] = (struct device_rule){false, 'b', major(disk), minor(disk), READ_WRITE};
	}
	limits->rules = rules;
	limits->rule_count = count;
	limits->devices_given = given > 0;
	return 0;
}

static void print_number(char text[16], int64_t number)
{
	if (number == ANY)
		strcpy(text, "*");
	else
		snprintf(text, 16, "%" PRId64, number);
}

static int write_rule(int directory, const struct device_rule *rule, struct error *error)
{
	char major_text[16], minor_text[16], line[64];

	if (rule->type == 'a')
		return fd_write_file(directory, rule->allow ? "devices.allow" : "devices.deny", "a", error);
	print_number(major_text, rule->major);
	print_number(minor_text, rule->minor);
	snprintf(line, sizeof(line), "%c %s:%s %s%s%s", rule->type, major_text, minor_text,
		 rule->access & BPF_DEVCG_ACC_READ ? "r" : "", rule->access & BPF_DEVCG_ACC_WRITE ? "w" : "",
		 rule->access & MKNOD ? "m" : "");
	return fd_write_file(directory, rule->allow ? "devices.allow" : "devices.deny", line, error);
}

int device_rules_write(int directory, const struct cgroup_limits *limits, struct error *error)
{
	int status = fd_write_file(directory, "devices.deny", "a", error);

	for (size_t i = 0; status == 0 && i < limits->rule_count; i++)
		status = write_rule(directory, &limits->rules[i], error);
	return status < 0 ? error_wrap(error, "device rules") : 0;
}
