#!/usr/bin/env bats
# GetDiagnosticData: the termination log of a container, for a runtime that shares no file system with the guest.

load helpers

setup_file() { agent_start; }
teardown_file() { agent_stop; }

shared=/run/kata-containers/shared/containers

# logged NAME [COMMAND]: a container whose /dev/termination-log is that file; it runs the command and has ended. Its id is $id.
logged()
{
	id=c$BATS_TEST_NUMBER
	agentctl CopyFile "{\"path\": \"$shared/log\", \"file_mode\": 33206, \"dir_mode\": 493}"
	request -- sh -c "${2:-true}" | jq -c --arg source "$shared/$1" '
		.OCI.Annotations = {"io.kubernetes.container.terminationMessagePath": "/dev/termination-log"}
		| .OCI.Mounts += [{destination: "/dev/termination-log", type: "bind", source: $source, options: ["bind", "rw"]}]' \
		>"$BATS_TEST_TMPDIR/request"
	agentctl CreateContainer "$(cat "$BATS_TEST_TMPDIR/request")"
	agentctl StartContainer "{\"container_id\": \"$id\"}"
	is '{"status":0}' agentctl WaitProcess "{\"container_id\": \"$id\"}"
}

data() { agentctl GetDiagnosticData "{\"log_type\": \"termination_log\", \"container_id\": \"$id\"}"; }

@test "what the container has written" {
	logged log 'echo "out of luck" >/dev/termination-log'
	is '{"data":"out of luck\n"}' data
	remove
}

@test "nothing, where it has written nothing" {
	logged log
	is '{"data":""}' data
	remove
}

@test "the first 4096 bytes" {
	logged log 'yes | head -c 10000 >/dev/termination-log'
	[[ $(data | jq -r '.data | length') -eq 4096 ]]
	remove
}

@test "what isn't UTF-8 becomes U+FFFD" {
	logged log 'printf "a\303\251\377b\0c\355\240\200\360\237\230\200" >/dev/termination-log'
	is 'aé�b�c���😀' eval 'data | jq -r .data'
	remove
}

@test "another log is none" {
	logged log
	fails 1 'INVALID_ARGUMENT: log_type "dmesg"' agentctl GetDiagnosticData \
		"{\"log_type\": \"dmesg\", \"container_id\": \"$id\"}"
	fails 1 'INVALID_ARGUMENT: log_type ""' agentctl GetDiagnosticData "{\"container_id\": \"$id\"}"
	remove
}

@test "no such container, no annotation, no mount" {
	id=nobody
	fails 1 "INTERNAL: Invalid container id" data
	resident
	fails 1 "INTERNAL: no annotation" data
	remove
	id=c$BATS_TEST_NUMBER
	agentctl CreateContainer "$(request -- true |
		jq -c '.OCI.Annotations = {"io.kubernetes.container.terminationMessagePath": "/log"}')"
	fails 1 "INTERNAL: no mount has the termination log /log" data
	remove
}

@test "a log that has become a link, or no file at all, isn't followed" {
	logged log
	agentctl CopyFile "{\"path\": \"$shared/log\", \"file_mode\": 41471, \"dir_mode\": 493, \"data\": \"$(printf /etc/passwd | base64)\"}"
	fails 1 "INTERNAL: read the termination log $shared/log" data
	agentctl CopyFile "{\"path\": \"$shared/log\", \"file_mode\": 16877, \"dir_mode\": 493}"
	fails 1 "INTERNAL" data
	remove
}

@test "a file that has gone is an empty log" {
	logged log
	# What a pod's end leaves is what the next one begins with; here only this file goes.
	agentctl CopyFile "{\"path\": \"$shared/log\", \"file_mode\": 33206, \"dir_mode\": 493, \"file_size\": 1, \"data\": \"\"}"
	is '{"data":""}' data
	remove
}
