#!/usr/bin/env bats
# `nacre ps`: which containers there are.

load containers

setup_file() { own_directory; }
teardown_file() { remove_all; }

@test "nothing yet: a line of titles, and with -q nothing" {
	run -0 nacre ps
	[[ ${lines[0]} =~ ^NAME\ +ROOTFS\ +COMMAND\ +CREATED\ +STATUS$ && ${#lines[@]} -eq 1 ]]
	is "" nacre ps -q
	[[ ! -e $NACRE_RUNTIME_DIR ]]
}

@test "a container that runs" {
	start runs -- sleep 1000
	run -0 nacre ps
	[[ ${lines[1]} =~ ^runs\ +$ROOT\ +\"sleep\ 1000\"\ +.*ago\ +Up\  ]]
	[[ ${#lines[@]} -eq 2 ]]
}

@test "-a: those that have ended as well, the latest first" {
	start ended -- sh -c 'exit 3'
	nacre wait ended
	is runs nacre ps -q
	is $'ended\nruns' nacre ps -a -q
	nacre ps -a | grep -q '^ended .*Exited (3) .* ago$'
}

@test "columns stand below their titles" {
	run -0 nacre ps --all
	local titles=${lines[0]} line
	for line in "${lines[@]:1}"; do
		[[ ${line:${#titles}-6:1} != " " && ${line:${#titles}-7:1} == " " ]]
	done
}

@test "--no-trunc: whole commands" {
	start long --rm -- sh -c 'sleep 1000; echo never seen by anybody'
	nacre ps | grep -q '^long .*"sh -c sleep 1000;\.*' 
	run ! grep -q anybody <(nacre ps)
	grep -q 'echo never seen by anybody"' <(nacre ps --no-trunc)
	nacre rm -f long || true
}

@test "--format json: an object a line" {
	nacre ps -a --format json | jq -es 'length == 2 and (map(.name) == ["ended", "runs"]) and
		(map(.state) == ["exited", "running"]) and .[0].exitCode == 3 and .[1].command == ["sleep", "1000"]'
	fails 125 "--format" nacre ps --format xml
}

@test "what a command contains doesn't reach the terminal" {
	start wild --rm -- sh -c $'sleep 1000 # \e[31m\a'
	run ! grep -q $'[\e\a]' <(nacre ps --no-trunc)
	nacre rm -f wild || true
}

@test "dead: its monitor was killed" {
	local monitor vmm
	monitor=$(pid_of runs monitor)
	vmm=$(pid_of runs vmm)
	kill -KILL "$monitor"
	gone "$monitor" "$vmm"
	grep -q '^runs .* Dead$' <(nacre ps -a)
	is "" nacre ps -q
}

@test "usage" {
	grep -q -- --no-trunc <(nacre ps --help)
	fails 125 "--nonsense" nacre ps --nonsense
	fails 125 "argument" nacre ps nonsense
}
