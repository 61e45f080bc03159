#!/usr/bin/env bats
# What a hostile image, spec or neighbour must not get (docs/security.md): links that lead out of the root, mounts over
# procfs, races for a mount's target, leaked descriptors. Only here, as the images have to be prepared.

load helpers

setup_file() { [[ $place != local ]] || agent_start; }
teardown_file() { [[ $place != local ]] || agent_stop; }

setup()
{
	[[ $place == local ]] || skip "needs roots that the test can prepare"
	root=$BATS_TEST_TMPDIR/root
	outside=$BATS_TEST_TMPDIR/outside
	mkdir "$outside"
	cp -a "$AGENT_DIR/rootfs" "$root"
}

# attacked FILTER -- COMMAND...: a container on the prepared root, whose request has been changed by a jq filter.
attacked()
{
	local filter=$1

	shift
	agentctl run --id "a$BATS_TEST_NUMBER" --rootfs "$root" --print "$@" | jq -c "$filter" >"$BATS_TEST_TMPDIR/request"
	agentctl --timeout 60s run --request "$BATS_TEST_TMPDIR/request"
}

# Nothing was made, mounted or changed outside of the root.
untouched()
{
	[[ -z $(ls -A "$outside") ]]
}

@test "a link in the place of /proc or /sys is no target for a mount" {
	rm -rf "${root:?}/proc" && ln -s /tmp "$root/proc"
	fails 125 "no symlink" attacked . -- true
	rm "$root/proc" && mkdir "$root/proc" && rm -rf "${root:?}/sys" && ln -s "$outside" "$root/sys"
	fails 125 "no symlink" attacked . -- true
	untouched
}

@test "/dev as a link out of the root brings no node and no link out" {
	rm -rf "${root:?}/dev" && ln -s "$outside" "$root/dev"
	run attacked . -- true
	untouched
	run attacked '.OCI.Mounts |= map(select(.destination | startswith("/dev") | not))' -- true
	untouched
	rm "$root/dev" && ln -s "../../../../../../../../../../$outside" "$root/dev"
	run attacked '.OCI.Mounts |= map(select(.destination | startswith("/dev") | not))' -- true
	untouched
}

@test "a link at the target of a mount leads to a place in the root" {
	ln -s "$outside" "$root/data"
	is 1 attacked '.OCI.Mounts += [{destination: "/data/x", type: "tmpfs", source: "tmpfs"}]' -- \
		sh -c 'mount | grep -c /x'
	[[ -d $root$outside/x ]]
	untouched
}

@test "a file is bound where a link leads to nothing yet" {
	mkdir -p "$root/etc" && ln -sf ../run/here/resolv.conf "$root/etc/resolv.conf"
	echo nameserver >"$BATS_TEST_TMPDIR/resolv.conf"
	is nameserver attacked ".OCI.Mounts += [{destination: \"/etc/resolv.conf\", type: \"bind\", source: \"$BATS_TEST_TMPDIR/resolv.conf\", options: [\"bind\"]}]" -- \
		cat /run/here/resolv.conf
	ln -sf loop "$root/loop"
	fails 125 loop attacked '.OCI.Mounts += [{destination: "/loop", type: "tmpfs", source: "tmpfs"}]' -- true
}

@test "nothing is mounted over procfs" {
	local target

	fails 125 "inside /proc" attacked '.OCI.Mounts += [{destination: "/proc", type: "tmpfs", source: "tmpfs"}]' -- true
	fails 125 "no procfs" attacked '.OCI.Mounts += [{destination: "/proc", type: "bind", source: "/tmp", options: ["bind"]}]' -- true
	for target in /proc/self/attr /proc/sys /proc/1/x /proc//self/./attr; do
		fails 125 "inside /proc" \
			attacked ".OCI.Mounts += [{destination: \"$target\", type: \"bind\", source: \"/tmp\", options: [\"bind\"]}]" -- true
	done
	ln -s /proc/self/attr "$root/attr"
	fails 125 "inside /proc" attacked '.OCI.Mounts += [{destination: "/attr", type: "bind", source: "/tmp", options: ["bind"]}]' -- true
	echo faked >"$outside/uptime"
	is faked attacked ".OCI.Mounts += [{destination: \"/proc/uptime\", type: \"bind\", source: \"$outside/uptime\", options: [\"bind\"]}]" -- \
		cat /proc/uptime
}

@test "a destination has no .., and is one of the root's where it isn't absolute" {
	fails 125 '..' attacked '.OCI.Mounts += [{destination: "/x/../../y", type: "tmpfs", source: "tmpfs"}]' -- true
	fails 125 '..' attacked '.OCI.Mounts += [{destination: "../y", type: "tmpfs", source: "tmpfs"}]' -- true
	is /x attacked '.OCI.Mounts += [{destination: "x", type: "tmpfs", source: "tmpfs"}]' -- \
		awk '$2 == "/x" { print $2 }' /proc/self/mounts
}

@test "masking doesn't use the container's /dev/null" {
	local bind="{destination: \"/dev\", type: \"bind\", source: \"$outside/dev\", options: [\"rbind\"]}"

	mkdir "$outside/dev" && ln -s /proc/sys/kernel/core_pattern "$outside/dev/null"
	is "" attacked ".OCI.Mounts |= map(select(.destination | startswith(\"/dev\") | not)) | .OCI.Mounts += [$bind]" -- \
		cat /proc/timer_list
	rm -rf "$outside/dev"
}

@test "a device isn't put in the place of something else" {
	rm -rf "${root:?}/dev" && mkdir "$root/dev" && ln -s /proc/sys/kernel/core_pattern "$root/dev/null"
	fails 125 "/dev/null" attacked '.OCI.Mounts |= map(select(.destination | startswith("/dev") | not))' -- true
	fails 125 /etc/passwd attacked '.OCI.Linux.Devices = [{Path: "/etc/passwd", Type: "c", Major: 1, Minor: 3}]' -- true
	fails 125 '..' attacked '.OCI.Linux.Devices = [{Path: "/dev/../etc/x", Type: "c", Major: 1, Minor: 3}]' -- true
}

@test "a working directory leads nowhere by descriptors" {
	local number

	for number in 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
		fails 125 cwd attacked ".OCI.Process.Cwd = \"/proc/self/fd/$number\"" -- pwd
	done
	fails 125 cwd attacked '.OCI.Process.Cwd = "/proc/self/root"' -- pwd
	fails 125 cwd attacked '.OCI.Process.Cwd = "/proc/1/cwd"' -- pwd
}

@test "sysctls are of the container's own namespaces" {
	local key

	for key in kernel.core_pattern kernel.hostname net/ipv4/ip_forward net..x net.ipv4.ip_forward/ vm.swappiness; do
		fails 125 sysctl attacked ".OCI.Linux.Sysctl = {\"$key\": \"1\"}" -- true
	done
	is 4711 attacked '.OCI.Linux.Sysctl = {"kernel.msgmax": "4711"}' -- cat /proc/sys/kernel/msgmax
}

@test "a read-only /sys/fs/cgroup can't be written" {
	run attacked '.OCI.Mounts += [{destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro", "nosuid", "noexec", "nodev"]}]' -- \
		sh -c 'for f in $(find /sys/fs/cgroup -name "*.procs" -o -name release_agent -o -name "*.max"); do echo 0 >$f; done; for d in /sys/fs/cgroup/*/; do mkdir ${d}x; done; [ -e /sys/fs/cgroup/memory ]'
	[[ $status -eq 0 ]]
	[[ $(grep -vc "Read-only file system" <<<"$output") -eq 0 ]]
}

@test "a neighbour who swaps a mount's target for a link gets nothing out" {
	local volume="{destination: \"/volume\", type: \"bind\", source: \"$BATS_TEST_TMPDIR/volume\", options: [\"rbind\"]}"
	local racer

	mkdir -p "$BATS_TEST_TMPDIR/volume/target"
	(set +e; while :; do
		mv "$BATS_TEST_TMPDIR/volume/target" "$BATS_TEST_TMPDIR/volume/other"
		ln -s "../../../../../../../..$outside" "$BATS_TEST_TMPDIR/volume/target"
		rm "$BATS_TEST_TMPDIR/volume/target"
		mv "$BATS_TEST_TMPDIR/volume/other" "$BATS_TEST_TMPDIR/volume/target"
	done) 2>/dev/null 3>&- &
	racer=$!
	for _ in $(seq $([[ $quick ]] && echo 20 || echo 100)); do
		attacked ".OCI.Mounts += [$volume, {destination: \"/volume/target/x\", type: \"tmpfs\", source: \"tmpfs\"}]" -- \
			true 2>/dev/null || true
	done
	kill "$racer"
	untouched
}

@test "in a user namespace, root is somebody else outside" {
	is "0 1000 65536 0" attacked '.OCI.Linux.Namespaces += [{Type: "user"}] |
		.OCI.Linux.UIDMappings = [{HostID: 1000, ContainerID: 0, Size: 65536}] |
		.OCI.Linux.GIDMappings = [{HostID: 1000, ContainerID: 0, Size: 65536}]' -- \
		sh -c 'echo $(cat /proc/self/uid_map) $(id -u)'
}
