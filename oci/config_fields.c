/* One table a message, one line a field. */
#include "oci/config_fields.h"

#define PLACE(kind, type, member) kind, offsetof(type, member), 0, NULL
#define PLACES(kind, type, member) kind, offsetof(type, member), offsetof(type, n_##member), NULL
#define ONE(kind, type, json, member) {json, PLACE(kind, type, member), VM_TAKES, NULL}
#define MANY(kind, type, json, member) {json, PLACES(kind, type, member), VM_TAKES, NULL}
#define INSIDE(type, json, member, shape) {json, FIELD_MESSAGE, offsetof(type, member), 0, &shape##_shape, VM_TAKES, NULL}
#define INSIDES(type, json, member, shape) \
	{json, FIELD_MESSAGES, offsetof(type, member), offsetof(type, n_##member), &shape##_shape, VM_TAKES, NULL}
/* Of use only where the container is a process of this machine. */
#define IGNORED(json, place) {json, place, VM_IGNORES, NULL}
#define NOTED(json, place) {json, place, VM_NOTES, NULL}
#define REFUSED(json, why, place) {json, place, VM_REFUSES, why}
#define NOWHERE FIELD_NONE, 0, 0, NULL
#define SHAPE(name, descriptor) static const struct shape name##_shape = {&(descriptor), name##_fields, NULL}

/* Process ------------------------------------------------------------------------------------------------------ */

static const struct field box_fields[] = {
	ONE(FIELD_UINT32, Grpc__Box, "height", height), ONE(FIELD_UINT32, Grpc__Box, "width", width), {0},
};
SHAPE(box, grpc__box__descriptor);

static const struct field user_fields[] = {
	ONE(FIELD_UINT32, Grpc__User, "uid", uid),
	ONE(FIELD_UINT32, Grpc__User, "gid", gid),
	MANY(FIELD_UINT32S, Grpc__User, "additionalGids", additionalgids),
	{0},
};
SHAPE(user, grpc__user__descriptor);

static const struct field capabilities_fields[] = {
	MANY(FIELD_TEXTS, Grpc__LinuxCapabilities, "bounding", bounding),
	MANY(FIELD_TEXTS, Grpc__LinuxCapabilities, "effective", effective),
	MANY(FIELD_TEXTS, Grpc__LinuxCapabilities, "inheritable", inheritable),
	MANY(FIELD_TEXTS, Grpc__LinuxCapabilities, "permitted", permitted),
	MANY(FIELD_TEXTS, Grpc__LinuxCapabilities, "ambient", ambient),
	{0},
};
SHAPE(capabilities, grpc__linux_capabilities__descriptor);

static const struct field rlimit_fields[] = {
	ONE(FIELD_TEXT, Grpc__POSIXRlimit, "type", type),
	ONE(FIELD_UINT64, Grpc__POSIXRlimit, "hard", hard),
	ONE(FIELD_UINT64, Grpc__POSIXRlimit, "soft", soft),
	{0},
};
SHAPE(rlimit, grpc__posixrlimit__descriptor);

/* A VM's guest has neither AppArmor nor SELinux. */
static const struct field process_fields[] = {
	IGNORED("terminal", PLACE(FIELD_BOOLEAN, Grpc__Process, terminal)), /* the command line decides */
	INSIDE(Grpc__Process, "consoleSize", consolesize, box),
	INSIDE(Grpc__Process, "user", user, user),
	MANY(FIELD_TEXTS, Grpc__Process, "args", args),
	MANY(FIELD_TEXTS, Grpc__Process, "env", env),
	ONE(FIELD_TEXT, Grpc__Process, "cwd", cwd),
	INSIDE(Grpc__Process, "capabilities", capabilities, capabilities),
	INSIDES(Grpc__Process, "rlimits", rlimits, rlimit),
	ONE(FIELD_BOOLEAN, Grpc__Process, "noNewPrivileges", nonewprivileges),
	ONE(FIELD_INT64, Grpc__Process, "oomScoreAdj", oomscoreadj),
	NOTED("apparmorProfile", PLACE(FIELD_TEXT, Grpc__Process, apparmorprofile)),
	NOTED("selinuxLabel", PLACE(FIELD_TEXT, Grpc__Process, selinuxlabel)),
	{0},
};
const struct shape config_process_shape = {&grpc__process__descriptor, process_fields, NULL};

/* Resources ---------------------------------------------------------------------------------------------------- */

static const struct field rule_fields[] = {
	ONE(FIELD_BOOLEAN, Grpc__LinuxDeviceCgroup, "allow", allow),
	ONE(FIELD_TEXT, Grpc__LinuxDeviceCgroup, "type", type),
	ONE(FIELD_INT64, Grpc__LinuxDeviceCgroup, "major", major),
	ONE(FIELD_INT64, Grpc__LinuxDeviceCgroup, "minor", minor),
	ONE(FIELD_TEXT, Grpc__LinuxDeviceCgroup, "access", access),
	{0},
};

/* A rule without numbers is for all devices. */
static void prepare_rule(void *message)
{
	Grpc__LinuxDeviceCgroup *made = message;

	made->major = made->minor = -1;
}

static const struct shape rule_shape = {&grpc__linux_device_cgroup__descriptor, rule_fields, prepare_rule};

static const struct field memory_fields[] = {
	ONE(FIELD_INT64, Grpc__LinuxMemory, "limit", limit),
	ONE(FIELD_INT64, Grpc__LinuxMemory, "reservation", reservation),
	ONE(FIELD_INT64, Grpc__LinuxMemory, "swap", swap),
	ONE(FIELD_INT64, Grpc__LinuxMemory, "kernel", kernel),
	ONE(FIELD_INT64, Grpc__LinuxMemory, "kernelTCP", kerneltcp),
	ONE(FIELD_UINT64, Grpc__LinuxMemory, "swappiness", swappiness),
	ONE(FIELD_BOOLEAN, Grpc__LinuxMemory, "disableOOMKiller", disableoomkiller),
	{0},
};
SHAPE(memory, grpc__linux_memory__descriptor);

static const struct field cpu_fields[] = {
	ONE(FIELD_UINT64, Grpc__LinuxCPU, "shares", shares),
	ONE(FIELD_INT64, Grpc__LinuxCPU, "quota", quota),
	ONE(FIELD_UINT64, Grpc__LinuxCPU, "period", period),
	ONE(FIELD_INT64, Grpc__LinuxCPU, "realtimeRuntime", realtimeruntime),
	ONE(FIELD_UINT64, Grpc__LinuxCPU, "realtimePeriod", realtimeperiod),
	ONE(FIELD_TEXT, Grpc__LinuxCPU, "cpus", cpus),
	ONE(FIELD_TEXT, Grpc__LinuxCPU, "mems", mems),
	{0},
};
SHAPE(cpu, grpc__linux_cpu__descriptor);

static const struct field pids_fields[] = {ONE(FIELD_INT64, Grpc__LinuxPids, "limit", limit), {0}};
SHAPE(pids, grpc__linux_pids__descriptor);

static const struct field weight_fields[] = {
	ONE(FIELD_INT64, Grpc__LinuxWeightDevice, "major", major),
	ONE(FIELD_INT64, Grpc__LinuxWeightDevice, "minor", minor),
	ONE(FIELD_UINT32, Grpc__LinuxWeightDevice, "weight", weight),
	ONE(FIELD_UINT32, Grpc__LinuxWeightDevice, "leafWeight", leafweight),
	{0},
};
SHAPE(weight, grpc__linux_weight_device__descriptor);

static const struct field throttle_fields[] = {
	ONE(FIELD_INT64, Grpc__LinuxThrottleDevice, "major", major),
	ONE(FIELD_INT64, Grpc__LinuxThrottleDevice, "minor", minor),
	ONE(FIELD_UINT64, Grpc__LinuxThrottleDevice, "rate", rate),
	{0},
};
SHAPE(throttle, grpc__linux_throttle_device__descriptor);

static const struct field block_fields[] = {
	ONE(FIELD_UINT32, Grpc__LinuxBlockIO, "weight", weight),
	ONE(FIELD_UINT32, Grpc__LinuxBlockIO, "leafWeight", leafweight),
	INSIDES(Grpc__LinuxBlockIO, "weightDevice", weightdevice, weight),
	INSIDES(Grpc__LinuxBlockIO, "throttleReadBpsDevice", throttlereadbpsdevice, throttle),
	INSIDES(Grpc__LinuxBlockIO, "throttleWriteBpsDevice", throttlewritebpsdevice, throttle),
	INSIDES(Grpc__LinuxBlockIO, "throttleReadIOPSDevice", throttlereadiopsdevice, throttle),
	INSIDES(Grpc__LinuxBlockIO, "throttleWriteIOPSDevice", throttlewriteiopsdevice, throttle),
	{0},
};
SHAPE(block, grpc__linux_block_io__descriptor);

static const struct field hugepage_fields[] = {
	ONE(FIELD_TEXT, Grpc__LinuxHugepageLimit, "pageSize", pagesize),
	ONE(FIELD_UINT64, Grpc__LinuxHugepageLimit, "limit", limit),
	{0},
};
SHAPE(hugepage, grpc__linux_hugepage_limit__descriptor);

static const struct field priority_fields[] = {
	ONE(FIELD_TEXT, Grpc__LinuxInterfacePriority, "name", name),
	ONE(FIELD_UINT32, Grpc__LinuxInterfacePriority, "priority", priority),
	{0},
};
SHAPE(priority, grpc__linux_interface_priority__descriptor);

static const struct field network_fields[] = {
	ONE(FIELD_UINT32, Grpc__LinuxNetwork, "classID", classid),
	INSIDES(Grpc__LinuxNetwork, "priorities", priorities, priority),
	{0},
};
SHAPE(network, grpc__linux_network__descriptor);

static const struct field resources_fields[] = {
	INSIDES(Grpc__LinuxResources, "devices", devices, rule),
	INSIDE(Grpc__LinuxResources, "memory", memory, memory),
	INSIDE(Grpc__LinuxResources, "cpu", cpu, cpu),
	INSIDE(Grpc__LinuxResources, "pids", pids, pids),
	INSIDE(Grpc__LinuxResources, "blockIO", blockio, block),
	INSIDES(Grpc__LinuxResources, "hugepageLimits", hugepagelimits, hugepage),
	INSIDE(Grpc__LinuxResources, "network", network, network),
	{0},
};
SHAPE(resources, grpc__linux_resources__descriptor);

/* Linux -------------------------------------------------------------------------------------------------------- */

static const struct field mapping_fields[] = {
	ONE(FIELD_UINT32, Grpc__LinuxIDMapping, "hostID", hostid),
	ONE(FIELD_UINT32, Grpc__LinuxIDMapping, "containerID", containerid),
	ONE(FIELD_UINT32, Grpc__LinuxIDMapping, "size", size),
	{0},
};
SHAPE(mapping, grpc__linux_idmapping__descriptor);

static const struct field namespace_fields[] = {
	ONE(FIELD_TEXT, Grpc__LinuxNamespace, "type", type),
	REFUSED("path", "a namespace of this machine can't be joined from a VM",
		PLACE(FIELD_TEXT, Grpc__LinuxNamespace, path)),
	{0},
};
SHAPE(namespace, grpc__linux_namespace__descriptor);

static const struct field device_fields[] = {
	ONE(FIELD_TEXT, Grpc__LinuxDevice, "path", path),
	ONE(FIELD_TEXT, Grpc__LinuxDevice, "type", type),
	ONE(FIELD_INT64, Grpc__LinuxDevice, "major", major),
	ONE(FIELD_INT64, Grpc__LinuxDevice, "minor", minor),
	ONE(FIELD_UINT32, Grpc__LinuxDevice, "fileMode", filemode),
	ONE(FIELD_UINT32, Grpc__LinuxDevice, "uid", uid),
	ONE(FIELD_UINT32, Grpc__LinuxDevice, "gid", gid),
	{0},
};
SHAPE(device, grpc__linux_device__descriptor);

static const struct field argument_fields[] = {
	ONE(FIELD_UINT64, Grpc__LinuxSeccompArg, "index", index),
	ONE(FIELD_UINT64, Grpc__LinuxSeccompArg, "value", value),
	ONE(FIELD_UINT64, Grpc__LinuxSeccompArg, "valueTwo", valuetwo),
	ONE(FIELD_TEXT, Grpc__LinuxSeccompArg, "op", op),
	{0},
};
SHAPE(argument, grpc__linux_seccomp_arg__descriptor);

static const struct field syscall_fields[] = {
	MANY(FIELD_TEXTS, Grpc__LinuxSyscall, "names", names),
	ONE(FIELD_TEXT, Grpc__LinuxSyscall, "action", action),
	{"errnoRet", FIELD_CHOICE, offsetof(Grpc__LinuxSyscall, errnoret), offsetof(Grpc__LinuxSyscall, errno_ret_case),
	 NULL, VM_TAKES, NULL},
	INSIDES(Grpc__LinuxSyscall, "args", args, argument),
	{0},
};
SHAPE(syscall, grpc__linux_syscall__descriptor);

static const struct field seccomp_fields[] = {
	ONE(FIELD_TEXT, Grpc__LinuxSeccomp, "defaultAction", defaultaction),
	MANY(FIELD_TEXTS, Grpc__LinuxSeccomp, "architectures", architectures),
	MANY(FIELD_TEXTS, Grpc__LinuxSeccomp, "flags", flags),
	INSIDES(Grpc__LinuxSeccomp, "syscalls", syscalls, syscall),
	REFUSED("defaultErrnoRet", "the agent protocol has no error number for a filter's default", NOWHERE),
	REFUSED("listenerPath", "a socket of this machine can't be reached from a VM", NOWHERE),
	{0},
};
SHAPE(seccomp, grpc__linux_seccomp__descriptor);

static const struct field linux_fields[] = {
	INSIDES(Grpc__Linux, "uidMappings", uidmappings, mapping),
	INSIDES(Grpc__Linux, "gidMappings", gidmappings, mapping),
	MANY(FIELD_SYSCTLS, Grpc__Linux, "sysctl", sysctl),
	INSIDE(Grpc__Linux, "resources", resources, resources),
	IGNORED("cgroupsPath", PLACE(FIELD_TEXT, Grpc__Linux, cgroupspath)),
	INSIDES(Grpc__Linux, "namespaces", namespaces, namespace),
	INSIDES(Grpc__Linux, "devices", devices, device),
	INSIDE(Grpc__Linux, "seccomp", seccomp, seccomp),
	ONE(FIELD_TEXT, Grpc__Linux, "rootfsPropagation", rootfspropagation),
	MANY(FIELD_TEXTS, Grpc__Linux, "maskedPaths", maskedpaths),
	MANY(FIELD_TEXTS, Grpc__Linux, "readonlyPaths", readonlypaths),
	NOTED("mountLabel", PLACE(FIELD_TEXT, Grpc__Linux, mountlabel)),
	REFUSED("personality", "the agent protocol has no personality", NOWHERE),
	REFUSED("netDevices", "a network device of this machine can't be moved into a VM", NOWHERE),
	{0},
};
SHAPE(linux, grpc__linux__descriptor);

/* The rest ----------------------------------------------------------------------------------------------------- */

static const struct field mount_fields[] = {
	ONE(FIELD_TEXT, Grpc__Mount, "destination", destination),
	ONE(FIELD_TEXT, Grpc__Mount, "source", source),
	ONE(FIELD_TEXT, Grpc__Mount, "type", type),
	MANY(FIELD_TEXTS, Grpc__Mount, "options", options),
	REFUSED("uidMappings", "the agent protocol has no mapped mounts", NOWHERE),
	REFUSED("gidMappings", "the agent protocol has no mapped mounts", NOWHERE),
	{0},
};
SHAPE(mount, grpc__mount__descriptor);

static const struct field root_fields[] = {
	IGNORED("path", PLACE(FIELD_TEXT, Grpc__Root, path)),
	ONE(FIELD_BOOLEAN, Grpc__Root, "readonly", readonly),
	{0},
};
SHAPE(root, grpc__root__descriptor);

static const struct field hook_fields[] = {
	ONE(FIELD_TEXT, Grpc__Hook, "path", path),
	MANY(FIELD_TEXTS, Grpc__Hook, "args", args),
	MANY(FIELD_TEXTS, Grpc__Hook, "env", env),
	ONE(FIELD_INT64, Grpc__Hook, "timeout", timeout),
	{0},
};
SHAPE(hook, grpc__hook__descriptor);

static const struct field hooks_fields[] = {
	INSIDES(Grpc__Hooks, "prestart", prestart, hook),
	INSIDES(Grpc__Hooks, "createRuntime", createruntime, hook),
	INSIDES(Grpc__Hooks, "createContainer", createcontainer, hook),
	INSIDES(Grpc__Hooks, "startContainer", startcontainer, hook),
	INSIDES(Grpc__Hooks, "poststart", poststart, hook),
	INSIDES(Grpc__Hooks, "poststop", poststop, hook),
	{0},
};
SHAPE(hooks, grpc__hooks__descriptor);

static const struct field spec_fields[] = {
	ONE(FIELD_TEXT, Grpc__Spec, "ociVersion", version),
	INSIDE(Grpc__Spec, "process", process, config_process),
	INSIDE(Grpc__Spec, "root", root, root),
	ONE(FIELD_TEXT, Grpc__Spec, "hostname", hostname),
	INSIDES(Grpc__Spec, "mounts", mounts, mount),
	{"hooks", FIELD_MESSAGE, offsetof(Grpc__Spec, hooks), 0, &hooks_shape, VM_REFUSES,
	 "hooks are programs of this machine, and the container is in a VM"},
	MANY(FIELD_ANNOTATIONS, Grpc__Spec, "annotations", annotations),
	INSIDE(Grpc__Spec, "linux", linux, linux),
	{0},
};
const struct shape config_spec_shape = {&grpc__spec__descriptor, spec_fields, NULL};
