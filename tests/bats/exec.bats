#!/usr/bin/env bats
# Further processes in a running container.

load helpers

setup_file() { agent_start; }
teardown_file() { agent_stop; }
setup() { resident; }
teardown() { remove; }

@test "an exec sees the container's processes and has its own streams and status" {
	run --separate-stderr execute -- sh -c 'ps; echo err >&2; exit 3'
	[[ $status -eq 3 && $output == *"sleep 1000"* && $stderr == err ]]
}

@test "a command that isn't there fails at once" {
	fails 125 'NOT_FOUND: exec: "nosuch": executable file not found in $PATH' execute -- nosuch
	fails 125 'PERMISSION_DENIED: exec: "/etc": is a directory' execute -- /etc
}

@test "an exec without stdin doesn't hang, and one with it gets it" {
	is "" execute -- cat
	is hello execute --stdin -- cat <<<hello
}

@test "user, environment and directory are the exec's own" {
	agentctl exec --id "$id" --exec-id ex --print -- sh -c 'echo $(id -u):$(id -g) $x $(pwd)' |
		jq -c '.process.User = {UID: 7, GID: 8} | .process.Env += ["x=y"] | .process.Cwd = "/tmp"' \
			>"$BATS_TEST_TMPDIR/request"
	is "7:8 y /tmp" agentctl exec --request "$BATS_TEST_TMPDIR/request"
}

@test "its capabilities are the container's where it names none" {
	is "$(execute -- sh -c 'grep ^CapBnd /proc/1/status')" execute -- sh -c 'grep ^CapBnd /proc/self/status'
}

@test "an exec id is used once at a time" {
	execute --detach -- sleep 1000
	fails 125 "already exists" agentctl exec --id "$id" --exec-id e1 -- true
}

@test "a signal reaches the exec and nobody else" {
	execute --detach -- sleep 1000
	agentctl SignalProcess "{\"container_id\": \"$id\", \"exec_id\": \"e1\", \"signal\": 15}"
	is '{"status":143}' agentctl WaitProcess "{\"container_id\": \"$id\", \"exec_id\": \"e1\"}"
	is alive execute -- echo alive
}

@test "an exec into nothing, or into a container that has ended, is an error" {
	fails 125 INVALID_ARGUMENT agentctl exec --id nothing --exec-id e -- true
	agentctl SignalProcess "{\"container_id\": \"$id\", \"signal\": 15}"
	agentctl WaitProcess "{\"container_id\": \"$id\"}"
	fails 125 "isn't running" execute -- true
}

@test "a working directory behind somebody else's descriptors is refused" {
	for cwd in /proc/self/fd/3 /proc/1/root/../../.. /proc/self/fd/9; do
		agentctl exec --id "$id" --exec-id "ex" --print -- pwd | jq -c ".process.Cwd = \"$cwd\"" \
			>"$BATS_TEST_TMPDIR/request"
		run agentctl exec --request "$BATS_TEST_TMPDIR/request"
		[[ $status -eq 125 || $output == / || $output == "$cwd" ]]
	done
}

@test "a background child that holds the output doesn't hold the exec's end" {
	run timeout 20 agentctl exec --id "$id" --exec-id bg -- sh -c 'sleep 1000 & echo done'
	[[ $status -eq 0 && $output == done ]]
}
