#!/usr/bin/env bats
# GetOOMEvent: each time that the kernel kills for want of memory in a container, told once.

load helpers

setup_file() { agent_start; }
teardown_file() { agent_stop; }

# greedy [FILTER] -- COMMAND...: a container with 16 MiB.
greedy()
{
	local filter=.

	[[ $1 == -- ]] || { filter=$1 && shift; }
	edited ".OCI.Linux.Resources = {Memory: {Limit: 16777216}} | $filter" "$@"
}

event() { agentctl --timeout 20s GetOOMEvent; }

# The agent itself says so, after 300 ms.
nothing_more() { is "1 type 2 DEADLINE_EXCEEDED: timeout" agentctl raw <<<$'call 1 300000000 GetOOMEvent\nread'; }

@test "a kill is told with the container's id, and its exit is 137" {
	run greedy -- tail /dev/zero
	[[ $status -eq 137 ]]
	is '{"container_id":"c1"}' event
	nothing_more
}

@test "who waits for it is told at once" {
	run agentctl script <<-END
		&event GetOOMEvent
		create CreateContainer $(request -- tail /dev/zero | jq -c '.OCI.Linux.Resources = {Memory: {Limit: 16777216}}')
		start StartContainer {"container_id": "c$BATS_TEST_NUMBER"}
		wait event
		exit WaitProcess {"container_id": "c$BATS_TEST_NUMBER"}
		remove RemoveContainer {"container_id": "c$BATS_TEST_NUMBER"}
	END
	[[ $status -eq 0 && $output == *"event {\"container_id\":\"c$BATS_TEST_NUMBER\"}"* ]]
	[[ $output == *'exit {"status":137}'* ]]
}

@test "every kill is told, also those between two calls, and of a container that has been removed meanwhile" {
	is "0 137 137 137" greedy -- sh -c 's=0; for i in 1 2 3; do tail /dev/zero; s="$s $?"; done; echo $s'
	for _ in 1 2 3; do
		is "{\"container_id\":\"c$BATS_TEST_NUMBER\"}" event
	done
	nothing_more
}

# nested LIMIT...: what a container of 32 MiB prints that has a process killed in a cgroup that it has made, with each of the limits.
nested()
{
	edited '.OCI.Mounts += [{destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["rw"]}]
		| .OCI.Linux.Resources = {Memory: {Limit: 33554432}}' -- sh -c '
		cd /sys/fs/cgroup
		file=memory.max
		if [ -e memory ]; then
			cd memory
			file=memory.limit_in_bytes
		fi
		mkdir outer inner inner/most && echo 0 >outer/cgroup.procs
		[ -e memory.limit_in_bytes ] || { echo +memory >cgroup.subtree_control && echo +memory >inner/cgroup.subtree_control; }
		for limit; do
			echo $limit >inner/most/$file
			sh -c "echo 0 >inner/most/cgroup.procs; exec tail /dev/zero"
			echo $?
		done' - "$@"
}

@test "a kill in a cgroup that the container has made is one of the container, for its own limit or the container's" {
	local again=67108864

	is $'137\n137\n137' nested 16777216 16777216 "$again"
	for _ in 1 2 3; do
		is "{\"container_id\":\"c$BATS_TEST_NUMBER\"}" event
	done
	nothing_more
}

@test "the container that holds the sandbox is one as others" {
	run greedy '.container_id = "sandbox"' -- tail /dev/zero
	[[ $status -eq 137 ]]
	is '{"container_id":"sandbox"}' event
	nothing_more
}

@test "of several callers each gets an event of its own" {
	run agentctl script <<-END
		&one GetOOMEvent
		&two GetOOMEvent
		create CreateContainer $(request -- sh -c 'tail /dev/zero; tail /dev/zero; true' |
			jq -c '.OCI.Linux.Resources = {Memory: {Limit: 16777216}}')
		start StartContainer {"container_id": "c$BATS_TEST_NUMBER"}
		wait one
		wait two
		exit WaitProcess {"container_id": "c$BATS_TEST_NUMBER"}
		remove RemoveContainer {"container_id": "c$BATS_TEST_NUMBER"}
	END
	[[ $status -eq 0 && $output == *'exit {"status":0}'* ]]
	[[ $output == *"one {\"container_id\":\"c$BATS_TEST_NUMBER\"}"*"two {\"container_id\":\"c$BATS_TEST_NUMBER\"}"* ]]
	nothing_more
}

@test "a caller that has gone takes no event along" {
	run agentctl script <<-END
		&gone GetOOMEvent
		close
	END
	[[ $output == *gone* ]]
	nothing_more
	run greedy -- tail /dev/zero
	[[ $status -eq 137 ]]
	is "{\"container_id\":\"c$BATS_TEST_NUMBER\"}" event
	nothing_more
}

@test "a process that is killed by somebody is no event" {
	run greedy -- sh -c 'sleep 1000 & kill -9 $!; wait $!'
	[[ $status -eq 137 ]]
	nothing_more
}

@test "DestroySandbox ends who waits with INTERNAL, and says OK" {
	run agentctl script <<-END
		&event GetOOMEvent
		destroy DestroySandbox {}
	END
	[[ $output == *"event INTERNAL: no more OOM events"* && $output == *"destroy {}"* ]]
	agent_ended
}
