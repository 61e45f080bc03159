#!/usr/bin/env bats
# `nacre inspect`: everything about containers, as JSON.

load containers

setup_file()
{
	own_directory
	start lives -e A=b -w /tmp --memory 128m --read-only -- sleep 1000
	nacre run --name ended "$ROOT" -- sh -c 'exit 6' || true
}
teardown_file() { remove_all; }

# holds NAME EXPRESSION: jq says so, of this container.
holds() { nacre inspect "$1" | jq -e ".[0] | $2"; }

@test "what was asked for" {
	holds lives ".config | .root == \"$ROOT\" and .command == [\"sleep\", \"1000\"] and .workdir == \"/tmp\""
	holds lives '.config | .memory == 134217728 and .readOnly and .detached and (.remove | not)'
}

@test "how it stands, and since when" {
	holds lives '.name == "lives" and .state == "running" and .started > .created and .exitCode == null'
	holds ended '.state == "exited" and .exitCode == 6 and .finished > .started and .pids == {}'
}

@test "its processes and files" {
	local key path
	for key in monitor proxy vmm; do
		[[ -d /proc/$(pid_of lives $key) ]]
	done
	for key in agent vsock attach qmp console output; do
		path=$(nacre inspect lives | jq -r ".[0].paths.$key")
		[[ -e $path ]]
	done
	holds ended '.paths | has("output") and (has("agent") | not)'
}

@test "several in one list" {
	nacre inspect lives ended | jq -e 'map(.name) == ["lives", "ended"]'
}

@test "usage" {
	fails 1 "no container 'nosuch'" nacre inspect nosuch
	run -1 --separate-stderr nacre inspect nosuch ended
	jq -e 'map(.name) == ["ended"]' <<<"$output"
	fails 125 "missing" nacre inspect
}
