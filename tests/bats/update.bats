#!/usr/bin/env bats
# UpdateContainer: other limits for a container that runs.

load helpers

setup_file() { agent_start; }
teardown_file() { agent_stop; }

# A resident container with a limit of 64 MiB and of 50 processes, which sees its own cgroup; its id is $id.
limited()
{
	id=r$BATS_TEST_NUMBER
	# shellcheck disable=SC2046
	agentctl run --id "$id" $(root_options) --print -- sh -c 'trap "exit 0" TERM; while :; do sleep 1000 & wait; done' |
		jq -c '.OCI.Linux.Resources = {Memory: {Limit: 67108864}, Pids: {Limit: 50}}
			| .OCI.Mounts += [{destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"]}]' \
			>"$BATS_TEST_TMPDIR/request"
	agentctl run --request "$BATS_TEST_TMPDIR/request" --keep --detach
}

# update RESOURCES
update()
{
	agentctl UpdateContainer "{\"container_id\": \"$id\", \"resources\": $1}"
}

# limit V1 V2: what the container finds in that file of its version.
limit()
{
	execute -- cat "/sys/fs/cgroup/$([[ $place == vm ]] && echo "$2" || echo "$1")"
}
memory() { limit memory/memory.limit_in_bytes memory.max; }
processes() { limit pids/pids.max pids.max; }

@test "a limit is in force when the call has been answered, and those not named stay" {
	limited
	is '{}' update '{"Pids": {"Limit": 20}}'
	is 20 processes
	is $((64 << 20)) memory
	is '{}' update '{"Memory": {"Limit": 134217728}}'
	is $((128 << 20)) memory
	is 20 processes
	run execute -- sh -c 'for i in $(seq 30); do sleep 1 & done; wait'
	[[ $output == *fork* ]]
	remove
}

@test "-1 takes a limit away, 0 says nothing" {
	limited
	is '{}' update '{"Pids": {"Limit": -1}, "Memory": {"Limit": 0}}'
	is max processes
	is $((64 << 20)) memory
	is '{}' update '{"Memory": {"Limit": -1}, "CPU": {"Quota": 50000, "Period": 100000}}'
	[[ $(memory) == max || $(memory) -gt $((1 << 60)) ]]
	[[ $(limit cpu/cpu.cfs_quota_us cpu.max) == 50000* ]]
	is '{}' update '{"CPU": {"Quota": -1}}'
	[[ $(limit cpu/cpu.cfs_quota_us cpu.max) == @(-1|max*) ]]
	remove
}

@test "a value that is refused leaves the others as they were" {
	limited
	fails 1 "INTERNAL: hugetlb can't be limited" \
		update '{"Pids": {"Limit": 7}, "HugepageLimits": [{"Pagesize": "3MB", "Limit": 1}]}'
	is 50 processes
	# What can't be a value is seen before anything is written.
	fails 1 "INVALID_ARGUMENT: the limit of memory and swap is below that of memory" \
		update '{"Pids": {"Limit": 7}, "Memory": {"Limit": 2097152, "Swap": 1048576}}'
	fails 1 'INVALID_ARGUMENT: "huge" is no size' update '{"Pids": {"Limit": 7}, "HugepageLimits": [{"Pagesize": "huge"}]}'
	fails 1 'INVALID_ARGUMENT: unknown type "x" of a device rule' \
		update '{"Pids": {"Limit": 7}, "Devices": [{"Allow": true, "Type": "x"}]}'
	is 50 processes
	is $((64 << 20)) memory
	remove
}

@test "values that depend on each other are written in whatever order they can be" {
	limited
	is '{}' update '{"Memory": {"Limit": 67108864, "Swap": 67108864}}'
	is '{}' update '{"Memory": {"Limit": 134217728, "Swap": 134217728}}'
	is $((128 << 20)) memory
	is '{}' update '{"Memory": {"Limit": 33554432, "Swap": 33554432}}'
	is $((32 << 20)) memory
	remove
}

@test "what this kernel has no file for is no failure, and a number that it refuses is told of" {
	limited
	# Schedulers of disks that know weights.
	is '{}' update '{"Pids": {"Limit": 20}, "BlockIO": {"Weight": 500}}'
	is 20 processes
	fails 1 "INTERNAL: write '4000' to cpuset.cpus" update '{"Pids": {"Limit": 30}, "CPU": {"Cpus": "4000"}}'
	is 30 processes
	remove
}

# rates READ WRITE: an update's limits of a disk.
rates() { echo "{\"ThrottleReadBpsDevice\": [$disk, \"Rate\": $1}], \"ThrottleWriteBpsDevice\": [$disk, \"Rate\": $2}]}"; }

@test "limits of a disk: what an update doesn't name stays, 0 takes it away, and what is refused changes nothing" {
	local number disk

	if [[ $place == vm ]]; then
		number=254:0
	else
		[[ -e /sys/fs/cgroup/blkio/blkio.throttle.read_bps_device ]] || skip "this machine doesn't limit disks by cgroup v1"
		number=$(cat /sys/block/[vs]d?/dev | head -n 1)
		[[ $number ]] || skip "this machine has no disk"
	fi
	disk="{\"Major\": ${number%:*}, \"Minor\": ${number#*:}"
	# What the file has: "READ WRITE".
	disk_limits()
	{
		execute -- sh -c "cd /sys/fs/cgroup; if [ -e io.max ]; then cat io.max; else
			cat blkio/blkio.throttle.read_bps_device blkio/blkio.throttle.write_bps_device; fi" |
			sed -nE "s/^$number (rbps=([0-9a-z]+) wbps=([0-9a-z]+).*|([0-9]+))$/\\2\\4 \\3/p" | xargs
	}

	limited
	is '{}' update "{\"BlockIO\": $(rates 1000000 2000000)}"
	is "1000000 2000000" disk_limits
	is '{}' update '{"Pids": {"Limit": 20}, "BlockIO": {}}'
	is "1000000 2000000" disk_limits
	# A quota that is too small is tried again after all else.
	fails 1 "limit of cpu" update "{\"BlockIO\": $(rates 7000000 0), \"CPU\": {\"Quota\": 500}}"
	is "1000000 2000000" disk_limits
	is '{}' update "{\"BlockIO\": $(rates 0 0)}"
	is "" disk_limits
	fails 1 "limit of cpu" update "{\"BlockIO\": $(rates 7000000 8000000), \"CPU\": {\"Quota\": 500}}"
	is "" disk_limits
	remove
}

@test "device rules replace those that there were; the default devices stay" {
	local open='rm -f /tmp/d; mknod /tmp/d c 1 11 && : >/tmp/d && echo opened'
	limited
	run execute -- sh -c "$open"
	[[ $output == *"Operation not permitted"* ]]
	is '{}' update '{"Devices": [{"Allow": true, "Type": "c", "Major": 1, "Minor": 11, "Access": "rwm"}]}'
	is opened execute -- sh -c "$open"
	# Without rules the update says nothing of devices.
	is '{}' update '{"Pids": {"Limit": 40}}'
	is opened execute -- sh -c "$open; : >/dev/null"
	is '{}' update '{"Devices": [{"Allow": true, "Type": "c", "Major": 10, "Minor": 229, "Access": "rwm"}]}'
	run execute -- sh -c "$open"
	[[ $output == *"Operation not permitted"* ]]
	is "" execute -- sh -c ': >/dev/null'
	remove
}

@test "while rules are replaced there is no moment without any" {
	limited
	# Tries all the time, from before the first update until after the last.
	execute -- sh -c 'mknod /tmp/d c 1 11
		(until [ -e /tmp/end ]; do echo >/tmp/d && echo opened >>/tmp/opened; echo tried >>/tmp/tries; done) 2>/dev/null &'
	execute -- sh -c 'until [ -e /tmp/tries ]; do sleep 0.01; done'
	for minor in {200..209}; do
		is '{}' update "{\"Devices\": [{\"Allow\": true, \"Type\": \"c\", \"Major\": 10, \"Minor\": $minor, \"Access\": \"rwm\"}]}"
	done
	is "enough" execute -- sh -c 'touch /tmp/end; [ "$(wc -l </tmp/tries)" -gt 10 ] && echo enough; cat /tmp/opened 2>/dev/null; true'
	remove
}

@test "without resources there is nothing to do" {
	resident
	is '{}' agentctl UpdateContainer "{\"container_id\": \"$id\"}"
	is '{}' update '{}'
	remove
}

@test "updates at once are made one after the other" {
	limited
	run agentctl script <<-END
		&one UpdateContainer {"container_id": "$id", "resources": {"Pids": {"Limit": 21}}}
		&two UpdateContainer {"container_id": "$id", "resources": {"Pids": {"Limit": 22}}}
		&three UpdateContainer {"container_id": "$id", "resources": {"Pids": {"Limit": 23}}}
	END
	[[ $status -eq 0 && $(grep -cE '^(one|two|three) \{\}$' <<<"$output") -eq 3 ]]
	is 23 processes
	remove
}

@test "nobody's limits can't be changed" {
	fails 1 "INVALID_ARGUMENT: Invalid container id" agentctl UpdateContainer \
		'{"container_id": "nobody", "resources": {"Pids": {"Limit": 7}}}'
	fails 1 "INVALID_ARGUMENT: Invalid container id" agentctl UpdateContainer '{}'
}
