#!/usr/bin/env bats
# Storages: what each driver makes, and that none leaves anything behind, whether it succeeds or fails: mounts, cgroups and
# /run are the same before and after.

load helpers

setup_file()
{
	local dir=$BATS_FILE_TMPDIR

	if [[ $place == vm ]]; then
		mkdir "$dir/files"
		echo "from the disk" >"$dir/files/hello"
		truncate -s 16M "$dir/disk"
		mkfs.ext4 -q -d "$dir/files" "$dir/disk"
		VM_ARGUMENTS=(-drive "id=disk,file=$dir/disk,format=raw,if=none" -device virtio-blk-device,drive=disk)
		export VM_APPEND=agent.hotplug_timeout=1
	fi
	agent_start
	watch
	in_guest "mkdir -p $guest/run/nacre/deep"
}

teardown_file() { agent_stop; }

setup() { guest_state >"$BATS_TEST_TMPDIR/before"; }

unchanged()
{
	guest_state >"$BATS_TEST_TMPDIR/after"
	diff "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after"
}

needs_disk() { [[ $place == vm ]] || skip "needs a disk, which a VM has"; }

# storage DRIVER SOURCE FSTYPE OPTIONS [FIELDS]: one, as JSON, at /run/nacre/deep/point. OPTIONS are JSON too, and more
# FIELDS come over these.
storage()
{
	jq -cn --arg d "$1" --arg s "$2" --arg f "$3" --argjson o "$4" --argjson more "${5:-{\}}" \
		'{driver: $d, source: $s, fstype: $f, options: $o, mount_point: "/run/nacre/deep/point"} + $more'
}

# doomed DRIVER SOURCE FSTYPE OPTIONS [FIELDS]: the same for one that will fail, at a mount point whose folders aren't there
# either.
doomed() { storage "$@" | jq -c '.mount_point = "/run/nacre/deep/new/point"'; }

# with STORAGE... -- COMMAND...: a container which has these, and /run/nacre/deep as its /data.
with()
{
	local storages=()

	while [[ $1 != -- ]]; do
		storages+=("$1")
		shift
	done
	edited ".storages += $(printf '%s\n' "${storages[@]}" | jq -sc .) | .OCI.Mounts += [{destination: \"/data\",
		type: \"bind\", source: \"/run/nacre/deep\", options: [\"rbind\"]}]" "$@"
}

@test "mmioblk mounts a disk by its device's file" {
	needs_disk
	is "from the disk" with "$(storage mmioblk /dev/vdb ext4 '["ro"]')" -- cat /data/point/hello
	unchanged
}

@test "blk mounts a disk by its device's file, writable where that isn't forbidden" {
	needs_disk
	is "" with "$(storage blk /dev/vdb ext4 '[]')" -- sh -c 'echo new >/data/point/new'
	is new with "$(storage blk /dev/vdb ext4 '["ro", "noatime"]')" -- cat /data/point/new
	fails 1 "Read-only file system" with "$(storage blk /dev/vdb ext4 '["ro"]')" -- touch /data/point/new
	unchanged
}

@test "a disk with another file system than the one asked for" {
	needs_disk
	fails 125 "mount /dev/vdb (erofs) at /run/nacre/deep/new/point" with "$(doomed mmioblk /dev/vdb erofs '["ro"]')" -- true
	unchanged
}

@test "a disk that doesn't come" {
	fails 125 "waiting for uevent of /dev/nacre0" with "$(doomed mmioblk /dev/nacre0 ext4 '[]')" -- true
	fails 125 "waiting for uevent of 1f/1f" with "$(doomed blk 1f/1f ext4 '[]')" -- true
	fails 125 "is no block device's path" with "$(doomed mmioblk /dev/../etc ext4 '[]')" -- true
	fails 125 "is no PCI path" with "$(doomed blk 1f/../1f ext4 '[]')" -- true
	unchanged
}

@test "virtio-fs: a share that the host hasn't" {
	[[ $place == vm ]] || skip "a machine may have virtiofs or not"
	fails 125 "mount nosuchtag (virtiofs) at /run/nacre/deep/new/point" with "$(doomed virtio-fs nosuchtag virtiofs '[]')" -- true
	unchanged
}

@test "a bind, of a folder and of a file" {
	is root with "$(storage virtio-fs /etc bind '["ro"]')" -- sh -c 'cut -d : -f 1 /data/point/passwd | head -n 1'
	is root with "$(storage virtio-fs /etc/passwd bind '["ro"]')" -- sh -c 'cut -d : -f 1 /data/point | head -n 1'
	fails 125 "mount /nosuch (bind) at" with "$(doomed virtio-fs /nosuch bind '[]')" -- true
	unchanged
}

@test "overlayfs: a writable layer of the container's own" {
	local lower='["lowerdir=/etc", "io.katacontainers.fs-opt.overlay-rw"]'
	[[ $place == vm ]] || skip "this machine's /run may be no upper layer"
	is mine with "$(storage overlayfs overlay overlay "$lower")" -- \
		sh -c 'echo mine >/data/point/passwd; cat /data/point/passwd'
	unchanged
}

@test "overlayfs: a lower layer that isn't there, and folders to be made" {
	local lower='["lowerdir=/nosuch", "io.katacontainers.fs-opt.overlay-rw"]'
	local made='{"driver_options": ["io.katacontainers.volume.overlayfs.create_directory=/run/nacre/made/deep"]}'
	fails 125 "at /run/nacre/deep/new/point" with "$(doomed overlayfs overlay overlay "$lower" "$made")" -- true
	unchanged
}

@test "ephemeral: memory, with its size, flags and group" {
	run with "$(storage ephemeral tmpfs tmpfs '["size=1m", "mode=0775", "noexec", "fsgid=77"]')" -- \
		sh -c 'stat -c "%a %g" /data/point; df -k /data/point | awk "NR == 2 {print \$2}"; grep -c "/data/point.*noexec" /proc/mounts'
	[[ $output == $'2775 77\n1024\n1' ]]
	unchanged
}

@test "ephemeral: options that the file system refuses, and a group that is none" {
	fails 125 "mount tmpfs (tmpfs) at" with "$(doomed ephemeral tmpfs tmpfs '["nosuchoption=1"]')" -- true
	fails 125 "fsgid=people is no number" with "$(doomed ephemeral tmpfs tmpfs '["fsgid=people"]')" -- true
	fails 125 "'loop'" with "$(doomed ephemeral tmpfs tmpfs '["loop"]')" -- true
	unchanged
}

@test "local: a folder with mode and group, which goes when nothing is in it" {
	is "2750 77" with "$(storage local local local '["mode=0750", "fsgid=77"]')" -- stat -c "%a %g" /data/point
	fails 125 "mode=rwx is no number" with "$(doomed local local local '["mode=rwx"]')" -- true
	unchanged
}

@test "a mount point that isn't absolute, and a driver that there isn't" {
	fails 125 "isn't absolute" with "$(storage ephemeral tmpfs tmpfs '[]' '{"mount_point": "run/nacre"}')" -- true
	fails 125 "Failed to find the storage handler nosuch" with "$(doomed nosuch share nosuch '[]')" -- true
	unchanged
}

@test "where one of a list fails, the ones before it are taken down" {
	fails 125 "Failed to find the storage handler nosuch" \
		with "$(storage ephemeral tmpfs tmpfs '[]')" "$(storage local local local '[]' '{"mount_point": "/run/nacre/deep/second"}')" \
		"$(doomed nosuch x x '[]')" -- true
	unchanged
}

@test "where the container itself can't be made, its storages are taken down" {
	fails 125 "executable file not found" with "$(storage ephemeral tmpfs tmpfs '[]')" -- nosuch
	fails 125 "" edited ".storages += [$(storage ephemeral tmpfs tmpfs '[]')] | .OCI.Linux.Namespaces += [{Type: \"time\"}]" -- true
	unchanged
}

@test "what two containers use is there until the second one has gone" {
	local storage
	storage=$(storage ephemeral tmpfs tmpfs '[]')
	id=first
	request -- sleep 1000000 | sed "s/\<c$BATS_TEST_NUMBER\>/first/g" | jq -c ".storages += [$storage] | .OCI.Mounts +=
		[{destination: \"/data\", type: \"bind\", source: \"/run/nacre/deep\", options: [\"rbind\"]}]" \
		>"$BATS_TEST_TMPDIR/first"
	agentctl run --request "$BATS_TEST_TMPDIR/first" --detach
	execute -- sh -c 'echo shared >/data/point/file'
	is shared with "$storage" -- cat /data/point/file
	execute -- test -e /data/point/file
	remove
	unchanged
}
