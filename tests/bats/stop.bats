#!/usr/bin/env bats
# SIGTERM to the agent's supervisor: containers end in order, whoever waits is told, and nothing is left. How a machine
# stops is in tests/boot/supervisor.bats.

load helpers

setup_file() { :; }
setup() { [[ $place == local ]] || skip "tests/boot/supervisor.bats stops machines"; }
teardown() { [[ $place != local ]] || agent_stop; }

# start GRACE COMMAND...: an agent with a grace in seconds, and a container in the background that says "up".
start()
{
	NACRE_STOP_TIMEOUT=$1 agent_start
	shift
	began "$@"
}

stop() { kill "$(cat "$AGENT_DIR/agent.pid")"; }

@test "a container that catches SIGTERM says its last words, and its exit is told" {
	start 30 sh -c 'trap "echo last words; exit 7" TERM; echo up; while :; do sleep 1000 & wait; done'
	stop
	ended 7 $'up\nlast words'
}

@test "a container that ignores SIGTERM is killed when its time is over" {
	start 1 sh -c 'trap "" TERM; echo up; while :; do sleep 1000; done'
	stop
	ended 137 up
}

@test "a container whose first process has no handler isn't waited for" {
	start 3600 sh -c 'echo up; exec sleep 1000'
	stop
	ended 137 up
}

@test "a second SIGTERM ends the wait" {
	start 3600 sh -c 'trap "echo caught" TERM; echo up; while :; do sleep 1000 & wait; done'
	stop
	timeout 30 grep -qm 1 caught <(tail -f "$BATS_TEST_TMPDIR/output")
	stop
	ended 137 $'up\ncaught'
}

@test "while it stops nothing new is begun" {
	start 3600 sh -c 'trap "echo caught" TERM; echo up; while :; do sleep 1000 & wait; done'
	stop
	timeout 30 grep -qm 1 caught <(tail -f "$BATS_TEST_TMPDIR/output")
	# shellcheck disable=SC2046
	fails 125 "being stopped" agentctl run --id another $(root_options) -- true
	stop
	agent_ended
}

@test "no process and no cgroup is left behind" {
	start 30 sh -c 'trap "exit 0" TERM; setsid sleep 98765 & echo up; while :; do sleep 1000 & wait; done'
	stop
	ended 0 up
	run pgrep -f "sleep 98765"
	[[ $status -eq 1 ]]
	[[ -z $(find /sys/fs/cgroup -path "*/$NACRE_TEST_CGROUP/c$BATS_TEST_NUMBER") ]]
}
