#!/usr/bin/env bats
# What calls about containers and processes answer where they can't do what they are asked for: code and text (behaviour.md 3).

load helpers

setup_file() { agent_start; }
teardown_file() { agent_stop; }

of_containers=(StartContainer RemoveContainer UpdateContainer PauseContainer ResumeContainer StatsContainer)
of_processes=(SignalProcess WaitProcess ReadStdout ReadStderr WriteStdin CloseStdin TtyWinResize)

@test "no such container: INVALID_ARGUMENT" {
	for method in "${of_containers[@]}" "${of_processes[@]}" ExecProcess; do
		fails 1 "INVALID_ARGUMENT: Invalid container id" agentctl "$method" '{"container_id": "nobody"}'
	done
}

@test "no such process: NOT_FOUND" {
	resident
	for method in "${of_processes[@]}"; do
		fails 1 "NOT_FOUND: process not found" agentctl "$method" "{\"container_id\": \"$id\", \"exec_id\": \"nobody\"}"
	done
	remove
}

@test "an exec without a name or a process, or with a name that is taken" {
	resident
	fails 1 "INVALID_ARGUMENT: the request has no exec id" agentctl ExecProcess "{\"container_id\": \"$id\", \"process\": {}}"
	fails 1 "INVALID_ARGUMENT: the request has no process" agentctl ExecProcess \
		"{\"container_id\": \"$id\", \"exec_id\": \"x\"}"
	execute --detach -- sleep 1000
	fails 1 "INTERNAL: exec_id 'e1' already exists" agentctl ExecProcess \
		"{\"container_id\": \"$id\", \"exec_id\": \"e1\", \"process\": {\"Args\": [\"true\"], \"Cwd\": \"/\"}}"
	fails 1 "INTERNAL: exec_id '$id' already exists" agentctl ExecProcess \
		"{\"container_id\": \"$id\", \"exec_id\": \"$id\", \"process\": {\"Args\": [\"true\"], \"Cwd\": \"/\"}}"
	remove
}

@test "a container is started once" {
	resident
	fails 1 "FAILED_PRECONDITION: container $id can't be started" agentctl StartContainer "{\"container_id\": \"$id\"}"
	remove
}

@test "a signal that there isn't; one to a process that has ended is no error" {
	resident
	fails 1 "INVALID_ARGUMENT: 65 is no signal" agentctl SignalProcess "{\"container_id\": \"$id\", \"signal\": 65}"
	is '{}' agentctl SignalProcess "{\"container_id\": \"$id\", \"signal\": 0}"
	execute --detach -- true
	run agentctl ReadStdout "{\"container_id\": \"$id\", \"exec_id\": \"e1\", \"len\": 1}"
	is '{}' agentctl SignalProcess "{\"container_id\": \"$id\", \"exec_id\": \"e1\", \"signal\": 15}"
	remove
}

@test "an exit is told once" {
	resident
	execute --detach -- sh -c 'exit 7'
	is '{"status":7}' agentctl WaitProcess "{\"container_id\": \"$id\", \"exec_id\": \"e1\"}"
	fails 1 NOT_FOUND agentctl WaitProcess "{\"container_id\": \"$id\", \"exec_id\": \"e1\"}"
	remove
}

@test "several who wait get the same exit; when the container is removed they are told" {
	resident
	run agentctl script <<-END
		&one WaitProcess {"container_id": "$id"}
		&two WaitProcess {"container_id": "$id", "exec_id": "$id"}
		remove RemoveContainer {"container_id": "$id"}
		wait one
		wait two
	END
	[[ $output == *'one {"status":137}'* && $output == *'two {"status":137}'* && $output == *'remove {}'* ]]
}

@test "stdin that is closed has no writer; closing it twice is no error" {
	resident
	execute --detach --stdin -- sleep 1000
	is '{}' agentctl CloseStdin "{\"container_id\": \"$id\", \"exec_id\": \"e1\"}"
	fails 1 "INTERNAL: Cannot get writer" agentctl WriteStdin \
		"{\"container_id\": \"$id\", \"exec_id\": \"e1\", \"data\": \"eA==\"}"
	is '{}' agentctl CloseStdin "{\"container_id\": \"$id\", \"exec_id\": \"e1\"}"
	is '{"len":0}' agentctl WriteStdin "{\"container_id\": \"$id\", \"exec_id\": \"e1\"}"
	remove
}

@test "a read of no bytes" {
	resident
	fails 1 "INVALID_ARGUMENT: len must be greater than 0" agentctl ReadStdout "{\"container_id\": \"$id\"}"
	remove
}

@test "a read of as many bytes as can be said gets what there is" {
	resident
	execute --detach -- echo some
	is "{\"data\":\"$(echo some | base64)\"}" agentctl ReadStdout \
		"{\"container_id\": \"$id\", \"exec_id\": \"e1\", \"len\": 4294967295}"
	remove
}

@test "the size of a terminal that there isn't, or that can't be" {
	resident
	fails 1 "UNAVAILABLE: no tty" agentctl TtyWinResize "{\"container_id\": \"$id\", \"row\": 24, \"column\": 80}"
	fails 1 "INVALID_ARGUMENT: no terminal has 65536 rows" agentctl TtyWinResize \
		"{\"container_id\": \"$id\", \"row\": 65536, \"column\": 80}"
	remove
}

@test "RemoveContainer with a time is the same where the time is enough" {
	resident
	is '{}' agentctl RemoveContainer "{\"container_id\": \"$id\", \"timeout\": 20}"
	fails 1 INVALID_ARGUMENT agentctl RemoveContainer "{\"container_id\": \"$id\", \"timeout\": 20}"
}

@test "a cgroup that somebody has is refused, and its processes go on" {
	local path

	resident
	path=$(request -- true | jq -r --arg id "$id" '.OCI.Linux.CgroupsPath | sub("[^/]+$"; $id)')
	fails 125 "cgroup $path is that of container $id" edited ".OCI.Linux.CgroupsPath = \"$path\"" -- true
	is alive execute -- echo alive
	# One that has others below.
	fails 125 "$([[ $place == vm ]] && echo "there are processes below it" || echo "there are cgroups below it")" edited ".OCI.Linux.CgroupsPath = \"${path%/*}\"" -- true
	is alive execute -- echo alive
	remove
	# The agent's own in a virtual machine.
	[[ $place == local ]] || fails 125 "it has processes" edited '.OCI.Linux.CgroupsPath = "/nacre-agent"' -- true
	is again container -- echo again
}
