#!/usr/bin/env bats
# Storages: what each driver makes, and that none leaves anything behind, whether it succeeds or fails: mounts, cgroups and
# /run are the same before and after.

load helpers

watchable=/run/kata-containers/shared/containers/watchable

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
	# The runtime makes the folder of watchable mounts.
	in_guest "mkdir -p $guest/run/nacre/deep $guest$watchable"
}

teardown_file() { agent_stop; }

setup() { guest_state >"$BATS_TEST_TMPDIR/before"; }

# Volumes that outlive their containers are mounted at /run/nacre/deep/kept-N, N being the test's number.
unchanged()
{
	guest_state >"$BATS_TEST_TMPDIR/after"
	sed -i '\|/run/nacre/deep/kept-|d' "$BATS_TEST_TMPDIR"/{before,after}
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
	pages() { in_guest "cat /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"; }
	kept ephemeral nodev hugetlbfs '["pagesize=2097152,size=8388608"]'
	is $'8192\n1' with "$kept_storage" -- \
		sh -c "df -k $in | awk 'NR == 2 {print \$2}'; grep -c '$in hugetlbfs .*pagesize=2M' /proc/mounts"
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
	fails 125 "" edited ".storages += [$(storage ephemeral tmpfs tmpfs '[]')] | .OCI.Linux.Namespaces += [{Type: \"nonsense\"}]" -- true
	unchanged
}

# lasting ID STORAGE: a resident container which has it, and /run/nacre/deep as its /data.
lasting()
{
	id=$1
	request -- sleep 1000000 | sed "s/\<c$BATS_TEST_NUMBER\>/$id/g" | jq -c ".storages += [$2] | .OCI.Mounts +=
		[{destination: \"/data\", type: \"bind\", source: \"/run/nacre/deep\", options: [\"rbind\"]}]" \
		>"$BATS_TEST_TMPDIR/$id"
	agentctl run --request "$BATS_TEST_TMPDIR/$id" --detach
}

@test "what two containers use is there until the second one has gone" {
	local storage
	storage=$(storage virtio-fs /etc bind '[]')
	lasting first "$storage"
	is root with "$storage" -- sh -c 'cut -d : -f 1 /data/point/passwd | head -n 1'
	execute -- test -e /data/point/passwd
	guest_state >"$BATS_TEST_TMPDIR/now"
	grep -q "/etc /run/nacre/deep/point r" "$BATS_TEST_TMPDIR/now"
	remove
	unchanged
}

@test "what a removal has unmounted before it failed is mounted for the next container" {
	local storage
	storage=$(storage virtio-fs /etc bind '[]')
	lasting first "$storage"
	# It can't be removed as long as something is mounted in its folder, and its own storages go before that is found.
	lasting second "$(storage virtio-fs /etc bind '[]' '{"mount_point": "/run/kata-containers/first/busy"}')"
	id=first
	fails 1 "remove /run/kata-containers/first: Cross-device link" remove
	is root with "$storage" -- sh -c 'cut -d : -f 1 /data/point/passwd | head -n 1'
	id=second remove
	id=first remove
	unchanged
}

@test "shared: what is mounted stays for the containers to come; where it can't be mounted nothing is remembered" {
	local shared="{\"shared\": true, \"mount_point\": \"/run/nacre/deep/kept-$BATS_TEST_NUMBER\"}"
	fails 125 "mount /nosuch (bind) at" with "$(storage virtio-fs /nosuch bind '[]' "$shared")" -- true
	unchanged
	is root with "$(storage virtio-fs /etc bind '[]' "$shared")" -- \
		sh -c "cut -d : -f 1 /data/kept-$BATS_TEST_NUMBER/passwd | head -n 1"
	guest_state >"$BATS_TEST_TMPDIR/now"
	grep -q "/etc /run/nacre/deep/kept-$BATS_TEST_NUMBER r" "$BATS_TEST_TMPDIR/now"
	# It isn't mounted again: the source is no more.
	is root with "$(storage virtio-fs /nosuch bind '[]' "$shared")" -- \
		sh -c "cut -d : -f 1 /data/kept-$BATS_TEST_NUMBER/passwd | head -n 1"
	unchanged
}

# volume N: makes /run/nacre/volume as the kubelet does, or exchanges its contents: N in a file `key`.
volume()
{
	in_guest "mkdir -p $guest/run/nacre/volume && cd $guest/run/nacre/volume && mkdir ..$1 && echo $1 >..$1/key &&
		ln -s ..$1 ..tmp && mv -T ..tmp ..data && rm -rf ..$(($1 - 1)) && { [ -L key ] || ln -s ..data/key key; }"
}

# watching SOURCE COMMAND...: a container in the background, which has the source as its /data ($at), has said "up", and writes
# to $BATS_TEST_TMPDIR/output.
watching()
{
	local storage

	storage=$(storage watchable-bind "$1" bind '["bind"]' "{\"mount_point\": \"$watchable/volume\"}")
	BEGAN_EDIT=".storages += [$storage] | .OCI.Mounts += [{destination: \"${at:-/data}\", type: \"bind\",
		source: \"$watchable/volume\", options: [\"rbind\", \"ro\"]}]" began "${@:2}"
}

# wrote STATUS TEXT...: how that container ended.
wrote()
{
	local status=0

	wait "$running" || status=$?
	echo "status $status; $(cat "$BATS_TEST_TMPDIR"/output "$BATS_TEST_TMPDIR"/errors)"
	[[ $status -eq $1 && $(cat "$BATS_TEST_TMPDIR/output") == "$2" ]]
}

# told FOLDER EVENTS: a command that says "up" once it watches a folder, and then what comes first.
told="inotifyd - \$0:\$1 >/dev/shm/told &
	until grep -q ^inotify /proc/\$!/fdinfo/*; do :; done
	echo up
	until [ -s /dev/shm/told ]; do usleep 10000; done
	head -n 1 /dev/shm/told"

@test "watchable-bind: a container is told of a volume of Kubernetes which is exchanged" {
	volume 1
	watching /run/nacre/volume timeout 60 sh -c "$told; cat /data/key" /data y
	volume 2
	wrote 0 $'up\ny\t/data\t..data\n2'
	in_guest "rm -r $guest/run/nacre/volume"
	unchanged
}

@test "watchable-bind: a container is told of a file that is changed, and of one that is removed" {
	in_guest "mkdir $guest/run/nacre/volume && echo 1 >$guest/run/nacre/volume/file"
	watching /run/nacre/volume timeout 60 sh -c "$told; until [ 2 = \"\$(cat /data/file)\" ]; do usleep 10000; done" /data/file c
	in_guest "echo 2 >$guest/run/nacre/volume/file"
	wrote 0 $'up\nc\t/data/file'
	watching /run/nacre/volume timeout 60 sh -c "$told" /data d
	in_guest "rm -r $guest/run/nacre/volume/file"
	wrote 0 $'up\nd\t/data\tfile'
	in_guest "rm -r $guest/run/nacre/volume"
	unchanged
}

@test "watchable-bind: whoever reads while a volume is exchanged always finds a whole one" {
	volume 1
	# shellcheck disable=SC2016
	watching /run/nacre/volume timeout 60 sh -c 'echo up; last=1
		while [ $last -lt 4 ]; do
			key=$(cat /data/key) && [ "$key" -ge $last ] || { echo "$last: $key"; exit 1; }
			last=$key
		done'
	volume 2
	volume 3
	volume 4
	wrote 0 up
	in_guest "rm -r $guest/run/nacre/volume"
	unchanged
}

@test "watchable-bind: many files, owners, modes and links; one file; what is too large for a copy is bound" {
	in_guest "mkdir $guest/run/nacre/volume && cd $guest/run/nacre/volume && seq 100 | while read -r i; do echo \$i >file\$i; done &&
		chown 12:34 file7 && chmod 604 file7 && ln -s file7 link && chown -h 56:78 link"
	watching /run/nacre/volume sh -c 'echo up; ls /data | wc -l; cat /data/link; stat -c "%a %u %g" /data/file7; stat -c "%u" /data/link'
	wrote 0 $'up\n101\n7\n604 12 34\n56'
	# shellcheck disable=SC2016
	at=/one watching /run/nacre/volume/file7 timeout 60 sh -c \
		'echo up; until [ new = "$(cat /one)" ]; do usleep 10000; done; stat -c %a /one'
	in_guest "echo new >$guest/run/nacre/volume/file7"
	wrote 0 $'up\n604'
	in_guest "head -c 20000000 /dev/zero >$guest/run/nacre/volume/large"
	watching /run/nacre/volume timeout 60 sh -c 'echo up; until [ -e /data/added ]; do usleep 10000; done; stat -c %s /data/large'
	in_guest "touch $guest/run/nacre/volume/added"
	wrote 0 $'up\n20000000'
	in_guest "rm -r $guest/run/nacre/volume"
	unchanged
}

@test "watchable-bind: a place that isn't for it, and a source that isn't there" {
	local elsewhere="{\"mount_point\": \"$watchable/../elsewhere\"}" here="{\"mount_point\": \"$watchable/volume\"}"
	fails 125 "is in no folder of watchable mounts" with "$(storage watchable-bind /etc bind '[]')" -- true
	fails 125 "is in no folder of watchable mounts" with "$(storage watchable-bind /etc bind '[]' "$elsewhere")" -- true
	fails 125 "copy /nosuch to $watchable/volume: No such file" with "$(storage watchable-bind /nosuch bind '[]' "$here")" -- true
	unchanged
}

# mounter: a container called "mounter" by Kubernetes, resident, which can mount.
mounter()
{
	id=m$BATS_TEST_NUMBER
	request -- sleep 1000000 | sed "s/\<c$BATS_TEST_NUMBER\>/$id/g" | jq -c '.OCI.Annotations["io.kubernetes.cri.container-name"] = "mounter" |
		.OCI.Process.Capabilities |= map_values(. + ["CAP_SYS_ADMIN"])' >"$BATS_TEST_TMPDIR/mounter"
	agentctl run --request "$BATS_TEST_TMPDIR/mounter" --detach
}

# sharing PATH TARGET [FILTER] -- COMMAND...: a container that has what `mounter` has mounted at PATH.
sharing()
{
	local path=$1 target=$2 filter=.

	[[ $3 == -- ]] || { filter=$3; shift; }
	shift 3
	edited ".shared_mounts = [{name: \"one\", src_ctr: \"mounter\", src_path: \"$path\", dst_ctr: \"c$BATS_TEST_NUMBER\",
		dst_path: \"$target\"}] | $filter" -- "$@"
}

@test "shared mounts: what one container mounts is seen in another one, with what is mounted below it" {
	mounter
	# shellcheck disable=SC2016
	execute -- sh -c 'mount -t tmpfs tmpfs /dev/shm && mkdir /dev/shm/a /dev/shm/a/b && mount -t tmpfs tmpfs /dev/shm/a &&
		mkdir /dev/shm/a/b && mount -t tmpfs tmpfs /dev/shm/a/b && echo deep >/dev/shm/a/b/file'
	is deep sharing /dev/shm/a /run/from/other -- cat /run/from/other/b/file
	# Neither the mount nor its way back is anybody else's.
	is deep execute -- cat /dev/shm/a/b/file
	remove
	unchanged
}

@test "shared mounts: one that comes later is waited for" {
	mounter
	sharing /tmp /run/other -- sh -c 'echo up; cat /run/other/file' >"$BATS_TEST_TMPDIR/output" 3>&- &
	execute -- sh -c 'mkdir /dev/shm/new && mount -t tmpfs tmpfs /dev/shm/new && echo late >/dev/shm/new/file &&
		mount -o move /dev/shm/new /tmp'
	wait $!
	[[ $(<"$BATS_TEST_TMPDIR/output") == $'up\nlate' ]]
	remove
	unchanged
}

@test "shared mounts: of nobody, and to a place that can't be made" {
	is fine sharing /dev/shm /run/other -- echo fine
	mounter
	fails 125 "shared mount /dev/shm: make /run/nosuch in the root: Read-only file system" \
		sharing /dev/shm /run/nosuch '.OCI.Root.Readonly = true' -- true
	remove
	unchanged
}
