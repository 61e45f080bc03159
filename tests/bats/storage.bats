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

# Volumes that outlive their containers are mounted at /run/nacre/deep/kept-N, N being the test's number.
unchanged()
{
	sed -i '\|/run/nacre/deep/kept-|d' "$BATS_TEST_TMPDIR/before"
	guest_state | sed '\|/run/nacre/deep/kept-|d' >"$BATS_TEST_TMPDIR/after"
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

# kept DRIVER SOURCE FSTYPE OPTIONS: one that outlives its containers, at $kept in the guest and $in in a container.
kept()
{
	kept=/run/nacre/deep/kept-$BATS_TEST_NUMBER in=/data/kept-$BATS_TEST_NUMBER
	kept_storage=$(storage "$@" "{\"mount_point\": \"$kept\"}")
}

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

@test "ephemeral: memory, with its size, flags and group, which the next container finds as it was left" {
	kept ephemeral tmpfs tmpfs '["size=1m", "mode=0775", "noexec", "fsgid=77"]'
	run with "$kept_storage" -- \
		sh -c "stat -c '%a %g' $in; df -k $in | awk 'NR == 2 {print \$2}'; grep -c '$in.*noexec' /proc/mounts; echo here >$in/file"
	[[ $output == $'2775 77\n1024\n1' ]]
	is here with "$kept_storage" -- cat "$in/file"
	unchanged
}

@test "huge pages: the guest gets as many as a volume is large, and has them back where it fails" {
	[[ $place == vm ]] || skip "takes huge pages of the machine"
	pages() { in_guest "cat /guest/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"; }
	kept ephemeral nodev hugetlbfs '["pagesize=2097152,size=8388608"]'
	run with "$kept_storage" -- sh -c "stat -f -c '%T %s %b' $in; grep -o 'pagesize=2M,size=8M\|pagesize=2M' /proc/mounts | tail -n 1"
	[[ $output == "hugetlbfs 2097152 4"*pagesize=2M* ]]
	is 4 pages
	fails 125 "Only allocated" with "$(doomed ephemeral nodev hugetlbfs '["pagesize=2097152,size=1099511627776"]')" -- true
	fails 125 "no pages of 12345 bytes" with "$(doomed ephemeral nodev hugetlbfs '["pagesize=12345,size=8388608"]')" -- true
	fails 125 "has no size=BYTES" with "$(doomed ephemeral nodev hugetlbfs '["pagesize=2097152"]')" -- true
	fails 125 "has no pagesize=BYTES" with "$(doomed ephemeral nodev hugetlbfs '["size=8388608"]')" -- true
	fails 125 "at /run/nacre/deep/new/point" \
		with "$(doomed ephemeral nodev hugetlbfs '["pagesize=2097152,size=4194304", "nosuchoption"]')" -- true
	is 4 pages
	unchanged
}

@test "ephemeral: options that the file system refuses, and a group that is none" {
	fails 125 "mount tmpfs (tmpfs) at" with "$(doomed ephemeral tmpfs tmpfs '["nosuchoption=1"]')" -- true
	fails 125 "fsgid=people is no number" with "$(doomed ephemeral tmpfs tmpfs '["fsgid=people"]')" -- true
	fails 125 "'loop'" with "$(doomed ephemeral tmpfs tmpfs '["loop"]')" -- true
	unchanged
}

@test "local: a folder with mode and group, which the next container finds as it was left" {
	kept local local local '["mode=0750", "fsgid=77"]'
	is "2750 77" with "$kept_storage" -- sh -c "stat -c '%a %g' $in; touch $in/file"
	is "2750 77" with "$kept_storage" -- sh -c "test -e $in/file && stat -c '%a %g' $in"
	fails 125 "mode=rwx is no number" with "$(doomed local local local '["mode=rwx"]')" -- true
	unchanged
}

@test "create_filesystem: a disk gets an ext4 with no journal, whatever was on it" {
	local create='{"driver_options": ["create_filesystem"]}'
	needs_disk
	[[ -x $build/tools/mke2fs ]] || skip "without mke2fs"
	fails 125 "creating filesystem xfs for block storage is unsupported" with "$(doomed blk /dev/vdb xfs '[]' "$create")" -- true
	fails 125 "encryption_key=ephemeral requires create_filesystem" \
		with "$(doomed blk /dev/vdb ext4 '[]' '{"driver_options": ["encryption_key=ephemeral"]}')" -- true
	fails 125 "no Confidential Data Hub, which encrypts storage" \
		with "$(doomed blk /dev/vdb ext4 '[]' '{"driver_options": ["create_filesystem", "encryption_key=ephemeral"]}')" -- true
	# The image of these VMs is the small one.
	fails 125 "this guest's image has no mkfs.ext4" with "$(doomed blk /dev/vdb ext4 '[]' "$create")" -- true
	is "from the disk" with "$(storage blk /dev/vdb ext4 '["ro"]')" -- cat /data/point/hello
	unchanged
}

@test "fs_group: a volume is handed to a group, again only where its top isn't right" {
	local group='{"fs_group": {"group_id": 77}}' mismatch='{"fs_group": {"group_id": 77, "group_change_policy": "OnRootMismatch"}}'
	in_guest "mkdir -m 700 $guest/run/nacre/volume && echo 1 >$guest/run/nacre/volume/file"
	is $'2770 77\n664 77' with "$(storage virtio-fs /run/nacre/volume bind '[]' "$group")" -- \
		sh -c 'stat -c "%a %g" /data/point /data/point/file'
	in_guest "chgrp 0 $guest/run/nacre/volume/file"
	is "664 0" with "$(storage virtio-fs /run/nacre/volume bind '[]' "$mismatch")" -- stat -c "%a %g" /data/point/file
	in_guest "chmod 700 $guest/run/nacre/volume"
	is "664 77" with "$(storage virtio-fs /run/nacre/volume bind '[]' "$mismatch")" -- stat -c "%a %g" /data/point/file
	in_guest "rm -r $guest/run/nacre/volume"
	unchanged
}

@test "image_guest_pull says what is missing" {
	fails 125 "no Confidential Data Hub, which pulls images" \
		with "$(doomed image_guest_pull docker.io/library/busybox overlay '[]' '{"driver_options": ["image_guest_pull={}"]}')" -- true
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
	storage=$(storage virtio-fs /etc bind '[]')
	id=first
	request -- sleep 1000000 | sed "s/\<c$BATS_TEST_NUMBER\>/first/g" | jq -c ".storages += [$storage] | .OCI.Mounts +=
		[{destination: \"/data\", type: \"bind\", source: \"/run/nacre/deep\", options: [\"rbind\"]}]" \
		>"$BATS_TEST_TMPDIR/first"
	agentctl run --request "$BATS_TEST_TMPDIR/first" --detach
	is root with "$storage" -- sh -c 'cut -d : -f 1 /data/point/passwd | head -n 1'
	execute -- test -e /data/point/passwd
	run -0 in_guest "test -e $guest/run/nacre/deep/point/passwd"
	remove
	unchanged
}

@test "shared: what is mounted stays for the containers to come; where it can't be mounted nothing is remembered" {
	local shared="{\"shared\": true, \"mount_point\": \"/run/nacre/deep/kept-$BATS_TEST_NUMBER\"}"
	fails 125 "mount /nosuch (bind) at" with "$(storage virtio-fs /nosuch bind '[]' "$shared")" -- true
	unchanged
	is root with "$(storage virtio-fs /etc bind '[]' "$shared")" -- \
		sh -c "cut -d : -f 1 /data/kept-$BATS_TEST_NUMBER/passwd | head -n 1"
	run -0 in_guest "test -e $guest/run/nacre/deep/kept-$BATS_TEST_NUMBER/passwd"
	# It isn't mounted again: the source is no more.
	is root with "$(storage virtio-fs /nosuch bind '[]' "$shared")" -- \
		sh -c "cut -d : -f 1 /data/kept-$BATS_TEST_NUMBER/passwd | head -n 1"
	unchanged
}
