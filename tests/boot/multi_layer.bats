#!/usr/bin/env bats
# EROFS layers below one root: as disks and as partitions, with dm-verity and without, under a disk to be written or memory.
# The disks are: vdb partitions (1 the top layer, 2 the middle one, 3 the base), vdc the same with a byte that is wrong in the
# middle one, vdd the base alone, vde an ext4, vdf one more.

export NACRE_TEST_PLACE=vm
load ../bats/helpers

# seal IMAGE [OPTION...]: appends the image's hash tree; SEALED is the root's hash and OFFSET where the tree begins.
seal()
{
	local image=$1

	shift
	OFFSET=$(stat -c %s "$image")
	((OFFSET % 4096 == 0)) || return 1
	SEALED=$(veritysetup format "$@" --hash-offset="$OFFSET" --data-blocks=$((OFFSET / 4096)) "$image" "$image" |
		sed -n 's/^Root hash:[[:space:]]*//p')
	[[ $SEALED ]]
}

setup_file()
{
	local dir=$BATS_FILE_TMPDIR name

	mkdir -p "$dir/top/etc" "$dir/middle/etc"
	echo top >"$dir/top/etc/layer"
	echo middle | tee "$dir/middle/etc/layer" >"$dir/middle/etc/middle"
	mkfs.erofs "$dir/base.erofs" "$build/rootfs-busybox" >/dev/null 2>&1
	for name in top middle; do
		mkfs.erofs "$dir/$name.erofs" "$dir/$name" >/dev/null 2>&1
	done
	# One tree has its superblock, and the other one hasn't.
	seal "$dir/top.erofs" --salt=0123abcd
	export TOP=$SEALED TOP_OFFSET=$OFFSET
	seal "$dir/middle.erofs" --no-superblock --salt=-
	export MIDDLE=$SEALED MIDDLE_OFFSET=$OFFSET
	"$BATS_TEST_DIRNAME/make_gpt.py" "$dir/layers" "$dir/top.erofs" "$dir/middle.erofs" "$dir/base.erofs"
	# In the superblock of the middle layer's file system.
	printf x | dd of="$dir/middle.erofs" bs=1 seek=1100 conv=notrunc status=none
	"$BATS_TEST_DIRNAME/make_gpt.py" "$dir/wrong" "$dir/top.erofs" "$dir/middle.erofs" "$dir/base.erofs"
	for name in upper second; do
		truncate -s 16M "$dir/$name"
		mkfs.ext4 -q "$dir/$name"
	done
	cp "$dir/base.erofs" "$dir/whole"
	for name in layers wrong whole upper second; do
		VM_ARGUMENTS+=(-drive "id=$name,file=$dir/$name,format=raw,if=none" -device "virtio-blk-pci,drive=$name")
	done
	export VM_MACHINE=q35
	agent_start
	watch
}

teardown_file() { agent_stop; }

# What is in the guest, with its mapped devices.
state()
{
	guest_state
	in_guest 'ls /sys/block'
}

setup() { state >"$BATS_TEST_TMPDIR/before"; }

unchanged() { state | diff "$BATS_TEST_TMPDIR/before" -; }

# lower DISK [OPTION...], part DISK NUMBER [OPTION...], upper DISK [OPTION...]: one member of a group.
member()
{
	jq -cn --arg s "/dev/$1" --arg f "$2" --arg p "/run/kata-containers/c$BATS_TEST_NUMBER/rootfs" \
		'{driver: "blk", source: $s, fstype: $f, mount_point: $p, options: ($ARGS.positional + ["X-kata.multi-layer=true"])}' \
		--args "${@:3}"
}
lower() { member "$1" erofs X-kata.overlay-lower "${@:2}"; }
part() { lower "$1" X-kata.gpt-partitioned=true "X-kata.partition-number=$2" "${@:3}"; }
upper() { member "$1" ext4 X-kata.overlay-upper "${@:2}"; }

top_verity()
{
	echo X-kata.dmverity-enabled=true "X-kata.dmverity.roothash=$TOP" "X-kata.dmverity.hashoffset=$TOP_OFFSET" \
		X-kata.dmverity.no-superblock=false
}

middle_verity()
{
	echo X-kata.dmverity-enabled=true "X-kata.dmverity.roothash=$MIDDLE" "X-kata.dmverity.hashoffset=$MIDDLE_OFFSET" \
		X-kata.dmverity.no-superblock=true X-kata.dmverity.salt=- X-kata.dmverity.algorithm=sha256
}

# layered MEMBER... -- COMMAND...: a container with this root.
layered()
{
	local members=()

	while [[ $1 != -- ]]; do
		members+=("$1")
		shift
	done
	edited ".storages = $(printf '%s\n' "${members[@]}" | jq -sc .)" "$@"
}

@test "layers that are disks: the first one is the topmost; what is written is in memory, and goes" {
	is own layered "$(lower vdd)" -- sh -c 'echo own >/etc/layer && cat /etc/layer'
	is none layered "$(lower vdd)" -- sh -c 'cat /etc/layer 2>/dev/null || echo none'
	unchanged
}

@test "layers that are partitions, in any order: the lowest number is the topmost" {
	is $'top\nmiddle' layered "$(part vdb 3)" "$(part vdb 1)" "$(part vdb 2)" -- cat /etc/layer /etc/middle
	unchanged
}

@test "a disk as the upper layer: what is written is there the next time" {
	is own layered "$(upper vde rw)" "$(part vdb 1)" "$(part vdb 3)" -- sh -c 'cat /etc/layer >/dev/null; echo own >/etc/layer; cat /etc/layer'
	is own layered "$(upper vde rw)" "$(part vdb 1)" "$(part vdb 3)" -- cat /etc/layer
	unchanged
}

@test "folders are made in the upper layer from templates, and nowhere else" {
	is made layered "$(upper vdf)" "$(lower vdd 'X-kata.mkdir.path={{ mount 0 }}/upper/made/here:0755' \
		'X-kata.mkdir.path={{ mount 0 }}/upper/../../../beside' 'X-kata.mkdir.path={{ mount 1 }}/etc')" -- \
		sh -c 'test -d /made/here && echo made'
	fails 125 "Read-only file system" layered "$(lower vdd 'X-kata.mkdir.path={{ mount 1 }}/new')" -- true
	unchanged
}

@test "dm-verity with a superblock, whose salt need not be told, and without one" {
	# shellcheck disable=SC2046
	is $'top\nmiddle\n2' layered "$(part vdb 1 $(top_verity))" "$(part vdb 2 $(middle_verity))" "$(part vdb 3)" -- \
		sh -c 'cat /etc/layer /etc/middle; ls -d /sys/block/dm-* | wc -l'
	unchanged
}

@test "dm-verity notices a wrong byte, and a wrong root hash" {
	# shellcheck disable=SC2046
	fails 125 "lower-1: I/O error" layered "$(part vdc 1 $(top_verity))" "$(part vdc 2 $(middle_verity))" "$(part vdc 3)" -- true
	unchanged
	# shellcheck disable=SC2046
	fails 125 "lower-0" layered "$(part vdb 1 $(top_verity | sed "s/$TOP/$MIDDLE/"))" "$(part vdb 3)" -- true
	unchanged
}

@test "dm-verity with options that make no sense" {
	local enabled=X-kata.dmverity-enabled=true without=X-kata.dmverity.no-superblock=true

	fails 125 "hashoffset=0 is not aligned" layered "$(part vdb 1 $enabled $without X-kata.dmverity.roothash=00)" -- true
	fails 125 "roothash= is no hash" layered "$(part vdb 1 $enabled $without X-kata.dmverity.hashoffset=4096)" -- true
	fails 125 "no dm-verity superblock at hashoffset 8192" \
		layered "$(part vdb 3 $enabled X-kata.dmverity.roothash=00 X-kata.dmverity.hashoffset=8192)" -- true
	fails 125 "hashoffset=-1 is no number" layered "$(part vdb 1 $enabled X-kata.dmverity.hashoffset=-1)" -- true
	fails 125 "salt=x y is no salt" layered "$(part vdb 1 $enabled $without X-kata.dmverity.roothash=00 \
		X-kata.dmverity.hashoffset=4096 'X-kata.dmverity.salt=x y')" -- true
	fails 125 "set up dm-verity on /dev/vdb1" layered "$(part vdb 1 $enabled $without X-kata.dmverity.roothash=00 \
		X-kata.dmverity.hashoffset=4096 X-kata.dmverity.algorithm=nosuch)" -- true
	unchanged
}

@test "groups that make no sense" {
	fails 125 "there is no lower layer" layered "$(upper vde)" -- true
	fails 125 "there can only be one upper layer" layered "$(upper vde)" "$(upper vdf)" "$(lower vdd)" -- true
	fails 125 "an upper layer must be ext4, not 'xfs'" layered "$(upper vde | sed 's/"ext4"/"xfs"/')" "$(lower vdd)" -- true
	fails 125 "has no X-kata.partition-number" layered "$(lower vdb X-kata.gpt-partitioned=true)" -- true
	fails 125 "waiting for uevent of partition 9 of /dev/vdb" layered "$(part vdb 9)" -- true
	fails 125 "driver 'virtio-fs' has no block devices" layered "$(lower vdd | sed 's/"blk"/"virtio-fs"/')" -- true
	# A lower layer which is none, after the upper one has been mounted.
	fails 125 "lower-1" layered "$(upper vdf)" "$(lower vdd)" "$(lower vde)" -- true
	unchanged
}
