#!/usr/bin/env bats
# The guest's root disk, and cgroups of version 2.

load attacks
load disks

setup_file() { VM_ROOT=$build/image-microvm.erofs attacks_start; }
export VM_ROOT=$build/image-microvm.erofs
teardown_file() { agent_stop; }

@test "A01 a container with CAP_MKNOD doesn't open the guest's root disk, on cgroup v2" {
	root_disk_is_safe /dev/vdb
	precondition "v2: nodes of the root disk ($safe) could be made, that of the container's own disk could be read"
}

@test "W1 on cgroup v2 devices are filtered by a program" {
	local numbers
	is $'made\nOperation not permitted' container_open 1 1
	run container_open 1 11 '.OCI.Linux.Resources.Devices = [{Allow: true, Type: "c", Major: 1, Minor: 11, Access: "rwm"}]'
	[[ $output == *made* && $output == *opened* ]]
	precondition "/dev/mem made and not opened; /dev/kmsg, which the rules allow, opened"
}

# container_open MAJOR MINOR [FILTER]: of a character device.
container_open()
{
	attacker_request character "${3:-.}" -- sh -c 'mknod /tmp/c c $1 $2 && echo made; (: >/tmp/c && echo opened) 2>&1 | sed "s/.*: //"' sh "$1" "$2"
	agentctl run --request "$BATS_TEST_TMPDIR/character"
}

@test "A20 cgroups that are mounted read-only aren't written, on cgroup v2" {
	cgroups_are_safe "on v2"
}

# without_filter CAPABILITY...: what a container with these gets at, of a disk that it may not have, once it has tried to take
# its device filter off.
without_filter()
{
	attacker_request unfiltered "$(capability "$@") | $(cgroups rw)" -- \
		sh -c '/attacks/filter /sys/fs/cgroup; mknod /tmp/disk b $1 $2; dd if=/tmp/disk bs=512 count=1 of=/dev/null 2>/dev/null && echo READ' sh $(root_numbers | head -n 1)
	run agentctl run --request "$BATS_TEST_TMPDIR/unfiltered"
	echo "$*: $output"
}

@test "W1 a container doesn't take its device filter off, unless it has CAP_SYS_ADMIN, which is the guest's root" {
	without_filter DAC_OVERRIDE
	none 'READ|[1-9] taken|any taken' "$output"
	without_filter BPF NET_ADMIN PERFMON SYS_RESOURCE
	none 'READ|[1-9] taken|any taken' "$output"
	# As docs/security.md says.
	without_filter SYS_ADMIN NET_ADMIN BPF
	[[ $output == *READ* ]]
	precondition "with CAP_BPF and CAP_NET_ADMIN the filter was looked for and stayed"
}
