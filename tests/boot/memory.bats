#!/usr/bin/env bats
# A container without limits that takes all of the guest's memory, on both versions of cgroups: the kernel ends the
# container, while agent and supervisor have theirs and go on.

export NACRE_TEST_PLACE=vm
load ../bats/helpers

setup_file() { :; }
teardown() { [[ ! -e ${AGENT_DIR:-/nonexistent}/agent.pid ]] || agent_stop; }

# filled PARAMETERS MEMORY-CGROUP-OF-THE-AGENT
filled()
{
	BATS_FILE_TMPDIR=$BATS_TEST_TMPDIR
	VM_MEMORY=128 VM_APPEND=$1 agent_start
	# Beside it, one that takes part in nothing.
	resident
	# The guest's processes are seen by a third one.
	watch
	before=$(in_guest 'cd /proc; cat 1/oom_score_adj; for pid in [0-9]*; do
		[ "$(cat $pid/comm)" = nacre-agent ] && echo $pid $(cat $pid/oom_score_adj); done; true')
	[[ $before == -1000* && $before != *" 0" ]]
	# tail keeps all that it reads in search of a line's end.
	container -- sh -c 'tail /dev/zero & tail /dev/zero & wait $!' &
	running=$!
	# Answers while it happens, and makes processes.
	for _ in 1 2 3; do
		is '{"status":"SERVING"}' agentctl --timeout 30s Health.Check
		is here execute -- echo here
	done
	ended=0
	wait "$running" || ended=$?
	[[ $ended -eq 137 ]]
	is here execute -- echo here
	is "$before" in_guest 'cd /proc; cat 1/oom_score_adj; for pid in [0-9]*; do
		[ "$(cat $pid/comm)" = nacre-agent ] && echo $pid $(cat $pid/oom_score_adj); done; true'
	grep -q "$2" <(in_guest 'cat /proc/1/cgroup')
}

@test "a container that takes all memory is what dies: cgroup v2" {
	filled "" '/nacre-agent$'
	is 8388608 in_guest "cat $guest/sys/fs/cgroup/nacre-agent/memory.min"
}

@test "a container that takes all memory is what dies: cgroup v1" {
	filled systemd.unified_cgroup_hierarchy=0 'memory:/$'
}
