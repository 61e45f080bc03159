#!/usr/bin/env bats
# Terminals.

load helpers

setup_file() { agent_start; }
teardown_file() { agent_stop; }
setup() { resident; }
teardown() { remove; }

@test "a terminal is one, the container's own" {
	for way in calls connections; do
		run execute --io $way --tty -- sh -c 'tty; test -t 0 && test -t 1 && test -t 2 && echo all'
		[[ ${lines[0]} == /dev/pts/[0-9]*$'\r' && ${lines[1]} == all$'\r' ]]
	done
}

@test "its size is what TtyWinResize says" {
	execute --detach --tty -- sh -c 'read line; stty size; read line'
	agentctl TtyWinResize "{\"container_id\": \"$id\", \"exec_id\": \"e1\", \"row\": 33, \"column\": 77}"
	agentctl WriteStdin "{\"container_id\": \"$id\", \"exec_id\": \"e1\", \"data\": \"$(echo | base64)\"}"
	run agentctl script <<-END
		echo ReadStdout {"container_id": "$id", "exec_id": "e1", "len": 2}
		size ReadStdout {"container_id": "$id", "exec_id": "e1", "len": 100}
	END
	[[ $output == *"size {\"data\":\"$(printf '33 77\r\n' | base64)\"}"* ]]
}

@test "a pipe has no size" {
	execute --detach -- sleep 1000
	fails 1 "UNAVAILABLE: no tty" agentctl TtyWinResize "{\"container_id\": \"$id\", \"exec_id\": \"e1\", \"row\": 1, \"column\": 1}"
}

@test "the end of input is the terminal's own, and output goes on" {
	execute --detach --tty -- sh -c 'stty -echo; cat; echo after'
	agentctl CloseStdin "{\"container_id\": \"$id\", \"exec_id\": \"e1\"}"
	is '{"status":0}' agentctl WaitProcess "{\"container_id\": \"$id\", \"exec_id\": \"e1\"}"
	run agentctl ReadStdout "{\"container_id\": \"$id\", \"exec_id\": \"e1\", \"len\": 100}"
	[[ $(jq -r .data <<<"$output" | base64 -d) == *after* ]]
}

@test "ctrl-C interrupts what runs on it" {
	execute --detach --tty -- sleep 1000
	agentctl WriteStdin "{\"container_id\": \"$id\", \"exec_id\": \"e1\", \"data\": \"$(printf '\003' | base64)\"}"
	is '{"status":130}' agentctl WaitProcess "{\"container_id\": \"$id\", \"exec_id\": \"e1\"}"
}
