#!/usr/bin/env bats
# OCI config-linux.md "Namespaces", "User namespace mappings", "Offset for Time Namespace"; config.md "Hostname", "Domainname".

load helpers

setup_file() { place_start; }
teardown_file() { place_stop; }

# The namespaces of whoever runs nacre-box: "pid ipc ...".
theirs() { in_place "for kind in $*; do readlink /proc/self/ns/\$kind; done"; }

@test "a listed one is new, and one that isn't is the caller's" {
	local all="ipc uts net user cgroup time pid" new=0 kind word line caller
	caller=$(theirs $all)
	run boxed '.linux.namespaces = [{type: "mount"}] | del(.hostname)' sh -c "for kind in $all; do readlink /proc/self/ns/\$kind; done"
	[[ $status -eq 0 && $output == "$caller" ]]
	run boxed '.linux.namespaces = ["mount", "ipc", "uts", "network", "cgroup", "time", "pid", "user"] | .linux.namespaces |= map({type: .})
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] | .linux.gidMappings = .linux.uidMappings' \
		sh -c "for kind in $all; do readlink /proc/self/ns/\$kind; done; echo \$\$"
	[[ $status -eq 0 && ${lines[-1]} == 1 ]]
	while read -r line; do
		grep -qxF "$line" <<<"$caller" || new=$((new + 1))
	done < <(printf '%s\n' "${lines[@]:0:7}")
	[[ $new -eq 7 ]]
	is "" left
}

@test "joined by path: what the other one has, its processes too" {
	bundle '.linux.namespaces += [{type: "time"}, {type: "cgroup"}] | .hostname = "first" | .linux.timeOffsets = {boottime: {secs: 1000000}}'
	local first=$id pid list
	box run --detach --bundle "$bundle" --pid-file "$bundle/pid" "$id"
	pid=$(in_place "cat $bundle/pid")
	list=$(theirs pid >/dev/null; in_place "for kind in pid ipc uts net time cgroup; do readlink /proc/$pid/ns/\$kind; done")
	is "$list" boxed "del(.hostname) | .linux.namespaces = [{type: \"mount\"}] + ([[\"pid\", \"pid\"], [\"ipc\", \"ipc\"], [\"uts\", \"uts\"], [\"network\", \"net\"], [\"time\", \"time\"], [\"cgroup\", \"cgroup\"]] | map({type: .[0], path: \"/proc/$pid/ns/\(.[1])\"}))" \
		sh -c 'for kind in pid ipc uts net time cgroup; do readlink /proc/self/ns/$kind; done'
	# Its procfs is that of the joined one.
	is "sleep first" boxed "del(.hostname) | .linux.namespaces = [{type: \"mount\"}, {type: \"uts\", path: \"/proc/$pid/ns/uts\"}, {type: \"pid\", path: \"/proc/$pid/ns/pid\"}]" \
		sh -c 'echo $(tr "\0" " " </proc/1/cmdline | cut -d" " -f1) $(hostname)'
	# So it is in a user namespace that isn't the joined one's.
	is "sleep 0 100000 10" boxed "del(.hostname) | .linux.namespaces = [{type: \"mount\"}, {type: \"user\"}, {type: \"pid\", path: \"/proc/$pid/ns/pid\"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 10}] | .linux.gidMappings = .linux.uidMappings" \
		sh -c 'echo $(tr "\0" " " </proc/1/cmdline | cut -d" " -f1) $(cat /proc/self/uid_map)'
	box delete --force "$first"
	is "" left
}

@test "a path of another kind, one that is no namespace, and none at all" {
	fails 125 "join the network namespace: Invalid argument" boxed '.linux.namespaces |= map(if .type == "network" then .path = "/proc/self/ns/uts" else . end)' true
	fails 125 "join the ipc namespace: Invalid argument" boxed '.linux.namespaces |= map(if .type == "ipc" then .path = "/dev/null" else . end)' true
	fails 125 "open the uts namespace /none: No such file or directory" boxed '.linux.namespaces |= map(if .type == "uts" then .path = "/none" else . end)' true
	fails 125 'namespace "pid" is there twice' boxed '.linux.namespaces += [{type: "pid"}]' true
	fails 125 'namespace type "other" isn' boxed '.linux.namespaces += [{type: "other"}]' true
	fails 125 'namespace path "relative" must be an absolute path' boxed '.linux.namespaces |= map(.path = "relative")' true
	fails 125 "a container needs a new mount namespace" boxed '.linux.namespaces |= map(select(.type != "mount"))' true
	is "" left
}

@test "a user namespace has its mappings, and its root is who is mapped" {
	local users='.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 10}, {containerID: 10, hostID: 200000, size: 5}] | .linux.gidMappings = [{containerID: 0, hostID: 300000, size: 20}]'
	is "0 100000 10 10 200000 5 0 300000 20 0:0" boxed "$users" sh -c 'echo $(cat /proc/self/uid_map /proc/self/gid_map) $(id -u):$(id -g)'
	is "12:3" boxed "$users | .process.user = {uid: 12, gid: 3}" sh -c 'echo $(id -u):$(id -g)'
	fails 125 "become user 100: Invalid argument" boxed "$users | .process.user.uid = 100" true
	fails 125 "id mappings need a new user namespace" boxed '.linux.uidMappings = [{containerID: 0, hostID: 0, size: 1}]' true
	fails 125 "needs mappings of users and groups" boxed "$users | del(.linux.gidMappings)" true
	fails 125 "an id mapping of size 0" boxed "$users | .linux.uidMappings[0].size = 0" true
	is "" left
}

@test "the clocks of a time namespace are set off, for execs too" {
	local time='.linux.namespaces += [{type: "time"}] | .linux.timeOffsets = {monotonic: {secs: 86400, nanosecs: 5}, boottime: {secs: 172800}}'
	is "monotonic 86400 5 boottime 172800 0 later" boxed "$time" \
		sh -c 'echo $(cat /proc/self/timens_offsets) $(test $(cut -d. -f1 /proc/uptime) -ge 172800 && echo later)'
	bundle "$time"
	box run --detach --bundle "$bundle" "$id"
	is later box exec "$id" sh -c 'test $(cut -d. -f1 /proc/uptime) -ge 172800 && echo later'
	box delete --force "$id"
	fails 125 "time offsets need a new time namespace" boxed '.linux.timeOffsets = {boottime: {secs: 1}}' true
	fails 125 'the clock "realtime" has no offset' boxed '.linux.namespaces += [{type: "time"}] | .linux.timeOffsets = {realtime: {secs: 1}}' true
	fails 125 "1000000000 nanoseconds are a second or more" boxed '.linux.namespaces += [{type: "time"}] | .linux.timeOffsets = {boottime: {nanosecs: 1000000000}}' true
	fails 125 "set the offset of the boottime clock" boxed '.linux.namespaces += [{type: "time"}] | .linux.timeOffsets = {boottime: {secs: -100000000000}}' true
	is "" left
}

@test "host name and domain name, of a uts namespace only" {
	local outside
	outside=$(in_place "cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname")
	is "other.name example.test" boxed '.hostname = "other.name" | .domainname = "example.test"' \
		sh -c 'echo $(cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname)'
	is "$outside" in_place "cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname"
	fails 125 "a hostname needs a uts namespace" boxed '.linux.namespaces |= map(select(.type != "uts"))' true
	fails 125 "a domain name needs a uts namespace" boxed '.domainname = "x" | del(.hostname) | .linux.namespaces |= map(select(.type != "uts"))' true
	fails 125 "is longer than 64 bytes" boxed '.domainname = "x" * 65' true
}
