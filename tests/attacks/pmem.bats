#!/usr/bin/env bats
# A root that is mapped memory: what is written there is in the guest's image at once.

load attacks
load disks

export VM_MACHINE=q35 VM_NVDIMM=$build/kata-containers.img VM_ROOM=slots=4,maxmem=2G
setup_file() { attacks_start; }
teardown_file() { agent_stop; }

@test "A02 a container doesn't open the guest's root where that is mapped memory, however many devices it may have" {
	guest 'grep " / " /proc/mounts; grep pmem /proc/partitions; cat /proc/cmdline'
	[[ $(guest 'grep " / " /proc/mounts') == *"ext4 ro"*"dax"* ]]
	root_disk_is_safe /dev/vda
	((safe == 2))
	precondition "nodes of pmem0p1 and pmem0 could be made, privileged too; that of the container's own disk could be read"
}
