#!/usr/bin/env bats
# Control groups: limits are in force, and nothing is left of them. Version 1 here, version 2 in a guest.

load helpers

setup_file() { agent_start; }
teardown_file() { agent_stop; }

# The value of a limit as the container itself sees it, in the file of its version.
value()
{
	local filter=$1 v1=$2 v2=$3

	if [[ $place == vm ]]; then
		edited "$filter | .OCI.Mounts += [{destination: \"/sys/fs/cgroup\", type: \"cgroup\", source: \"cgroup\",
			options: [\"ro\"]}]" -- cat "/sys/fs/cgroup/$v2"
	else
		edited "$filter | .OCI.Mounts += [{destination: \"/sys/fs/cgroup\", type: \"cgroup\", source: \"cgroup\",
			options: [\"ro\"]}]" -- cat "/sys/fs/cgroup/$v1"
	fi
}

@test "memory" {
	is $((64 << 20)) value '.OCI.Linux.Resources.Memory = {Limit: 67108864}' \
		memory/memory.limit_in_bytes memory.max
}

@test "processes" {
	is 20 value '.OCI.Linux.Resources.Pids = {Limit: 20}' pids/pids.max pids.max
	run edited '.OCI.Linux.Resources.Pids = {Limit: 5}' -- sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait'
	[[ $output == *"fork"* ]]
}

@test "processor" {
	run value '.OCI.Linux.Resources.CPU = {Quota: 50000, Period: 100000}' cpu/cpu.cfs_quota_us cpu.max
	[[ $output == $([[ $place == vm ]] && echo "50000 100000" || echo 50000) ]]
	run value '.OCI.Linux.Resources.CPU = {Shares: 512}' cpu/cpu.shares cpu.weight
	[[ $output == $([[ $place == vm ]] && echo 20 || echo 512) ]]
}

@test "too much memory ends the workload, not the agent" {
	run edited '.OCI.Linux.Resources.Memory = {Limit: 16777216}' -- sh -c 'tail /dev/zero'
	[[ $status -eq 137 ]]
	is '{"status":"SERVING"}' agentctl Health.Check
}

@test "a device rule gives, and takes" {
	local open='mknod /tmp/d c 1 11; : >/tmp/d && echo opened'
	run edited '.OCI.Linux.Resources.Devices = [{Allow: true, Type: "c", Major: 1, Minor: 11, Access: "rwm"}]' -- sh -c "$open"
	[[ $output == opened ]]
	run edited '.OCI.Linux.Resources.Devices = [{Allow: true, Type: "c", Major: 1, Minor: 11, Access: "rwm"},
		{Allow: false, Type: "c", Major: 1, Minor: 11, Access: "w"}]' -- sh -c "$open"
	[[ $output == *"Operation not permitted"* ]]
}

@test "a cgroup path that leads elsewhere is refused" {
	fails 125 "cgroup path" edited '.OCI.Linux.CgroupsPath = "/a/../../b"' -- true
}

@test "StatsContainer counts what the container uses" {
	resident
	run agentctl StatsContainer "{\"container_id\": \"$id\"}"
	[[ $(jq '.cgroup_stats.memory_stats.usage.usage | tonumber > 0' <<<"$output") == true ]]
	[[ $(jq '.cgroup_stats.pids_stats.current | tonumber >= 1' <<<"$output") == true ]]
	[[ $(jq '.cgroup_stats.cpu_stats.cpu_usage.total_usage | tonumber > 0' <<<"$output") == true ]]
	remove
}

# stat FILTER: a number of the resident container's statistics.
stat_of()
{
	agentctl StatsContainer "{\"container_id\": \"$id\"}" | jq -r ".cgroup_stats.$1 | tonumber"
}

@test "its figures follow what runs in the container, and tell its limits" {
	local memory pids time
	id=r$BATS_TEST_NUMBER
	# shellcheck disable=SC2046
	agentctl run --id "$id" $(root_options) --print -- sleep 1000000 | jq -c '
		.OCI.Linux.Resources = {Memory: {Limit: 67108864}, Pids: {Limit: 50}}' >"$BATS_TEST_TMPDIR/request"
	agentctl run --request "$BATS_TEST_TMPDIR/request" --detach
	[[ $(stat_of pids_stats.limit) -eq 50 && $(stat_of memory_stats.usage.limit) -eq 67108864 ]]
	memory=$(stat_of memory_stats.usage.usage) pids=$(stat_of pids_stats.current)
	# Twice what is looked for: what the start of the container took is given back meanwhile.
	execute -- sh -c 'dd if=/dev/zero of=/dev/shm/file bs=1M count=16 2>/dev/null; sleep 1000000 & sleep 1000000 &'
	(($(stat_of memory_stats.usage.usage) >= memory + (8 << 20)))
	(($(stat_of memory_stats.usage.max_usage) >= memory + (8 << 20)))
	[[ $(stat_of pids_stats.current) -eq $((pids + 2)) ]]
	time=$(stat_of cpu_stats.cpu_usage.total_usage)
	execute -- sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done'
	(($(stat_of cpu_stats.cpu_usage.total_usage) > time + 1000000))
	remove
}

# measured RESOURCES: a resident container with these; its id is $id.
measured()
{
	id=r$BATS_TEST_NUMBER
	# shellcheck disable=SC2046
	agentctl run --id "$id" $(root_options) --print -- sleep 1000000 |
		jq -c ".OCI.Linux.Resources = $1" >"$BATS_TEST_TMPDIR/request"
	agentctl run --request "$BATS_TEST_TMPDIR/request" --detach
}

@test "throttling is counted, in nanoseconds" {
	measured '{CPU: {Quota: 5000, Period: 50000}}'
	[[ $(stat_of cpu_stats.throttling_data.throttled_time) -ge 0 ]]
	execute -- sh -c 'i=0; while [ $i -lt 30000 ]; do i=$((i + 1)); done'
	(($(stat_of cpu_stats.throttling_data.throttled_periods) > 0))
	(($(stat_of cpu_stats.throttling_data.periods) >= $(stat_of cpu_stats.throttling_data.throttled_periods)))
	(($(stat_of cpu_stats.throttling_data.throttled_time) > 1000000))
	remove
}

@test "a limit that was met is counted; the map has the kernel's own figures" {
	measured '{Memory: {Limit: 16777216}}'
	run execute -- tail /dev/zero
	[[ $status -eq 137 ]]
	(($(stat_of memory_stats.usage.failcnt) > 0))
	(($(stat_of memory_stats.usage.max_usage) > 12 << 20))
	(($(stat_of memory_stats.stats.pgfault) > 0))
	(($(stat_of memory_stats.kernel_usage.usage) > 0))
	[[ $(agentctl StatsContainer "{\"container_id\": \"$id\"}" | jq .cgroup_stats.memory_stats.use_hierarchy) == \
		$([[ $place == vm ]] && echo false || echo true) ]]
	remove
}

@test "what a container reads from a disk is counted, by device" {
	[[ $place == vm ]] || skip "its root is no disk here"
	measured '{}'
	# The number of the first virtio disk is one of the dynamic ones.
	[[ $(agentctl StatsContainer "{\"container_id\": \"$id\"}" | jq -r '.cgroup_stats.blkio_stats.io_service_bytes_recursive[]
		| select(.op == "read" and (.value | tonumber) > 0) | "\(.major):\(.minor)"') == 25[0-9]:0 ]]
	remove
}

@test "huge pages are counted by their size" {
	[[ $place == vm ]] || skip "this machine doesn't count them by cgroups"
	measured '{}'
	[[ $(agentctl StatsContainer "{\"container_id\": \"$id\"}" | jq -c '.cgroup_stats.hugetlb_stats["2MB"]') == \
		'{"usage":"0","max_usage":"0","failcnt":"0"}' ]]
	remove
}

@test "StatsContainer of a container that there isn't" {
	fails 1 INVALID_ARGUMENT agentctl StatsContainer '{"container_id": "nobody"}'
}

# Cgroups of a container's own -----------------------------------------------------------------------------------------

cgroups_mount='.OCI.Mounts += [{destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["rw", "nosuid"]}]'

# manager [FILTER]: a resident container that may write its cgroups; its id is $id.
manager()
{
	id=r$BATS_TEST_NUMBER
	# shellcheck disable=SC2046
	agentctl run --id "$id" $(root_options) --print -- sh -c 'trap "exit 0" TERM; while :; do sleep 1000 & wait; done' |
		jq -c "$cgroups_mount | ${1:-.}" >"$BATS_TEST_TMPDIR/request"
	agentctl run --request "$BATS_TEST_TMPDIR/request" --keep --detach
}

@test "a container that may write its cgroups limits groups of its own, as docker in docker does" {
	[[ $place == vm ]] || skip "cgroup v1 has no such rule"
	manager '.OCI.Linux.Resources = {Pids: {Limit: 50}}'
	# What is at the top can have children with controllers, as no process is in it.
	is 0::/init execute -- cat /proc/self/cgroup
	is "" execute -- cat /sys/fs/cgroup/cgroup.procs
	# The start of Docker's own image, then what its runtime does.
	run execute -- sh -ec 'cd /sys/fs/cgroup
		mkdir -p init
		xargs -rn1 <cgroup.procs >init/cgroup.procs || :
		sed -e "s/ / +/g" -e "s/^/+/" <cgroup.controllers >cgroup.subtree_control
		mkdir -p docker/one
		sed -e "s/ / +/g" -e "s/^/+/" <docker/cgroup.controllers >docker/cgroup.subtree_control
		echo 7 >docker/one/pids.max
		echo 33554432 >docker/one/memory.max
		sh -c "echo 0 >docker/one/cgroup.procs; cat /proc/self/cgroup; tail /dev/zero; echo \$?
			for i in 1 2 3 4 5 6 7 8; do sleep 1 & done"'
	[[ $output == "0::/docker/one"*137*fork* ]]
	# Its own limits are out of its reach, and so is everything beside it.
	run execute -- sh -c 'echo max >/sys/fs/cgroup/pids.max'
	[[ $output == *denied* || $output == *"not permitted"* ]]
	is "1 50" execute -- sh -c 'echo $(ls -d /sys/fs/cgroup/../cgroup | wc -l) $(cat /sys/fs/cgroup/pids.max)'
	(($(stat_of pids_stats.current) >= 2))
	remove
}

@test "an exec goes where the container has moved its first process, as systemd does" {
	[[ $place == vm ]] || skip "cgroup v1 has no such rule"
	manager
	execute -- sh -ec 'cd /sys/fs/cgroup/init
		mkdir init.scope system.slice
		while read -r pid; do echo "$pid" >init.scope/cgroup.procs; done <cgroup.procs
		echo "+memory +pids" >cgroup.subtree_control
		echo 9 >system.slice/pids.max'
	is 0::/init/init.scope execute -- cat /proc/self/cgroup
	# And where it goes later, by itself or sent by others.
	execute -- sh -c 'mkdir /sys/fs/cgroup/elsewhere && echo 1 >/sys/fs/cgroup/elsewhere/cgroup.procs'
	is 0::/elsewhere execute -- cat /proc/self/cgroup
	remove
}

@test "in a user namespace its cgroups are the container's user's" {
	[[ $place == vm ]] || skip "cgroup v1 isn't given away"
	run edited "$cgroups_mount"' | .OCI.Linux.Namespaces += [{Type: "user"}]
		| .OCI.Linux.UIDMappings = [{HostID: 100000, ContainerID: 0, Size: 65536}]
		| .OCI.Linux.GIDMappings = [{HostID: 100000, ContainerID: 0, Size: 65536}]' -- sh -ec 'cd /sys/fs/cgroup
			stat -c "%n %u" . cgroup.procs cgroup.subtree_control pids.max init init/cgroup.procs
			mkdir one && echo +pids >cgroup.subtree_control && echo 5 >one/pids.max
			echo $$ >one/cgroup.procs && cat /proc/self/cgroup'
	[[ $output == ". 0"$'\n'"cgroup.procs 0"$'\n'"cgroup.subtree_control 0"$'\n'"pids.max 65534"$'\n'"init 0
init/cgroup.procs 0"$'\n'"0::/one" ]]
}

@test "a container that may only read its cgroups is at their top, and makes none" {
	[[ $place == vm ]] || skip "cgroup v1 has no such top"
	is "0::/ Read-only" edited "${cgroups_mount/\"rw\"/\"ro\"}" -- sh -c '
		echo $(cat /proc/self/cgroup) $(mkdir /sys/fs/cgroup/one 2>&1 | grep -io "read-only")'
}

@test "nothing is left of cgroups that are nested deeply and have processes" {
	local before
	watch
	before=$(guest_state)
	manager
	execute -- sh -ec 'cd /sys/fs/cgroup
		[ -e cgroup.procs ] || cd memory
		i=0
		while [ $i -lt 70 ]; do mkdir n m; cd n; i=$((i + 1)); done
		sleep 1000000 &
		echo $! >cgroup.procs'
	remove
	[[ $(guest_state) == "$before" ]]
	[[ $place == local ]] || agentctl RemoveContainer '{"container_id": "watcher"}'
}

@test "what a container has frozen itself ends with it all the same" {
	local before
	watch
	before=$(guest_state)
	manager
	execute -- sh -ec 'cd /sys/fs/cgroup
		[ -e cgroup.procs ] || cd freezer
		mkdir one two
		sleep 1000000 &
		echo $! >one/cgroup.procs
		if [ -e one/freezer.state ]; then echo FROZEN >one/freezer.state; else echo 1 >one/cgroup.freeze; fi'
	remove
	[[ $(guest_state) == "$before" ]]
	[[ $place == local ]] || agentctl RemoveContainer '{"container_id": "watcher"}'
}
