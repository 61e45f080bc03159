#!/usr/bin/env bats
# `nacre wait`: waits for containers to end, and prints their exit statuses.

load containers

setup_file() { own_directory; }
teardown_file() { remove_all; }

@test "one that has ended: at once" {
	start seven -- sh -c 'exit 7'
	is 7 timeout 60 nacre wait seven
	is 7 timeout 60 nacre wait seven
}

@test "one that runs: when it ends" {
	start later -i -- sh -c 'echo up; read x; exit 9'
	nacre wait later >"$BATS_TEST_TMPDIR/out" 3>&- &
	local waiter=$!
	says later up
	kill -0 $waiter
	[[ ! -s $BATS_TEST_TMPDIR/out ]]
	echo go | nacre attach later || true
	gone $waiter
	wait $waiter
	is 9 cat "$BATS_TEST_TMPDIR/out"
}

@test "several: a line each, in order" {
	is $'9\n7' nacre wait later seven
}

@test "its machine is gone by then, and the name free after rm" {
	start quick -- true
	local vmm
	vmm=$(pid_of quick vmm) || true
	is 0 timeout 60 nacre wait quick
	[[ -z $vmm || $vmm == null || ! -e /proc/$vmm ]]
	nacre rm quick
}

@test "one of which nobody knows how it ended" {
	start orphan -- sleep 1000
	local monitor
	monitor=$(pid_of orphan monitor)
	kill -KILL "$monitor"
	gone "$monitor"
	fails 1 "has died" nacre wait orphan
}

@test "usage" {
	fails 1 "no container 'nosuch'" nacre wait nosuch
	run -1 --separate-stderr nacre wait nosuch seven
	[[ $output == 7 ]]
	fails 125 "missing" nacre wait
}
