#!/usr/bin/env bats
# What clients of agent.sock, and the log, see of an agent that dies and is started again, by a vsock device and by a serial port.

export NACRE_TEST_PLACE=vm
load ../bats/helpers

start()
{
	export AGENT_DIR=$BATS_FILE_TMPDIR/$BATS_TEST_NUMBER VM_CARRIER=${1#vhost-user}
	mkdir "$AGENT_DIR"
	BATS_FILE_TMPDIR=$AGENT_DIR
	VM_PROXY=(--verbose --guest-log "file:$AGENT_DIR/guest.log")
	VM_APPEND="agent.debug_console agent.debug_console_vport=1026 agent.log_vport=1025 agent.hotplug_timeout=60" agent_start
}

teardown() { agent_stop; }

# shell SCRIPT: by the guest's debug console.
shell()
{
	printf 'stty -echo\n%s\nexit\n' "$1" >"$BATS_TEST_TMPDIR/typed"
	timeout 60 "$top/tests/bats/port.py" console 1026 <"$BATS_TEST_TMPDIR/typed"
}

client_start()
{
	coproc CLIENT { agentctl --timeout 120s script 2>&1 3>&-; }
	client=$CLIENT_PID
}

# ask LINE...: calls of one client, over one connection.
ask() { printf '%s\n' "$@" >&"${CLIENT[1]}"; }

# answered LINE: the next answer.
answered()
{
	local line
	read -r -t 60 line <&"${CLIENT[0]}"
	echo "$line (wanted: $1)"
	# shellcheck disable=SC2053
	[[ $line == $1 ]]
}

# both LINE LINE: the next two, in whichever order they come.
both()
{
	local one other
	read -r -t 60 one <&"${CLIENT[0]}"
	read -r -t 60 other <&"${CLIENT[0]}"
	echo "$one and $other (wanted: $1 and $2)"
	# shellcheck disable=SC2053
	[[ ($one == $1 && $other == $2) || ($one == $2 && $other == $1) ]]
}

agent_dies()
{
	local carrier=$1 root
	start "$carrier"
	resident
	# It waits for a disk that doesn't come.
	root=$(agentctl run --id late $(root_options) --print -- true |
		jq -c '.storages = [{driver: "mmioblk", source: "/dev/vdz", mount_point: "/run/z"}] + .storages')
	client_start
	ask "&wait WaitProcess {\"container_id\": \"$id\"}" "&create CreateContainer $root" "&oom GetOOMEvent {}" "first Health.Check {}"
	answered 'first {"status":"SERVING"}'
	# A shell's parent is what copies, and the parent of that is the agent.
	# shellcheck disable=SC2016
	shell 'kill -9 $(cut -d " " -f 4 /proc/$PPID/stat)' || true
	# What may have been done isn't done again, and what was only asked is.
	both 'create UNAVAILABLE: the connection to the guest'"'"'s agent was cut while CreateContainer was open;*' \
		'wait INVALID_ARGUMENT: *there is no container*'
	ask "second Health.Check {}"
	answered 'second {"status":"SERVING"}'
	# The same client has a sandbox and a container of the new agent.
	ask 'sandbox CreateSandbox {"sandbox_id": "sandbox"}'
	answered 'sandbox *'
	exec {CLIENT[1]}>&-
	kill "$client"
	wait "$client" || true
	# Its log comes again.
	timeout 60 grep -qm 2 '"msg":' <(tail -n +1 -f "$AGENT_DIR/guest.log")
}

@test "vhost-user: a client outlives the agent: calls are answered or issued again" {
	agent_dies vhost-user
}

@test "serial: a client outlives the agent: calls are answered or issued again" {
	agent_dies serial
}

# Behind a monitor whose connections end all the time, in the middle of an answer mostly.
@test "reads whose connection is cut lose nothing and double nothing" {
	local second=$BATS_TEST_TMPDIR/second relay proxy
	start vhost-user
	mkdir "$second"
	: >"$second/cuts"
	timeout 300 "$top/tests/boot/cutting_relay.py" "$second/relay.sock" "$AGENT_DIR/vsock.sock" 100000 >"$second/cuts" 2>&1 3>&- &
	relay=$!
	timeout 60 grep -qm 1 up <(tail -n +1 -f "$second/cuts")
	guarded nacre-proxy --dir "$second" --carrier "hybrid:$second/relay.sock" >"$second/log" 2>&1 3>&- &
	proxy=$!
	agentctl --address "$second" --timeout 60s wait-ready
	AGENT_ADDRESS=$second container -- seq 300000 >"$BATS_TEST_TMPDIR/lines"
	cmp <(seq 300000) "$BATS_TEST_TMPDIR/lines"
	# 1.9 MB of lines.
	tail -n 1 "$second/cuts"
	[[ $(tail -n 1 "$second/cuts") -ge 15 ]]
	[[ ! -s $second/log ]]
	kill $proxy $relay
	wait $proxy $relay || true
}
