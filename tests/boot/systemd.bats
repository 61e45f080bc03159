#!/usr/bin/env bats
# The agent as a service of systemd, in a Debian guest: a machine whose PID 1 isn't ours. Making the Debian (debootstrap) takes
# minutes, which only `make test-full` does; where it is in the cache, these are 45 seconds.

export NACRE_TEST_PLACE=vm
load ../bats/helpers

can_boot() { [[ ${NACRE_TEST_FULL:-} ]] || "$BATS_TEST_DIRNAME/systemd-root" --cached; }

setup_file()
{
	can_boot || return 0
	export VM_MACHINE=q35 VM_MEMORY=512 VM_ROOT_TYPE=ext4 VM_ROOT=$BATS_FILE_TMPDIR/debian.ext4
	"$BATS_TEST_DIRNAME/systemd-root" "$build" "$VM_ROOT" 3>&-
	boot
}

setup() { can_boot || skip "no Debian with systemd in the cache: make test-full makes one"; }
teardown_file() { [[ ! -e ${AGENT_DIR:-/nonexistent}/agent.pid ]] || agent_stop; }

boot()
{
	VM_APPEND="systemd.show_status=1 systemd.mask=systemd-networkd.service" \
		vm_start
	export AGENT_ADDRESS AGENT_DIR
	agentctl --timeout 300s wait-ready || {
		tail -n 60 "$AGENT_DIR/console.log"
		return 1
	}
	agentctl CreateSandbox '{"sandbox_id": "sandbox", "hostname": "boxed"}'
}

@test "it serves, and says that it isn't PID 1" {
	run agentctl GetGuestDetails
	[[ $output == *'"init_daemon":false'* ]]
	is boxed container -- hostname
}

@test "containers are limited, and their cgroups are gone with them" {
	is 67108864 edited '.OCI.Linux.Resources.Memory = {Limit: 67108864} | .OCI.Mounts +=
		[{destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"]}]' -- cat /sys/fs/cgroup/memory.max
}

@test "containers' streams and exits, several at once" {
	is $'in\nout' container --stdin -- sh -c 'cat; echo out' <<<in
	run container -- sh -c 'sh -c "kill -TERM \$\$"; exit $?'
	[[ $status -eq 143 ]]
	is "6 containers" sh -c 'for i in 1 2 3 4 5 6; do
		agentctl --timeout 60s run --id "many$i" --image /dev/vdb -- sh -c "echo container; sleep 1" & done | grep -c container |
		sed "s/$/ containers/"'
}

@test "systemd was told when it was ready" {
	grep -q "Started.*nacre-agent" "$AGENT_DIR/console.log"
}

@test "DestroySandbox ends the agent, and with it the machine" {
	is '{}' agentctl DestroySandbox
	timeout 100 tail --pid="$(cat "$AGENT_DIR/agent.pid")" -f /dev/null
}

@test "the power button: containers say their last words, and the machine ends" {
	local running status=0
	boot
	: >"$BATS_TEST_TMPDIR/output"
	container -- sh -c 'trap "echo last words; exit 7" TERM; echo up; while :; do sleep 1000 & wait; done' \
		>"$BATS_TEST_TMPDIR/output" 2>"$BATS_TEST_TMPDIR/errors" 3>&- &
	running=$!
	timeout 60 grep -qm 1 up <(tail -n +1 -f "$BATS_TEST_TMPDIR/output")
	# logind minds the button, from when on it is up.
	timeout 100 grep -qm 1 "Started.*systemd-logind" <(tail -n +1 -f "$AGENT_DIR/console.log")
	press_power "$AGENT_DIR/qmp.sock"
	wait "$running" || status=$?
	cat "$BATS_TEST_TMPDIR/errors"
	[[ $status -eq 7 && $(cat "$BATS_TEST_TMPDIR/output") == $'up\nlast words' ]]
	timeout 100 tail --pid="$(cat "$AGENT_DIR/agent.pid")" -f /dev/null
}
