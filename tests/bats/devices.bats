#!/usr/bin/env bats
# Devices of a container: what a request has in `devices` is found in the guest, and put into the spec in the place of what the
# runtime, which knows the host's numbers alone, has written there. tests/boot/hotplug_disks.bats has the ones that are plugged
# in, and PCI.

load helpers

setup_file()
{
	local dir=$BATS_FILE_TMPDIR

	if [[ $place == vm ]]; then
		echo "from the disk" >"$dir/disk"
		truncate -s 1M "$dir/disk"
		VM_ARGUMENTS=(-drive "id=disk,file=$dir/disk,format=raw,if=none" -device virtio-blk-device,drive=disk)
		export VM_APPEND="agent.hotplug_timeout=1 agent.cdi_timeout=1"
	fi
	agent_start
	watch
}

teardown_file() { agent_stop; }

setup() { guest_state >"$BATS_TEST_TMPDIR/before"; }

unchanged()
{
	guest_state >"$BATS_TEST_TMPDIR/after"
	diff "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after"
}

needs_disk() { [[ $place == vm ]] || skip "needs a disk, which a VM has"; }

# The host's disk 8:16, with a rule, as a runtime writes them.
host='.OCI.Linux.Devices = [{Path: "/dev/data", Type: "b", Major: 8, Minor: 16, FileMode: 432, UID: 5}]
	| .OCI.Linux.Resources.Devices = [{Allow: true, Type: "b", Major: 8, Minor: 16, Access: "r"}]'

# with DEVICES [FILTER] -- COMMAND...: a container with these, in JSON, without their brackets.
with()
{
	local devices=$1 filter=$host

	shift
	[[ $1 == -- ]] || { filter+="| $1"; shift; }
	edited "$filter | .devices = [$devices]" "$@"
}

disk='{type: "mmioblk", vm_path: "/dev/vdb", container_path: "/dev/data"}'

@test "mmioblk: the container has the guest's disk at its path, with the spec's mode and owner, and may do everything" {
	needs_disk
	is "from the disk" with "$disk" -- head -n 1 /dev/data
	is "new" with "$disk" -- sh -c 'echo new >/dev/data && sync /dev/data && head -n 1 /dev/data'
	is "block special file 660 5" with "$disk" -- stat -c "%F %a %u" /dev/data
	is "$(container -- cat /sys/block/vdb/dev)" with "$disk" -- sh -c 'printf "%d:%d\n" 0x$(stat -c %t /dev/data) 0x$(stat -c %T /dev/data)'
	unchanged
}

@test "a device that the guest has as well isn't for a container which didn't ask" {
	needs_disk
	run container -- sh -c 'mknod /tmp/disk b $(tr : " " </sys/block/vdb/dev) && head -c 1 /tmp/disk'
	[[ $output == *"Operation not permitted"* ]]
}

@test "blk and nvdimm by a device's file" {
	needs_disk
	is "" with "${disk/mmioblk/blk}" -- test -b /dev/data
	is "" with "${disk/mmioblk/nvdimm}" -- test -b /dev/data
	unchanged
}

@test "a device that says too little, or what can't be" {
	local group='.OCI.Linux.Devices = [{Path: "/dev/vfio/7", Type: "c", Major: 240, Minor: 7}]'
	fails 125 "INVALID_ARGUMENT: the device '/dev/data' of type '' has no type" with '{id: "02/00", container_path: "/dev/data"}' -- true
	fails 125 "INVALID_ARGUMENT: the device '/dev/data' of type 'blk' has no id or vm_path" with '{type: "blk", container_path: "/dev/data"}' -- true
	fails 125 "INVALID_ARGUMENT: the device '' of type 'blk' has no container_path" with '{type: "blk", id: "02/00"}' -- true
	fails 125 "INVALID_ARGUMENT: device /dev/data: '02/zz' is no PCI path" \
		with '{type: "blk", id: "02/zz", container_path: "/dev/data"}' -- true
	fails 125 "INVALID_ARGUMENT: device /dev/data: '/etc/vdb' is no block device's path" \
		with '{type: "mmioblk", vm_path: "/etc/vdb", container_path: "/dev/data"}' -- true
	for text in 1 1: :1 1:x 1:2:3 99999:1; do
		fails 125 "INVALID_ARGUMENT: device /dev/data: '$text' is no place of a SCSI disk" \
			with "{type: \"scsi\", id: \"$text\", container_path: \"/dev/data\"}" -- true
	done
	fails 125 "INVALID_ARGUMENT: device /dev/vfio/7: '0000:41:00.0' is no pair" \
		with '{type: "vfio-pci", id: "x", container_path: "/dev/vfio/7", options: ["0000:41:00.0"]}' "$group" -- true
	fails 125 "INVALID_ARGUMENT: device /dev/vfio/7: no PCI path" \
		with '{type: "vfio-pci", id: "x", container_path: "/dev/vfio/7", options: ["0000:41:00.0="]}' "$group" -- true
	fails 125 "INVALID_ARGUMENT: more than 256 devices" with "$(yes "$disk," | head -n 300 | tr -d '\n' | sed 's/,$//')" -- true
	unchanged
}

@test "a type that there isn't is INTERNAL, and one of another architecture UNIMPLEMENTED" {
	fails 125 "INTERNAL: Failed to find the device handler nosuch" \
		with '{type: "nosuch", id: "x", container_path: "/dev/data"}' -- true
	for type in blk-ccw vfio-ap vfio-ap-cold; do
		fails 125 "UNIMPLEMENTED: device /dev/data: $type is for s390x" \
			with "{type: \"$type\", id: \"x\", container_path: \"/dev/data\"}" -- true
	done
	unchanged
}

@test "a device that doesn't come is waited for, and named" {
	needs_disk
	fails 125 "device /dev/data: Timeout after 1s waiting for uevent of /dev/vdz" with "${disk/vdb/vdz}" -- true
	fails 125 "device /dev/data: Timeout after 1s waiting for uevent of 7:7" \
		with '{type: "scsi", id: "7:7", container_path: "/dev/data"}' -- true
	unchanged
}

@test "a device that the spec doesn't have, and two devices for one of the spec's" {
	fails 125 "INTERNAL: Missing devices in OCI spec: there is no /dev/data" with "$disk" '.OCI.Linux.Devices = []' -- true
	fails 125 "INTERNAL: Missing devices in OCI spec" with "$disk" 'del(.OCI.Linux.Devices)' -- true
	fails 125 "INVALID_ARGUMENT: two devices for /dev/data" with "$disk, $disk" -- true
	fails 125 "INVALID_ARGUMENT: two devices for the host's 8:16: /dev/data and /dev/more" \
		with "$disk, ${disk/data/more}" '.OCI.Linux.Devices += [{Path: "/dev/more", Type: "b", Major: 8, Minor: 16}]' -- true
	unchanged
}

@test "a caller that goes away takes the wait for its device along" {
	needs_disk
	run agentctl --timeout 200ms CreateContainer "$(request -- true | jq -c "$host | .devices = [${disk/vdb/vdz}]")"
	[[ $status -ne 0 ]]
	unchanged
}

# described NAME JSON: a file of CDI's in the guest, for this test. One with {} is of no device.
described() { in_guest "mkdir -p $guest/run/cdi && echo '$2' >$guest/run/cdi/$1.json"; }

# asked NAMES -- COMMAND...: a container that asks for these CDI devices.
asked()
{
	local filter=".OCI.Annotations = {\"cdi.k8s.io/vfio1\": \"$1\"}"

	shift
	edited "$filter" "$@"
}

@test "CDI: variables, nodes, mounts and groups of a device, as a file of the guest's has them" {
	described card '{"cdiVersion": "0.6.0", "kind": "vendor.com/card", "devices": [{"name": "0", "containerEdits": {
		"env": ["CARD=zero"], "deviceNodes": [{"path": "/dev/card0", "hostPath": "/dev/zero", "uid": 7, "fileMode": 384}]}}],
		"containerEdits": {"additionalGids": [77],
			"mounts": [{"hostPath": "/run/cdi", "containerPath": "/opt/cdi", "options": ["ro", "bind"]}]}}'
	is $'zero\n7 600 1:5\n0 77\ncard.json' asked vendor.com/card=0 -- \
		sh -c 'echo $CARD; stat -c "%u %a %t:%T" /dev/card0; id -G; ls /opt/cdi'
	is "" asked vendor.com/card=0 -- sh -c 'head -c 1 /dev/card0 | tr -d "\0"'
	described card '{}'
}

@test "CDI: what can't be is named, and a class that nobody knows is waited for" {
	described card '{"kind": "vendor.com/card", "devices": [{"name": "0", "containerEdits": {"netDevices": [{"name": "x"}]}}]}'
	guest_state >"$BATS_TEST_TMPDIR/before"
	fails 125 "UNIMPLEMENTED: CDI: netDevices" asked vendor.com/card=0 -- true
	fails 125 "INVALID_ARGUMENT: there is no CDI device vendor.com/card=1" asked vendor.com/card=0,vendor.com/card=1 -- true
	fails 125 "INVALID_ARGUMENT: 'card' names no CDI device" asked card -- true
	# It would take longer on this machine.
	[[ $place == local ]] ||
		fails 125 "failed to inject devices after CDI timeout of 1 seconds" asked vendor.com/other=0 -- true
	is ran edited '.OCI.Annotations = {"cdi.k8s.io/x": "vendor.com/other=0", "io.katacontainers.pkg.oci.container_type": "pod_sandbox"}' \
		-- echo ran
	unchanged
	described card '{}'
}

@test "CDI: hooks of a device are run; a file that isn't root's alone is none" {
	described card '{"kind": "vendor.com/card", "devices": [{"name": "0", "containerEdits": {"hooks": [
		{"hookName": "createContainer", "path": "/bin/sh", "args": ["sh", "-c", "echo $A >$DIR/tmp/told"], "timeout": 5,
			"env": ["A=one", "DIR=/run/kata-containers/c'"$BATS_TEST_NUMBER"'/rootfs"]}]}}]}'
	is one edited '.OCI.Annotations = {"cdi.k8s.io/vfio1": "vendor.com/card=0"}
		| .OCI.Mounts += [{destination: "/tmp", type: "tmpfs", source: "tmpfs"}]' -- cat /tmp/told
	in_guest "chmod 666 $guest/run/cdi/card.json"
	[[ $place == local ]] ||
		fails 125 "card.json isn't JSON of root's" asked vendor.com/card=0 -- true
	in_guest "chmod 644 $guest/run/cdi/card.json"
	described card '{}'
}

@test "CDI: a file that comes while it is waited for" {
	local job
	asked vendor.com/late=0 -- sh -c 'echo $CARD' >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	job=$!
	described late '{"kind": "vendor.com/late", "devices": [{"name": "0", "containerEdits": {"env": ["CARD=late"]}}]}'
	wait $job || true
	is late cat "$BATS_TEST_TMPDIR/out"
	described late '{}'
}

@test "AddSwap and AddSwapPath: what can't be swap" {
	local path
	for path in '' 40 '1, 2, 3, 4, 5, 6, 7, 8, 9'; do
		run agentctl AddSwap "{\"PCIPath\": [$path]}"
		[[ $status -eq 1 && $output == INVALID_ARGUMENT:* ]]
	done
	run agentctl AddSwapPath '{"path": "vdb"}'
	[[ $status -eq 1 && $output == "INVALID_ARGUMENT: 'vdb' is no absolute path"* ]]
	run agentctl AddSwapPath "{\"path\": \"$top/nosuch\"}"
	[[ $status -eq 1 && $output == NOT_FOUND:* ]]
}

@test "AddSwapPath: a disk that nobody has prepared" {
	needs_disk
	run agentctl AddSwapPath '{"path": "/dev/vdb"}'
	[[ $status -eq 1 && $output == "INVALID_ARGUMENT: swap to /dev/vdb: Invalid argument"* ]]
}
