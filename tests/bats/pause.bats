#!/usr/bin/env bats
# PauseContainer and ResumeContainer: nothing of a paused container runs, from the answer on.

load helpers

setup_file() { agent_start; }
teardown_file() { agent_stop; }

pause() { agentctl PauseContainer "{\"container_id\": \"$id\"}"; }
resume() { agentctl ResumeContainer "{\"container_id\": \"$id\"}"; }

# A resident container that counts into /dev/shm/count as fast as it can; its id is $id.
counting()
{
	resident
	execute --detach -- sh -c 'i=0; while :; do i=$((i + 1)); echo $i; done'
}

# The next bytes of what it counts.
count()
{
	agentctl ReadStdout "{\"container_id\": \"$id\", \"exec_id\": \"e1\", \"len\": 65536}" | jq -r .data
}

@test "when the call has been answered every process is frozen" {
	counting
	is '{}' pause
	# What the pipe holds by now can be read; nothing comes after it.
	run agentctl raw <<<"$(for stream in 1 3 5; do
		echo "call $stream 300000000 ReadStdout {\"container_id\": \"$id\", \"exec_id\": \"e1\", \"len\": 65536}"
		echo read
	done)"
	[[ ${lines[2]} == "5 type 2 DEADLINE_EXCEEDED: timeout" ]]
	is '{}' resume
	[[ -n $(count) ]]
	remove
}

@test "a container that is paused isn't paused again, nor resumed twice" {
	resident
	fails 1 "INTERNAL: container $id is not paused" resume
	pause
	fails 1 "INTERNAL: container $id is paused" pause
	resume
	fails 1 "INTERNAL: container $id is not paused" resume
	is up execute -- echo up
	remove
}

@test "nothing is executed in a paused container, and one that was only created isn't started" {
	resident
	pause
	fails 125 "FAILED_PRECONDITION: container $id is paused" execute -- true
	resume
	remove
	request -- true >"$BATS_TEST_TMPDIR/request"
	agentctl CreateContainer "$(cat "$BATS_TEST_TMPDIR/request")"
	id=c$BATS_TEST_NUMBER
	pause
	fails 1 "FAILED_PRECONDITION: container $id is paused" agentctl StartContainer "{\"container_id\": \"$id\"}"
	resume
	agentctl StartContainer "{\"container_id\": \"$id\"}"
	is '{"status":0}' agentctl WaitProcess "{\"container_id\": \"$id\"}"
	remove
}

@test "SIGKILL ends it all the same, to the container or to its first process" {
	for exec_id in "" itself; do
		resident
		pause
		[[ $exec_id ]] && exec_id=$id
		agentctl SignalProcess "{\"container_id\": \"$id\", \"exec_id\": \"$exec_id\", \"signal\": 9}"
		is '{"status":137}' agentctl WaitProcess "{\"container_id\": \"$id\"}"
		fails 1 "INTERNAL: container $id is not running" pause
		remove
	done
}

@test "another signal waits until it is resumed" {
	resident
	execute --detach -- sh -c 'trap "exit 5" TERM; echo up; while :; do :; done'
	local name="\"container_id\": \"$id\", \"exec_id\": \"e1\""
	is "{\"data\":\"$(echo up | base64)\"}" agentctl ReadStdout "{$name, \"len\": 3}"
	pause
	agentctl SignalProcess "{$name, \"signal\": 15}"
	is "1 type 2 DEADLINE_EXCEEDED: timeout" agentctl raw <<<"call 1 300000000 WaitProcess {$name}"$'\nread'
	resume
	is '{"status":5}' agentctl WaitProcess "{$name}"
	remove
}

@test "it can be removed, and leaves nothing" {
	resident
	pause
	is '{}' remove
	fails 1 "INVALID_ARGUMENT" pause
	resident
	is up execute -- echo up
	remove
}

@test "its limits can be changed, and its figures read" {
	resident
	pause
	is '{}' agentctl UpdateContainer "{\"container_id\": \"$id\", \"resources\": {\"Pids\": {\"Limit\": 30},
		\"Devices\": [{\"Allow\": true, \"Type\": \"c\", \"Major\": 1, \"Minor\": 11, \"Access\": \"r\"}]}}"
	[[ $(agentctl StatsContainer "{\"container_id\": \"$id\"}" | jq -r .cgroup_stats.pids_stats.limit) == 30 ]]
	fails 1 "INTERNAL: container $id is paused" pause
	resume
	remove
}

@test "nobody can't be paused" {
	id=nobody
	fails 1 "INVALID_ARGUMENT: Invalid container id" pause
	fails 1 "INVALID_ARGUMENT: Invalid container id" resume
}
