#!/usr/bin/env bats
# A caller's deadline (timeout_nano), and a caller that goes: whatever the call was doing, the answer is DEADLINE_EXCEEDED, in
# time, and what it was doing is done as a whole or not at all. Deadlines are sent raw, as a client would also give up by itself.

load helpers

setup_file() { agent_start; watch; }
teardown_file() { agent_stop; }

# late TIME METHOD JSON: the call's deadline, in nanoseconds, passes.
late()
{
	is "1 type 2 DEADLINE_EXCEEDED: timeout" agentctl raw <<<"call 1 $1 $2 ${3:-}"$'\nread'
}

# hurried METHOD JSON: the same with a nanosecond; a job that is as quick as that may have answered.
hurried()
{
	run agentctl raw <<<"call 1 1 $1 ${2:-}"$'\nread'
	[[ $output == "1 type 2 DEADLINE_EXCEEDED: timeout" || $output == "1 type 2 OK"* ]]
}

# A request for a container on a disk that never comes.
of_no_disk()
{
	request -- true | jq -c '.storages = [{driver: "mmioblk", source: "/dev/vdz", fstype: "ext4", mount_point: "/run/nacre/never"}]'
}

@test "a call that waits leaves what it waits for to the next" {
	resident
	execute --detach --stdin -- cat
	late 100000000 ReadStdout "{\"container_id\": \"$id\", \"exec_id\": \"e1\", \"len\": 9}"
	late 100000000 WaitProcess "{\"container_id\": \"$id\", \"exec_id\": \"e1\"}"
	late 100000000 GetOOMEvent
	agentctl WriteStdin "{\"container_id\": \"$id\", \"exec_id\": \"e1\", \"data\": \"$(echo kept | base64)\"}"
	is "{\"data\":\"$(echo kept | base64)\"}" agentctl ReadStdout "{\"container_id\": \"$id\", \"exec_id\": \"e1\", \"len\": 9}"
	agentctl CloseStdin "{\"container_id\": \"$id\", \"exec_id\": \"e1\"}"
	is '{"status":0}' agentctl WaitProcess "{\"container_id\": \"$id\", \"exec_id\": \"e1\"}"
	remove
}

@test "a write to a process that doesn't read is given up, and the next one takes its turn" {
	local block
	block=$(head -c 100000 /dev/zero | tr '\0' x | base64 -w0)
	resident
	execute --detach --stdin -- sleep 1000
	late 200000000 WriteStdin "{\"container_id\": \"$id\", \"exec_id\": \"e1\", \"data\": \"$block\"}"
	is '{}' agentctl CloseStdin "{\"container_id\": \"$id\", \"exec_id\": \"e1\"}"
	remove
}

@test "a creation is undone" {
	local before
	before=$(guest_state)
	late 300000000 CreateContainer "$(of_no_disk)"
	# Its name is free once all of it is gone.
	timeout 20 sh -c 'while ! agentctl CreateContainer "$1" 2>&1 | grep -q vdz; do :; done' - "$(of_no_disk)"
	[[ $(guest_state) == "$before" ]]
}

@test "a creation whose caller hangs up is undone" {
	local before
	before=$(guest_state)
	run agentctl script <<-END
		&gone CreateContainer $(of_no_disk)
		close
	END
	timeout 20 sh -c 'while ! agentctl CreateContainer "$1" 2>&1 | grep -q vdz; do :; done' - "$(of_no_disk)"
	[[ $(guest_state) == "$before" ]]
}

@test "an exec that hasn't begun never will" {
	resident
	# A stream's connection that doesn't come is waited for longer than this.
	late 50000000 ExecProcess "$(jq -nc "{container_id: \"$id\", exec_id: \"x\", stdin_port: 77,
		process: {Args: [\"touch\", \"/dev/shm/x\"], Cwd: \"/\"}}")"
	fails 1 NOT_FOUND agentctl WaitProcess "{\"container_id\": \"$id\", \"exec_id\": \"x\"}"
	execute -- sh -c '! [ -e /dev/shm/x ]'
	remove
}

@test "what changes a container is done all the same, and then the next" {
	resident
	hurried PauseContainer "{\"container_id\": \"$id\"}"
	is '{}' agentctl ResumeContainer "{\"container_id\": \"$id\"}"
	hurried UpdateContainer "{\"container_id\": \"$id\", \"resources\": {\"Pids\": {\"Limit\": 27}}}"
	is '{}' agentctl UpdateContainer "{\"container_id\": \"$id\", \"resources\": {\"CPU\": {\"Shares\": 500}}}"
	[[ $(agentctl StatsContainer "{\"container_id\": \"$id\"}" | jq -r .cgroup_stats.pids_stats.limit) == 27 ]]
	hurried SignalProcess "{\"container_id\": \"$id\", \"signal\": 9}"
	is '{"status":137}' agentctl WaitProcess "{\"container_id\": \"$id\"}"
	hurried RemoveContainer "{\"container_id\": \"$id\"}"
	timeout 20 sh -c 'while agentctl StatsContainer "$1" 2>/dev/null; do :; done' - "{\"container_id\": \"$id\"}"
}

@test "what only reads is given up" {
	resident
	hurried StatsContainer "{\"container_id\": \"$id\"}"
	hurried GetMetrics
	[[ $(agentctl GetMetrics) == *kata_guest_load* ]]
	remove
}

@test "an answer that is made at once comes before any deadline" {
	is "1 type 2 OK 0801" agentctl raw <<<$'call 1 1000000000 Health.Check\nread'
	is "1 type 2 OK 0801" agentctl raw <<<$'call 1 0 Health.Check\nread'
}

@test "a job that a deadline has ended is gone" {
	# What is left of it would be a zombie of the agent's.
	is "" in_guest 'grep -l "^Name:.nacre-agent" /proc/[0-9]*/status 2>/dev/null | xargs grep -h "^State:.Z" || true'
}
