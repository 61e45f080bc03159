#!/usr/bin/env bats
# `nacre stop`: asks a container to end, and then makes it.

load containers

setup_file() { own_directory; }
teardown_file() { remove_all; }

@test "SIGTERM, and its own exit status" {
	start polite -- sh -c 'trap "echo bye; exit 4" TERM; echo up; while :; do sleep 1 & wait; done'
	says polite up
	local vmm proxy
	vmm=$(pid_of polite vmm)
	proxy=$(pid_of polite proxy)
	is polite nacre stop polite
	is 4 nacre wait polite
	is $'up\nbye' nacre logs polite
	[[ ! -e /proc/$vmm && ! -e /proc/$proxy ]]
}

@test "-t: SIGKILL after so many seconds" {
	start deaf -- sh -c 'trap "echo no" TERM; echo up; while :; do sleep 1 & wait; done'
	says deaf up
	is deaf nacre stop -t 1 deaf
	is 137 nacre wait deaf
	is $'up\nno' nacre logs deaf
}

@test "several at once, also such as have ended" {
	start one -- sleep 1000
	start two -- sleep 1000
	run -0 nacre stop -t 0 one polite two
	[[ $(sort <<<"$output") == $'one\npolite\ntwo' ]]
	is "" nacre ps -q
}

@test "one that nobody reads the output of" {
	start full -- sh -c 'trap "" TERM; echo up; yes'
	attach_unread full
	# It is held up, and ends all the same.
	is full timeout 60 nacre stop -t 0 full
	is 137 nacre wait full
	kill "$attached" || true
	gone "$attached"
}

@test "usage" {
	fails 1 "no container 'nosuch'" nacre stop nosuch
	fails 125 "--time" nacre stop -t soon one
	fails 125 "missing" nacre stop
}
