#!/usr/bin/env bats
# Disks and other devices that come and go while the guest runs, as a runtime plugs them in by QMP: a q35 machine with the full
# kernel, and an emulated IOMMU for what containers drive themselves.

export NACRE_TEST_PLACE=vm
load ../bats/helpers

setup_file()
{
	export DIR=$BATS_FILE_TMPDIR
	mkdir "$DIR/share"
	echo "from the share" >"$DIR/share/hello"
	VM_MACHINE=q35 VM_APPEND="agent.hotplug_timeout=5 intel_iommu=on" vm_start \
		-machine nvdimm=on -m 256M,slots=4,maxmem=1G -device intel-iommu -device virtio-scsi-pci,id=scsi \
		-device virtio-scsi-pci,id=quiet,hotplug=off \
		-device pcie-root-port,id=port10,addr=0x10,chassis=1 -device pcie-root-port,id=port11,addr=0x11,chassis=2 \
		-device pcie-root-port,id=port12,addr=0x12,chassis=3 -device pcie-root-port,id=port13,addr=0x13,chassis=4 \
		-device pcie-root-port,id=port14,addr=0x14,chassis=5 -device virtio-rng-pci,bus=port14 \
		-fsdev "local,id=share,path=$DIR/share,security_model=none,readonly=on"
	export AGENT_ADDRESS AGENT_DIR
	agentctl --timeout 60s wait-ready
	agentctl CreateSandbox '{"sandbox_id": "sandbox"}'
}

teardown_file() { agent_stop; }

vmm() { qmp "$AGENT_DIR/qmp.sock" "$@"; }

# disk NAME: a file system with a file in it, as a node of QEMU's.
disk()
{
	mkdir "$DIR/files-$1"
	echo "from $1" >"$DIR/files-$1/hello"
	truncate -s 16M "$DIR/$1"
	mkfs.ext4 -q -d "$DIR/files-$1" "$DIR/$1"
	node "$1"
}

node()
{
	vmm "{\"execute\": \"blockdev-add\", \"arguments\": {\"driver\": \"file\", \"node-name\": \"$1\", \"filename\": \"$DIR/$1\"}}"
}

# plug ID DRIVER FIELDS: FIELDS in JSON, without braces.
plug() { vmm "{\"execute\": \"device_add\", \"arguments\": {\"id\": \"$1\", \"driver\": \"$2\", $3}}"; }

# unplug ID: until the guest has let go of it.
unplug() { vmm "{\"execute\": \"device_del\", \"arguments\": {\"id\": \"$1\"}}" DEVICE_DELETED; }

# mounting DRIVER SOURCE FSTYPE OPTIONS: the filter which gives a container that storage, below its /data.
mounting()
{
	jq -rn --arg d "$1" --arg s "$2" --arg f "$3" --argjson o "$4" \
		'{driver: $d, source: $s, fstype: $f, options: $o, mount_point: "/run/nacre/deep/point"} | ".storages += [\(.)]
		| .OCI.Mounts += [{destination: \"/data\", type: \"bind\", source: \"/run/nacre/deep\", options: [\"rbind\"]}]"'
}

# mounted DRIVER SOURCE FSTYPE OPTIONS -- COMMAND...: a container with this storage at /data/point.
mounted()
{
	local filter

	filter=$(mounting "${@:1:4}")
	shift 4
	edited "$filter" "$@"
}

# given TYPE WHERE -- COMMAND...: a container with this device at /dev/data, which the host has as 8:16.
given()
{
	local type=$1 where=$2

	shift 2
	edited ".devices = [{type: \"$type\", id: \"$where\", vm_path: \"$where\", container_path: \"/dev/data\"}]
		| .OCI.Linux.Devices = [{Path: \"/dev/data\", Type: \"b\", Major: 8, Minor: 16}]" "$@"
}

# The file system's name for itself, read by a container from the device.
magic='dd if=/dev/data bs=1 skip=1080 count=2 2>/dev/null | od -An -tx1'

@test "a virtio disk comes, is mounted and given to a container, and goes" {
	disk virtio
	plug virtio virtio-blk-pci '"drive": "virtio", "bus": "port10", "addr": "0"'
	is "from virtio" mounted blk 10/00 ext4 '["ro"]' -- cat /data/point/hello
	is " 53 ef" given blk 10/00 -- sh -c "$magic"
	unplug virtio
	fails 125 "storage /run/nacre/deep/point: Timeout after 5s waiting for uevent of 10/00" mounted blk 10/00 ext4 '[]' -- true
	fails 125 "device /dev/data: Timeout after 5s waiting for uevent of 10/00" given blk 10/00 -- true
	is "" container -- sh -c 'ls /sys/block | grep vdb; true'
}

@test "a SCSI disk comes, is mounted and given to a container, and goes" {
	disk scsi
	plug scsi1 scsi-hd '"drive": "scsi", "bus": "scsi.0", "scsi-id": 3, "lun": 1'
	is "from scsi" mounted scsi 3:1 ext4 '["ro"]' -- cat /data/point/hello
	is " 53 ef" given scsi 3:1 -- sh -c "$magic"
	unplug scsi1
	fails 125 "storage /run/nacre/deep/point: Timeout after 5s waiting for uevent of 3:1" mounted scsi 3:1 ext4 '[]' -- true
}

@test "a SCSI disk that its controller doesn't announce" {
	disk quiet
	plug quiet1 scsi-hd '"drive": "quiet", "bus": "quiet.0", "scsi-id": 6, "lun": 2'
	is "from quiet" mounted scsi 6:2 ext4 '["ro"]' -- cat /data/point/hello
}

@test "a disk that comes while it is waited for" {
	local job kind
	local -A where=([blk]=11/00 [scsi]=4:0) driver=([blk]=virtio-blk-pci [scsi]=scsi-hd) \
		fields=([blk]='"bus": "port11", "addr": "0"' [scsi]='"bus": "scsi.0", "scsi-id": 4, "lun": 0')

	for kind in blk scsi; do
		disk "late-$kind"
		given $kind "${where[$kind]}" -- sh -c "$magic" >"$BATS_TEST_TMPDIR/out" 3>&- &
		job=$!
		plug "late-$kind" "${driver[$kind]}" "\"drive\": \"late-$kind\", ${fields[$kind]}"
		wait $job
		[[ $(cat "$BATS_TEST_TMPDIR/out") == " 53 ef" ]]
		unplug "late-$kind"
	done
}

# header FILE: of a namespace that is mapped, as Linux's drivers/nvdimm/pfn.h has it: at 4 KiB, the data from 2 MiB on.
header()
{
	python3 - "$1" <<-'END'
		import struct, sys
		with open(sys.argv[1], "r+b") as file:
		    pages = (file.seek(0, 2) - (2 << 20)) >> 12
		    block = struct.pack("<16s32sIHHQQI", b"NVDIMM_PFN_INFO", b"", 0, 1, 1, 2 << 20, pages, 1).ljust(4088, b"\0")
		    low = high = 0
		    for word, in struct.iter_unpack("<I", block + bytes(8)):
		        low = (low + word) % (1 << 32)
		        high += low
		    file.seek(4096)
		    file.write(block + struct.pack("<II", low, high % (1 << 32)))
	END
}

@test "persistent memory comes, is mapped (DAX), and given to a container" {
	mkdir "$DIR/files"
	echo "from pmem" >"$DIR/files/hello"
	truncate -s 30M "$DIR/fs"
	mkfs.ext4 -q -b 4096 -d "$DIR/files" "$DIR/fs"
	truncate -s 128M "$DIR/pmem"
	dd if="$DIR/fs" of="$DIR/pmem" bs=2M seek=1 conv=notrunc status=none
	header "$DIR/pmem"
	vmm "{\"execute\": \"object-add\", \"arguments\": {\"qom-type\": \"memory-backend-file\", \"id\": \"pmem\",
		\"mem-path\": \"$DIR/pmem\", \"size\": $((128 << 20)), \"share\": true}}"
	plug pmem nvdimm '"memdev": "pmem"'
	is $'from pmem\ndax=always' mounted nvdimm /dev/pmem0 ext4 '["dax"]' -- \
		sh -c 'cat /data/point/hello; grep -o dax=always /proc/mounts'
	is " 53 ef" given nvdimm /dev/pmem0 -- sh -c "$magic"
	# QEMU 7.2 takes none out again, and says so.
	run unplug pmem
	if [[ $status -eq 0 ]]; then
		fails 125 "Timeout after 5s waiting for uevent of /dev/pmem0" given nvdimm /dev/pmem0 -- true
	else
		[[ $output == *"hot unplug is not supported"* ]]
	fi
}

@test "a 9p share comes, and goes" {
	plug share virtio-9p-pci '"fsdev": "share", "mount_tag": "kataShared", "bus": "port12", "addr": "0"'
	is "from the share" mounted 9p kataShared 9p '["trans=virtio,version=9p2000.L", "ro"]' -- cat /data/point/hello
	unplug share
	fails 125 "mount kataShared (9p) at" mounted 9p kataShared 9p '["trans=virtio"]' -- true
}

@test "swap on a disk by its place, and by its file" {
	local name
	for name in swap1 swap2; do
		truncate -s 8M "$DIR/$name"
		mkswap -q "$DIR/$name"
		node $name
	done
	plug swap1 virtio-blk-pci '"drive": "swap1", "bus": "port10", "addr": "0"'
	agentctl AddSwap '{"PCIPath": [16, 0]}'
	plug swap2 virtio-blk-pci '"drive": "swap2", "bus": "port11", "addr": "0"'
	agentctl AddSwapPath '{"path": "/dev/vdc"}'
	is $'/dev/vdb 8188\n/dev/vdc 8188' container -- awk '/^.dev/ {print $1, $3}' /proc/swaps
	run agentctl AddSwap '{"PCIPath": [19, 0]}'
	[[ $output == *"Timeout after 5s waiting for uevent of 13/00"* ]]
}

# limit FIELDS: of the slow disk, from its next request on.
limit() { vmm "{\"execute\": \"qom-set\", \"arguments\": {\"path\": \"/objects/slow\", \"property\": \"limits\", \"value\": {$1}}}"; }

@test "a disk that hardly answers is mounted, and no Check waits for it" {
	local job log=$BATS_TEST_TMPDIR/log
	disk slow
	vmm '{"execute": "object-add", "arguments": {"qom-type": "throttle-group", "id": "slow"}}'
	vmm '{"execute": "blockdev-add", "arguments": {"driver": "throttle", "node-name": "slowed", "throttle-group": "slow",
		"file": "slow"}}'
	plug slow scsi-hd '"drive": "slowed", "bus": "scsi.0", "scsi-id": 5, "lun": 0'
	is " 53 ef" given scsi 5:0 -- sh -c "$magic"
	# Sectors a second: the file system is mounted in half a minute.
	limit '"iops-total": 1, "iops-size": 512'
	{
		mounted scsi 5:0 ext4 '["ro"]' -- cat /data/point/hello
		echo mounted
	} >>"$log" 3>&- &
	job=$!
	for _ in 1 2 3 4 5; do
		agentctl Health.Check >/dev/null
		echo checked >>"$log"
	done
	container --id other -- echo another ran >>"$log"
	limit ''
	wait $job
	is $'checked\nchecked\nchecked\nchecked\nchecked\nanother ran\nfrom slow\nmounted' cat "$log"
}

@test "a caller that gives such a mount up is answered, and no Check waits for the rest of it" {
	# Half a minute for the first block, which nothing interrupts.
	limit '"iops-total": 1, "iops-size": 128'
	is "1 type 2 DEADLINE_EXCEEDED: timeout" agentctl raw <<-END
		call 1 2000000000 CreateContainer $(request -- true | jq -c "$(mounting scsi 5:0 ext4 '["ro"]')")
		read
	END
	is '{"status":"SERVING"}' agentctl --timeout 15s Health.Check
	limit ''
}

# passed TYPE OPTIONS FILTER -- COMMAND...: a container with the device behind port13, which is group 77 on the host and has
# this address there.
passed()
{
	local filter=".devices = [{type: \"$1\", id: \"x\", container_path: \"/dev/vfio/77\", options: $2}]
		| .OCI.Process.Env += [\"PCIDEVICE_VENDOR_CARD=0000:41:00.0,0000:42:00.0\",
			\"PCIDEVICE_VENDOR_CARD_INFO={\\\"0000:41:00.0\\\": {}}\"] | $3"

	shift 3
	edited "$filter" "$@"
}

entry='.OCI.Linux.Devices = [{Path: "/dev/vfio/77", Type: "c", Major: 99, Minor: 7}]'
option='["0000:41:00.0=13/00", "0000:42:00.0="]'

# guest_address [PORT]: of the device behind it; firmware numbers buses as it likes.
guest_address() { container -- sh -c "cd /sys/devices/pci0000:00/0000:00:${1:-13}.0 && echo 0000:??:??.?"; }

# driver ADDRESS: the one that has it in the guest.
driver() { container -- sh -c "basename \$(realpath /sys/bus/pci/devices/$1/driver)"; }

@test "a PCI device comes, stays with the guest's driver for one container, and is driven by another itself" {
	local address
	plug card virtio-rng-pci '"bus": "port13", "addr": "0"'
	is there passed vfio-pci-gk "$option" . -- echo there
	address=$(guest_address)
	is "0000:42:00.0 {\"$address\": {}}" passed vfio-pci-gk "$option" . -- \
		sh -c 'echo "${PCIDEVICE_VENDOR_CARD#*,} $PCIDEVICE_VENDOR_CARD_INFO"'
	is virtio-pci driver "$address"
	fails 125 "device /dev/vfio/77: $(guest_address 14) is in IOMMU group" \
		passed vfio-pci '["0000:41:00.0=13/00", "0000:42:00.0=14/00"]' "$entry" -- true
	is virtio-pci driver "$address"
	is virtio-pci driver "$(guest_address 14)"
	# It opens only where every device of the group is given away.
	run passed vfio-pci "$option" "$entry" -- sh -c 'cd /dev/vfio && echo * && : <>$(echo *) && echo $PCIDEVICE_VENDOR_CARD'
	[[ $status -eq 0 && $output =~ ^[0-9]+$'\n'"$address,0000:42:00.0"$ ]] || { echo "$output"; false; }
	is vfio-pci driver "$address"
}

@test "an exec has the guest's addresses, too" {
	local address
	address=$(guest_address)
	id=exec
	request -- sleep 1000000 | sed "s/\<c$BATS_TEST_NUMBER\>/exec/g" | jq -c ".devices = [{type: \"vfio-pci-gk\", id: \"x\",
		container_path: \"/dev/vfio/77\", options: $option}]" >"$BATS_TEST_TMPDIR/exec"
	agentctl run --request "$BATS_TEST_TMPDIR/exec" --detach
	execute --print -- sh -c 'echo $PCIDEVICE_A' | jq -c '.process.Env += ["PCIDEVICE_A=0000:41:00.0"]' >"$BATS_TEST_TMPDIR/request"
	is "$address" agentctl exec --request "$BATS_TEST_TMPDIR/request"
	remove
}

@test "a PCI device that isn't in the spec, or has gone" {
	fails 125 "Missing devices in OCI spec: there is no /dev/vfio/77" passed vfio-pci "$option" . -- true
	unplug card
	fails 125 "device /dev/vfio/77: Timeout after 5s waiting for uevent of 13/00" passed vfio-pci "$option" "$entry" -- true
}
