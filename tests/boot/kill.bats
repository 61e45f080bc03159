#!/usr/bin/env bats
# `nacre kill`: sends a container's first process a signal.

load containers

setup_file()
{
	own_directory
	# shellcheck disable=SC2016 # the container's shell expands it
	start catches -- sh -c 'for s in HUP USR1 TERM; do trap "echo got $s" $s; done; echo up; while :; do sleep 1 & wait; done'
	says catches up
}
teardown_file() { remove_all; }

@test "-s NAME or number" {
	is catches nacre kill -s USR1 catches
	says catches "got USR1"
	is catches nacre kill --signal=SIGTERM catches
	says catches "got TERM"
	is catches nacre kill -s 1 catches
	says catches "got HUP"
	[[ $(state catches) == running ]]
}

@test "SIGKILL without -s" {
	is catches nacre kill catches
	is 137 timeout 60 nacre wait catches
}

@test "one that has ended" {
	fails 1 "isn't running" nacre kill catches
}

@test "one that nobody reads the output of" {
	start full -- yes
	attach_unread full
	is full nacre kill full
	is 137 timeout 60 nacre wait full
	kill "$attached" || true
	gone "$attached"
}

@test "usage" {
	fails 1 "no container 'nosuch'" nacre kill nosuch
	fails 125 "NOPE" nacre kill -s NOPE catches
	fails 125 "65" nacre kill -s 65 catches
	fails 125 "missing" nacre kill
}
