# The guest's own disk, and its cgroups: the same attacks on version 1 and version 2, and on a disk that is memory.

# shellcheck shell=bash

# opens NAME NUMBERS: tries to read and to write the block device with these numbers, by nodes of its own.
opens='mknod /tmp/disk b $1 $2 && echo made; dd if=/tmp/disk bs=512 count=1 of=/dev/null 2>/dev/null && echo READ
	dd if=/dev/zero bs=512 count=1 conv=notrunc of=/tmp/disk 2>/dev/null && echo WRITTEN
	( : 4<>/tmp/disk ) 2>&1 | sed "s/.*: //"'

# root_numbers: of the guest's root and of the disk that it is on, "MAJOR MINOR" a line.
root_numbers()
{
	guest 'for n in $(stat -c %d /) ; do echo $((n >> 8 & 0xfff)) $((n & 0xff | n >> 12 & 0xfff00)); done
		n=$(stat -c %d /); d=$(readlink -f /sys/dev/block/$((n >> 8 & 0xfff)):$((n & 0xff | n >> 12 & 0xfff00)))
		[ ! -e $d/../dev ] || tr : " " <$d/../dev'
}

all_devices='.OCI.Linux.Resources.Devices = [{Allow: true, Type: "a", Access: "rwm"}]'

# no_way_to ID MAJOR MINOR: neither a container nor an exec gets at it, whatever its rules say.
no_way_to()
{
	local filter id=$1
	local rules='.OCI.Linux.Resources.Devices = [{Allow: false, Access: "rwm"}, {Allow: true, Type: "b", Access: "rwm"'
	for filter in . "$all_devices" "$rules}]" "$rules, Major: $2, Minor: -1}]" "$rules, Major: $2, Minor: $3}]"; do
		attacker_request "$id" "$filter" -- sh -c "$opens" sh "$2" "$3"
		run agentctl run --request "$BATS_TEST_TMPDIR/$id"
		echo "$filter: $status $output"
		# Refused at once, or made and of no use.
		[[ ($status -eq 125 && $output == *"guest's own disk"*) || $output == $'made\nOperation not permitted' ]] || return 1
	done
	attacker "$id" "$all_devices" -- sleep 100000
	run inside "$id" -- sh -c "$opens" sh "$2" "$3"
	echo "exec: $output"
	removed "$id"
	[[ $output == $'made\nOperation not permitted' ]]
}

# The same nodes work where they are a disk that the container may have.
way_to_own()
{
	local numbers
	numbers=$(guest "stat -c '%t %T' $1" | while read -r major minor; do echo $((16#$major)) $((16#$minor)); done)
	attacker_request own ".OCI.Linux.Resources.Devices = [{Allow: true, Type: \"b\", Major: ${numbers% *}, Minor: ${numbers#* }, Access: \"rm\"}]" \
		-- sh -c "$opens" sh ${numbers}
	run agentctl run --request "$BATS_TEST_TMPDIR/own"
	echo "own: $output"
	[[ $output == *READ* ]]
}

root_disk_is_safe()
{
	local major minor count=0 before
	before=$(guest 'sha256sum /init')
	while read -r major minor; do
		no_way_to "disk$count" "$major" "$minor"
		count=$((count + 1))
	done < <(root_numbers)
	((count > 0))
	way_to_own "$1"
	[[ $(guest 'sha256sum /init') == "$before" ]]
	safe=$count
}

# The mount of the container's cgroups, with these options.
cgroups() { printf '.OCI.Mounts += [{destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["%s", "nosuid", "noexec", "nodev"]}]' "$1"; }

# Read-only, every file that is there; writable, none but its own, and no release_agent.
cgroups_are_safe()
{
	local tried
	attacker reader "$(capability DAC_OVERRIDE) | $(cgroups ro)" -- sleep 100000
	run inside reader -- sh -c 'n=0; for f in $(find /sys/fs/cgroup -type f); do n=$((n + 1)); (echo 0 >$f) 2>/dev/null && echo WROTE $f; done
		for d in $(find /sys/fs/cgroup -type d); do mkdir $d/x 2>/dev/null && echo MADE $d; done; echo $n'
	echo "$output"
	tried=${lines[-1]}
	[[ ${#lines[@]} -eq 1 && $tried -gt 5 ]]
	# Where the guest's tree begins, for a container that sees it: its own cgroup, and nothing above.
	run inside reader -- sh -c 'cat /proc/self/cgroup; find /sys/fs/cgroup -name release_agent; ls -d /sys/fs/cgroup/*/system* /sys/fs/cgroup/nacre* 2>/dev/null; true'
	echo "$output"
	none '^/sys' "$output"
	removed reader
	precondition "$tried files of the container's cgroups refused a write $1"
}
