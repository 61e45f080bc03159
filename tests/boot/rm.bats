#!/usr/bin/env bats
# `nacre rm`: removes containers that have ended.

load containers

setup_file()
{
	own_directory
	start lives -- sleep 1000
}
teardown_file() { remove_all; }

@test "one that has ended, with all that it has left" {
	nacre run --name ended "$ROOT" -- true
	[[ -e $NACRE_RUNTIME_DIR/ended ]]
	is ended nacre rm ended
	[[ ! -e $NACRE_RUNTIME_DIR/ended ]]
	fails 1 "no container 'ended'" nacre rm ended
}

@test "one that runs is refused, and runs on" {
	fails 1 "is running" nacre rm lives
	[[ $(state lives) == running ]]
}

@test "several: the others go all the same" {
	nacre run --name one "$ROOT" -- true
	nacre run --name two "$ROOT" -- true
	run -1 --separate-stderr nacre rm one nosuch two
	[[ $output == $'one\ntwo' && $stderr == *"'nosuch'"* ]]
}

@test "-f: ends it first" {
	local monitor proxy vmm
	monitor=$(pid_of lives monitor)
	proxy=$(pid_of lives proxy)
	vmm=$(pid_of lives vmm)
	is lives nacre rm -f lives
	[[ ! -e $NACRE_RUNTIME_DIR/lives ]]
	gone "$monitor" "$proxy" "$vmm"
}

@test "one whose monitor was killed" {
	start dead -- sleep 1000
	local monitor proxy vmm
	monitor=$(pid_of dead monitor)
	proxy=$(pid_of dead proxy)
	vmm=$(pid_of dead vmm)
	kill -KILL "$monitor"
	gone "$monitor" "$proxy" "$vmm"
	[[ $(state dead) == dead ]]
	is dead nacre rm dead
	[[ ! -e $NACRE_RUNTIME_DIR/dead ]]
}

@test "-f: also where the monitor doesn't answer" {
	start stuck -- sleep 1000
	kill -STOP "$(pid_of stuck monitor)"
	is stuck timeout 60 nacre rm -f stuck
	[[ ! -e $NACRE_RUNTIME_DIR/stuck ]]
}

@test "usage" {
	fails 125 "missing" nacre rm
	fails 1 "no container" nacre rm ../run
	grep -q -- --force <(nacre rm --help)
}
