#!/usr/bin/env bats
# Processors and memory which QEMU plugs in while the guest runs, taken into use by OnlineCPUMem; and out again.

export NACRE_TEST_PLACE=vm
load ../bats/helpers

setup_file()
{
	# A module that was plugged in while nobody took memory into use.
	boot memhp_default_state=offline -object memory-backend-memfd,id=early,size=128M,share=on -device pc-dimm,id=dimmearly,memdev=early
	agentctl CreateSandbox '{"sandbox_id": "sandbox"}'
	watch
}

teardown_file() { agent_stop; }

# boot PARAMETERS [OPTIONS]: with room for processors and memory.
boot()
{
	VM_MACHINE=q35 VM_CPUS=1,maxcpus=4 VM_MEMORY=256 VM_ROOM=slots=3,maxmem=1G VM_APPEND=$1 vm_start "${@:2}"
	export AGENT_ADDRESS AGENT_DIR
	agentctl --timeout 60s wait-ready
}

# plug_cpu NUMBER, plug_memory ID MIB, unplug DEVICE: returns when the guest has let it go.
plug_cpu()
{
	qmp "$AGENT_DIR/qmp.sock" "{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"max-x86_64-cpu\", \"id\": \"cpu$1\",
		\"socket-id\": 0, \"core-id\": $1, \"thread-id\": 0}}"
}

plug_memory()
{
	qmp "$AGENT_DIR/qmp.sock" "{\"execute\": \"object-add\", \"arguments\": {\"qom-type\": \"memory-backend-memfd\", \"id\": \"$1\",
		\"size\": $(($2 << 20)), \"share\": true}}"
	qmp "$AGENT_DIR/qmp.sock" "{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"pc-dimm\", \"id\": \"dimm$1\",
		\"memdev\": \"$1\"}}"
}

unplug()
{
	qmp "$AGENT_DIR/qmp.sock" "{\"execute\": \"device_del\", \"arguments\": {\"id\": \"$1\"}}" DEVICE_DELETED
}

# What the guest's kernel has taken into use.
megabytes() { in_guest "awk '/^MemTotal/ {print int(\$2 / 1024)}' /proc/meminfo"; }
blocks() { in_guest "cat /sys/devices/system/memory/memory*/online | sort | uniq -c | xargs"; }
cpus() { in_guest "cat /sys/devices/system/cpu/online"; }

# await COMMAND: the kernel takes a moment to see what was plugged in.
await() { in_guest "timeout 30 sh -c 'until $1; do sleep 0.1; done'"; }

# contained ID EXEC COMMAND...: in a container that runs.
contained()
{
	local id=$1 exec=$2

	shift 2
	agentctl --timeout 60s exec --id "$id" --exec-id "$exec" -- "$@"
}

# start_on ID CPUS: a container with this cpuset ("": none).
start_on()
{
	agentctl run --id "$1" --image /dev/vda --print -- sh -c 'trap "exit 0" TERM; while :; do sleep 1000 & wait; done' |
		jq -c --arg cpus "$2" '.OCI.Linux.CgroupsPath = "/pod/\(.container_id)" |
			if $cpus != "" then .OCI.Linux.Resources.CPU = {Cpus: $cpus} else . end' >"$BATS_TEST_TMPDIR/request"
	agentctl run --request "$BATS_TEST_TMPDIR/request" --keep --detach
}

@test "memory that was left alone is taken into use; what comes later is at once, without a call" {
	local before
	before=$(megabytes)
	is "1 0 2 1" blocks
	agentctl OnlineCPUMem '{"cpu_only": true}'
	is "1 0 2 1" blocks
	agentctl OnlineCPUMem
	is "3 1" blocks
	is $((before + 128)) megabytes
	plug_memory later 256
	await "[ -e /sys/devices/system/memory/memory34 ] && ! grep -q 0 /sys/devices/system/memory/memory3[2-4]/online"
	is $((before + 384)) megabytes
}

@test "as many processors as are asked for, which the containers see" {
	is 0 cpus
	start_on free ""
	start_on bound 0-1
	is 1 contained free before nproc
	is 1 contained bound before nproc
	plug_cpu 1
	plug_cpu 2
	agentctl OnlineCPUMem '{"nb_cpus": 2, "cpu_only": true}'
	is 0-1 cpus
	is 2 contained free two nproc
	agentctl OnlineCPUMem '{"nb_cpus": 3}'
	is 0-2 cpus
	is 3 contained free three nproc
	# It has its own, which weren't there when it was made.
	is 2 contained bound three nproc
}

@test "fewer than are asked for is an error, which says how many" {
	fails 1 "3 of 4 processors are online" agentctl OnlineCPUMem '{"nb_cpus": 4}'
	[[ $stderr == *INTERNAL* ]]
	is 0-2 cpus
}

@test "processors that are asked for before they come are waited for" {
	local answer
	mkfifo "$BATS_TEST_TMPDIR/script" "$BATS_TEST_TMPDIR/answers"
	agentctl script <"$BATS_TEST_TMPDIR/script" >"$BATS_TEST_TMPDIR/answers" 3>&- &
	exec 5>"$BATS_TEST_TMPDIR/script" 6<"$BATS_TEST_TMPDIR/answers"
	printf '&four OnlineCPUMem {"nb_cpus": 4}\ncheck Health.Check {}\n' >&5
	read -r -t 60 answer <&6
	[[ $answer == "check "*SERVING* ]]
	plug_cpu 3
	read -r -t 60 answer <&6
	exec 5>&- 6<&-
	[[ $answer == "four {}" ]]
	is 0-3 cpus
}

@test "what a runtime decides by" {
	is '["134217728",false]' eval "agentctl GetGuestDetails '{\"mem_block_size\": true, \"mem_hotplug_probe\": true}' |
		jq -c '[.mem_block_size_bytes, .support_mem_hotplug_probe]'"
	is '["0",false]' eval "agentctl GetGuestDetails | jq -c '[.mem_block_size_bytes, .support_mem_hotplug_probe]'"
	# Here ACPI announces memory.
	fails 1 "this kernel can't be told about memory" agentctl MemHotplugByProbe '{"memHotplugProbeAddr": ["4294967296"]}'
	[[ $stderr == *INTERNAL* ]]
	is '{}' agentctl MemHotplugByProbe
}

@test "memory of the kind that can be given back is; cgroup v1: the cpusets of a container and of its parents grow" {
	local before
	agentctl DestroySandbox
	agent_ended
	boot "memhp_default_state=online_movable systemd.unified_cgroup_hierarchy=0"
	agentctl CreateSandbox '{"sandbox_id": "sandbox"}'
	watch
	before=$(megabytes)
	plug_memory movable 128
	await "[ -e /sys/devices/system/memory/memory32 ] && ! grep -q 0 /sys/devices/system/memory/memory32/online"
	is $((before + 128)) megabytes
	agentctl OnlineCPUMem
	unplug dimmmovable
	is "$before" megabytes
	start_on free ""
	start_on bound 0-1
	is 1 contained free before nproc
	plug_cpu 1
	plug_cpu 2
	agentctl OnlineCPUMem '{"nb_cpus": 3}'
	is 3 contained free three nproc
	is 2 contained bound three nproc
}

# QEMU 7.2 corrupts its own memory where anything of the machine's memory map changes after a processor has been taken out under
# TCG (docs/design.md): so it is the last thing that is done to a machine of its own.
@test "a processor that is taken away is none any more, and the containers that had it go on" {
	agentctl DestroySandbox
	agent_ended
	boot ""
	agentctl CreateSandbox '{"sandbox_id": "sandbox"}'
	watch
	plug_cpu 1
	plug_cpu 2
	agentctl OnlineCPUMem '{"nb_cpus": 3, "cpu_only": true}'
	start_on free ""
	start_on bound 0,2
	is 3 contained free before nproc
	is 2 contained bound before nproc
	unplug cpu2
	is 0-1 cpus
	is 2 contained free after nproc
	is 1 contained bound after nproc
	fails 1 "2 of 3 processors are online" agentctl OnlineCPUMem '{"nb_cpus": 3, "cpu_only": true}'
	agentctl OnlineCPUMem '{"nb_cpus": 2, "cpu_only": true}'
	agentctl RemoveContainer '{"container_id": "bound"}'
	start_on later ""
	is 2 contained later after nproc
}
