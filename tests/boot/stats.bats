#!/usr/bin/env bats
# `nacre stats` and `nacre metrics`: what containers use, and what Prometheus is told.

load containers

setup_file()
{
	own_directory
	start busy -- sh -c 'while :; do :; done'
	start idle -m 128M -- sh -c 'dd if=/dev/zero of=/dev/shm/held bs=1M count=20 2>/dev/null; echo up; exec sleep 1000'
	says idle up
}

teardown_file() { remove_all; }

# shows FILTER: what stats says of containers, an array.
shows() { nacre stats --format json | jq -es "$1" >/dev/null || { nacre stats --format json && false; }; }

@test "a table: each container that runs, with its figures" {
	run -0 nacre stats
	[[ ${lines[0]} =~ ^NAME\ +CPU\ %\ +MEM\ USAGE\ /\ LIMIT\ +MEM\ %\ +BLOCK\ I/O\ +PIDS$ && ${#lines[@]} -eq 3 ]]
	grep -qE '^idle +[0-9.]+% +[0-9.]+MiB / 128MiB +[0-9.]+% +[0-9.]+[KM]iB / [0-9.]+[KM]?i?B +1$' <<<"$output"
	grep -qE '^busy .* / 256MiB ' <<<"$output"
}

@test "a loop costs a processor, a sleep nothing" {
	shows 'map({(.name): .cpuPercent}) | add | .busy > 5 and .busy > 10 * .idle and .busy < 1000'
}

@test "what is written to memory is used" {
	shows 'map(select(.name == "idle"))[0] | .memory > 20e6 and .memory < 40e6 and .memoryLimit == 134217728'
	shows 'map(select(.name == "idle"))[0] | .pids == 1 and .blockRead > 0'
}

@test "the one that is named, and nobody else" {
	run -0 nacre stats idle
	[[ ${#lines[@]} -eq 2 && ${lines[1]} == "idle "* ]]
}

@test "--dir: a VM by its proxy's sockets" {
	run -0 nacre stats --dir "$NACRE_RUNTIME_DIR/idle" idle
	[[ ${#lines[@]} -eq 2 && ${lines[1]} =~ ^idle\ .*MiB\ /\ --\  ]]
	run -1 --separate-stderr nacre stats --dir "$NACRE_RUNTIME_DIR/idle" idle absent
	[[ ${lines[2]} =~ ^absent\ +--\  && $stderr == "nacre: absent: "*absent* ]]
	fails 1 "no-such-folder" nacre stats --dir no-such-folder idle
	fails 125 "--dir" nacre stats --dir "$NACRE_RUNTIME_DIR/idle"
}

@test "metrics: Prometheus accepts the text, with the agent's figures and the proxy's" {
	run -0 --separate-stderr nacre metrics idle
	[[ -z $stderr ]]
	run -0 --separate-stderr promlint <<<"$output"
	[[ -z $stderr ]]
	for family in kata_guest_meminfo kata_agent_threads nacre_proxy_connections nacre_agent_up; do
		[[ $output == *"$family GAUGE"* ]]
	done
	nacre metrics --dir "$NACRE_RUNTIME_DIR/idle" | grep -qx 'nacre_agent_up 1'
	# The monitor's, for one.
	nacre metrics idle | grep -qE '^nacre_proxy_connections\{origin="agent",port="1024"\} [1-9]'
	nacre metrics idle | grep -qE '^nacre_proxy_connection_from_guest_bytes\{origin="agent",port="1024"\} [1-9]'
}

@test "metrics: without an agent there is the proxy's part, and a failure" {
	fails 1 "no-such-folder" nacre metrics --dir no-such-folder
	fails 1 "there is no container" nacre metrics absent
	fails 125 "missing" nacre metrics
	fails 125 "one argument too many" nacre metrics --dir "$NACRE_RUNTIME_DIR/idle" idle
}

@test "usage, and those that have ended" {
	fails 125 "--format" nacre stats --format xml
	fails 125 "--interval" nacre stats --interval 0
	fails 1 "there is no container" nacre stats absent
	nacre kill idle
	nacre wait idle
	fails 1 "isn't running" nacre stats idle
	fails 1 "isn't running" nacre metrics idle
	shows 'map(.name) == ["busy"]'
}
