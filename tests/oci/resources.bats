#!/usr/bin/env bats
# config-linux.md, "Control groups": limits which only a config.json can name. As the container sees them in its own cgroup.

load helpers

setup_file() { place_start; }
teardown_file() { place_stop; }

mounted='.mounts += [{destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"]}]'

# limits RESOURCES FILE...: what a container with these finds in the files of its cgroup, each in one line.
limits()
{
	boxed "$mounted | .linux.resources = $1" sh -c 'cd /sys/fs/cgroup; shift; for file; do echo $(cat $file); done' - "$@"
}

@test "a processor's burst goes with its quota, and an idle group has no weight" {
	[[ $place == vm ]] || skip "only cgroup v2 has all of these files"
	is "50000 100000
20000
1" limits '{cpu: {quota: 50000, period: 100000, burst: 20000, idle: 1, shares: 512}}' cpu.max cpu.max.burst cpu.idle
	fails 125 "cpu.idle is 0 or 1" limits '{cpu: {idle: 2}}'
	# A burst above the quota.
	fails 125 "cpu.max.burst" limits '{cpu: {quota: 50000, burst: 60000}}'
}

@test "any file of a controller is set by its name, after what has a name of its own" {
	if [[ $place != vm ]]; then
		fails 125 "can't be set on v1" limits '{unified: {"memory.high": "33554432"}}'
		return
	fi
	is "33554432
7
1" limits '{pids: {limit: 5}, unified: {"memory.high": "33554432", "pids.max": "7", "memory.oom.group": "1"}}' \
		memory.high pids.max memory.oom.group
	fails 125 '"cgroup.freeze" is no file of a cgroup controller' limits '{unified: {"cgroup.freeze": "1"}}'
	fails 125 '"../memory.max" is no file of a cgroup controller' limits '{unified: {"../memory.max": "1"}}'
	fails 125 "memory can't be limited: the guest has no memory.nothing here" limits '{unified: {"memory.nothing": "1"}}'
	fails 125 "memory.high" limits '{unified: {"memory.high": "much"}}'
}

@test "huge pages are limited in use and in reservation; an unknown RDMA device is an error" {
	[[ $place == vm ]] || skip "this machine doesn't count them by cgroups"
	is "4194304
4194304" limits '{hugepageLimits: [{pageSize: "2MB", limit: 4194304}]}' hugetlb.2MB.max hugetlb.2MB.rsvd.max
	# The controller is there, and has read all of it, but the guest has no such device.
	fails 125 "limit of rdma: write 'mlx5_9 hca_handle=3 hca_object=10' to rdma.max: No such device" limits '{rdma: {mlx5_9: {hcaHandles: 3, hcaObjects: 10}}}'
}

@test "no limit of memory is none of memory and swap" {
	[[ $place == vm ]] || skip "v1 counts both in one"
	is "max" limits '{memory: {limit: -1}}' memory.max
	is "max" limits '{pids: {limit: -1}}' pids.max
}
