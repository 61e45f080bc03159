#!/usr/bin/env bats
# The guest's root disk, and cgroups of version 1.

load attacks
load disks

export VM_ROOT=$build/image-microvm.erofs
setup_file() { VM_APPEND=systemd.unified_cgroup_hierarchy=false attacks_start; }
teardown_file() { agent_stop; }

@test "A01 a container with CAP_MKNOD doesn't open the guest's root disk, on cgroup v1" {
	guest '[ -d /sys/fs/cgroup/devices ]'
	root_disk_is_safe /dev/vdb
	precondition "v1: nodes of the root disk ($safe) could be made, that of the container's own disk could be read"
}

@test "A20 cgroups that are mounted read-only aren't written, nor is release_agent, on cgroup v1" {
	guest '[ -e /sys/fs/cgroup/memory/release_agent ]'
	cgroups_are_safe "on v1"
	# Writable ones: the file isn't there, as it is in the top of a hierarchy alone.
	attacker writer "$(cgroups rw)" -- sleep 100000
	is 0 inside writer -- sh -c 'find /sys/fs/cgroup/ -name release_agent | grep -c . || true'
	# One of its own, with the top: not without CAP_SYS_ADMIN, which is the guest's root (docs/security.md).
	run inside writer -- sh -c 'mkdir /tmp/top; mount -t cgroup -o memory cgroup /tmp/top && ls /tmp/top/release_agent'
	[[ $status -ne 0 && $output == *"ermission denied"* ]]
	removed writer
	attacker writer "$(capability SYS_ADMIN) | $(cgroups rw)" -- sleep 100000
	is /tmp/top/release_agent inside writer -- sh -c 'mkdir /tmp/top; mount -t cgroup -o memory cgroup /tmp/top && ls /tmp/top/release_agent'
	removed writer
}
