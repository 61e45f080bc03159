#!/usr/bin/env bats
# ResizeVolume: QEMU makes a disk larger while a container writes to it, and its file system follows.

export NACRE_TEST_PLACE=vm
load ../bats/helpers

MIB=1048576

setup_file()
{
	local dir=$BATS_FILE_TMPDIR name size

	for name in ext4:32 plain:32 scsi:32 xfs:320; do
		size=${name#*:} name=${name%:*}
		truncate -s "${size}M" "$dir/$name"
		VM_ARGUMENTS+=(-drive "id=$name,file=$dir/$name,format=raw,if=none")
		if [[ $name == scsi ]]; then
			VM_ARGUMENTS+=(-device virtio-scsi-pci,id=controller
				-device scsi-hd,drive=scsi,bus=controller.0,scsi-id=3,lun=1)
		else
			VM_ARGUMENTS+=(-device "virtio-blk-pci,drive=$name")
		fi
	done
	mkfs.ext4 -q "$dir/ext4"
	# As an emptyDir gets it.
	mkfs.ext4 -q -F -O ^has_journal -m 0 -i 163840 -I 128 "$dir/plain"
	mkfs.ext4 -q "$dir/scsi"
	mkfs.xfs -q "$dir/xfs"
	export VM_MACHINE=q35 VM_IMAGE=$build/initramfs-full.cpio
	[[ ! -d $build/modules-full ]] || export VM_APPEND=nacre.modules=xfs
	agent_start
}

teardown_file() { agent_stop; }

# volume DRIVER SOURCE FSTYPE: a container that has it as its /data; stays.
volume()
{
	id=r$BATS_TEST_NUMBER path=/run/volume-$BATS_TEST_NUMBER
	request -- sleep 1000000 | sed "s/\<c$BATS_TEST_NUMBER\>/$id/g" | jq -c --arg d "$1" --arg s "$2" --arg f "$3" --arg p "$path" \
		'.storages += [{driver: $d, source: $s, fstype: $f, mount_point: $p}] |
		.OCI.Mounts += [{destination: "/data", type: "bind", source: $p, options: ["rbind"]}]' >"$BATS_TEST_TMPDIR/it"
	agentctl run --request "$BATS_TEST_TMPDIR/it" --detach
	execute -- sh -c 'echo kept >/data/file'
}

# disk NAME MIB: that disk has so much from now on.
disk() { qmp "$AGENT_DIR/qmp.sock" "{\"execute\": \"block_resize\", \"arguments\": {\"device\": \"$1\", \"size\": $(($2 * MIB))}}"; }

resize() { agentctl ResizeVolume "{\"volume_guest_path\": \"$path\", \"size\": $(($1 * MIB))}"; }

total() { agentctl GetVolumeStats "{\"volume_guest_path\": \"$path\"}" | jq -r '.usage[0].total | tonumber / 1048576 | floor'; }

# fits MIB: that much more can be written.
fits() { execute -- sh -c "head -c $(($1 * MIB)) /dev/zero >/data/more && cat /data/file"; }

grows()
{
	local name=$1 before

	before=$(total)
	run fits 40
	[[ $status -ne 0 ]]
	fails 1 "can't have $((128 * MIB)) bytes: its disk has" resize 128
	disk "$name" 96
	resize 96
	is kept fits 40
	echo "# $name: $before MiB before, $(total) MiB after" >&3
	(($(total) > before + 40))
	# The rest of what the disk has, without a figure; and once more, which changes nothing.
	disk "$name" 128
	resize 0
	resize 128
	resize 64
	is kept fits 80
	remove
}

@test "ext4 on a virtio disk" {
	volume blk /dev/vdb ext4
	grows ext4
	e2fsck -fn "$AGENT_DIR/ext4"
}

@test "ext4 as an emptyDir has it: no journal, few inodes" {
	volume blk /dev/vdc ext4
	grows plain
	e2fsck -fn "$AGENT_DIR/plain"
}

@test "ext4 on a SCSI disk, which doesn't tell that it has grown" {
	volume scsi 3:1 ext4
	grows scsi
	e2fsck -fn "$AGENT_DIR/scsi"
}

@test "XFS" {
	local before
	[[ -d $build/modules-full ]] || skip "the kernel is configured without modules"
	volume blk /dev/vdd xfs
	before=$(total)
	disk xfs 400
	resize 380
	is kept fits 4
	# 60 MiB more, and 20 more with the rest of the disk.
	echo "# XFS: $before MiB before, $(total) MiB after" >&3
	(($(total) > before + 55 && $(total) <= before + 60))
	resize 0
	(($(total) > before + 75))
	remove
	xfs_repair -n "$AGENT_DIR/xfs"
}

@test "a disk that has no file system which can grow" {
	fails 1 "volume /sys can't be resized: it is neither ext4 nor XFS" agentctl ResizeVolume '{"volume_guest_path": "/sys"}'
}
