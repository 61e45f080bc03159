#!/usr/bin/env bats
# Sessions of proxy.sock, in front of a real guest: the streams of execs, for clients that come and go.

export NACRE_TEST_PLACE=vm
load ../bats/helpers

setup_file()
{
	agent_start
	BATS_TEST_NUMBER=0 resident
	export id SECOND=$AGENT_DIR/second
	mkdir "$SECOND"
	# A VMM that closes both directions of a connection at once, as far as this proxy knows.
	guarded nacre-proxy --dir "$SECOND" --carrier "hybrid:$AGENT_DIR/vsock.sock" >"$SECOND/log" 2>&1 3>&- &
	agentctl --address "$SECOND" --timeout 60s wait-ready
}

teardown_file()
{
	kill "$(cat "$SECOND/proxy.pid")"
	agent_stop
}

setup() { exec_id=e$BATS_TEST_NUMBER; }

proxy() { agentctl --address "unix://$AGENT_ADDRESS/proxy.sock" "nacre.Proxy/$1" "${@:2}"; }

# of [FIELDS]: the exec of this test, in a request.
of() { echo "{\"container_id\": \"$id\", \"exec_id\": \"$exec_id\"${1:+, $1}}"; }

# begin [OPTION...] -- COMMAND...: an exec, and its session.
begin()
{
	local terminal=false

	[[ $1 != --tty ]] || terminal=true
	agentctl exec --id "$id" --exec-id "$exec_id" --detach --stdin "$@"
	proxy OpenSession "$(of "\"terminal\": $terminal")" >"$BATS_TEST_TMPDIR/opened"
}

# session COMMAND [ARGUMENT...]: session.py, for this test's exec.
session() { timeout 120 "$BATS_TEST_DIRNAME/session.py" "$AGENT_ADDRESS" "$1" "$id" "$exec_id" "${@:2}"; }

through() { AGENT_ADDRESS=$SECOND "$@"; }

# exits STATUS [CUT]: this is how it has ended; CUT is true where not all of its output had come by then.
exits()
{
	is "{\"status\":$1,\"output_cut\":${2:-false}}" eval 'proxy WaitExit "$(of)" | jq -c "del(.time)"' && return 0
	proxy ListSessions | jq -c --arg id "$exec_id" '.sessions[] | select(.exec_id == $id)'
	return 1
}

# listed FILTER: something about this test's session.
listed() { proxy ListSessions | jq -e --arg id "$exec_id" ".sessions[] | select(.exec_id == \$id) | $1" >/dev/null; }

# until_listed FILTER: waits for it. A minute at most.
until_listed()
{
	local end=$((SECONDS + 60))

	until listed "$1"; do
		((SECONDS < end))
	done
}

@test "the way is nacre.Guest; a process that isn't there has no session" {
	begin -- sh -c 'exit 0'
	[[ $(jq -r .way "$BATS_TEST_TMPDIR/opened") == GUEST ]]
	exec_id=nothing fails 1 NOT_FOUND proxy OpenSession "$(exec_id=nothing of)"
	fails 1 NOT_FOUND proxy WaitExit "$(exec_id=nothing of)"
}

@test "attached and left again and again: every line once, in its order, or counted as dropped" {
	local count=1000

	begin -- seq -w 1 100000000
	session cycles "$count" agentctl --address "unix://$AGENT_ADDRESS/proxy.sock" nacre.Proxy/Signal \
		"$(of '"signal": 9')" >"$BATS_TEST_TMPDIR/seen"
	sed 's/^/# /' "$BATS_TEST_TMPDIR/seen" >&3
	grep -qE "^$count attachments, [1-9][0-9]+ lines, " "$BATS_TEST_TMPDIR/seen"
	exits 137
}

@test "the exit is told after the last byte, and what was written is there for whoever comes later" {
	begin -- sh -c 'seq 5000; exit 7'
	exits 7
	[[ $(session attach stdout | sha256sum) == "$(seq 5000 | sha256sum)" ]]
	listed '.exit.status == 7 and (.streams[1] | .ended and .dropped == "0" and .bytes == "23893")'
	proxy CloseSession "$(of)"
	fails 1 NOT_FOUND proxy WaitExit "$(of)"
}

# The agent gives it half a second, and ends the output then.
@test "a grandchild that holds the output open doesn't hold up the exit" {
	begin -- sh -c 'sleep 1000 & exit 5'
	exits 5
}

@test "input, its end, and two readers" {
	head -c 1000000 /dev/urandom >"$BATS_TEST_TMPDIR/blob"
	begin -- cat
	session attach stdout >"$BATS_TEST_TMPDIR/first" &
	session attach stdout >"$BATS_TEST_TMPDIR/second" &
	# The end of one that keeps it open isn't the end.
	session attach stdin ring keep-open </dev/null
	# Both are there before the first byte.
	until_listed '.streams[1].attached == 2'
	session attach stdin <"$BATS_TEST_TMPDIR/blob"
	wait
	cmp "$BATS_TEST_TMPDIR/blob" "$BATS_TEST_TMPDIR/first"
	cmp "$BATS_TEST_TMPDIR/blob" "$BATS_TEST_TMPDIR/second"
	exits 0
}

@test "by a device that closes both directions at once nothing is cut" {
	head -c 300000 /dev/urandom >"$BATS_TEST_TMPDIR/blob"
	agentctl exec --id "$id" --exec-id "$exec_id" --detach --stdin -- sh -c 'cat; echo behind it >&2'
	through proxy OpenSession "$(of)"
	through session attach stdout >"$BATS_TEST_TMPDIR/out" &
	through until_listed '.streams[1].attached == 1'
	through session attach stdin <"$BATS_TEST_TMPDIR/blob"
	wait
	cmp "$BATS_TEST_TMPDIR/blob" "$BATS_TEST_TMPDIR/out"
	is "behind it" through session attach stderr
	through exits 0
}

@test "a descriptor that is passed gets the output" {
	begin -- sh -c 'echo by descriptor; read end'
	mkfifo "$BATS_TEST_TMPDIR/pipe"
	cat "$BATS_TEST_TMPDIR/pipe" >"$BATS_TEST_TMPDIR/out" &
	coproc RAW { agentctl --address "unix://$AGENT_ADDRESS/proxy.sock" raw 8>"$BATS_TEST_TMPDIR/pipe" 3>&-; }
	local pid=$RAW_PID answer
	printf '%s\n' "pass 8" "call 1 0 nacre.Proxy/Attach $(of '"stream": 1')" read >&"${RAW[1]}"
	read -r answer <&"${RAW[0]}"
	[[ $answer == "1 type 2 OK "* ]]
	timeout 60 grep -qx "by descriptor" <(tail -n +1 -f "$BATS_TEST_TMPDIR/out")
	printf '%s\n' "pass 8 8" "call 3 0 nacre.Proxy/Attach $(of '"stream": 1')" read >&"${RAW[1]}"
	read -r answer <&"${RAW[0]}"
	[[ $answer == "3 type 2 INVALID_ARGUMENT: "* ]]
	# It goes with the client that has passed it.
	exec {RAW[1]}>&-
	wait
	until_listed '.streams[1].attached == 0'
	session attach stdin <<<end
	exits 0
}

@test "a reader that takes nothing holds up its own stream, and nobody else" {
	begin -- sh -c 'seq 1000000; echo done >&2'
	coproc STALL { session stall 3>&-; }
	local pid=$STALL_PID line
	read -r line <&"${STALL[0]}"
	[[ $line == attached ]]
	until_listed '.streams[1] | .credit == "0" and .stalls != "0"'
	is "unhindered" execute -- echo unhindered
	exec {STALL[1]}>&-
	wait "$pid"
	exits 0
	is "done" session attach stderr
}

@test "nor does it hold up the exit, and what it hasn't taken is still there" {
	begin -- seq -w 1 1000000
	coproc STALL { session stall 3>&-; }
	local pid=$STALL_PID line size end
	read -r line <&"${STALL[0]}"
	until_listed '.streams[1] | .credit == "0" and .stalls != "0"'
	proxy Signal "$(of '"signal": 9')"
	exits 137 true
	exec {STALL[1]}>&-
	wait "$pid"
	# What lay in the reader's socket was his.
	session attach stdout >"$BATS_TEST_TMPDIR/out"
	size=$(stat -c %s "$BATS_TEST_TMPDIR/out")
	((size > 0))
	end=$(proxy ListSessions | jq -r --arg id "$exec_id" '.sessions[] | select(.exec_id == $id) | .streams[1].bytes')
	cmp "$BATS_TEST_TMPDIR/out" <(seq -w 1 1000000 | tail -c "+$((end - size + 1))" | head -c "$size")
}

@test "a worker that is killed: the session goes on with the next one, and nothing is lost" {
	local worker
	begin -- sh -c 'seq 5000; read x; seq 5001 6000; exit 9'
	until_listed '.streams[1].bytes == "23893"'
	worker=$(cat "$AGENT_DIR/worker.pid")
	kill -9 "$worker"
	timeout 20 tail --pid="$worker" -f /dev/null
	session attach stdin <<<on
	exits 9
	[[ $(session attach stdout | sha256sum) == "$(seq 6000 | sha256sum)" ]]
}

@test "a terminal: typing, its size, a signal" {
	begin --tty -- sh
	proxy Resize "$(of '"rows": 33, "columns": 77')"
	session attach stdin ring keep-open <<<'stty size; echo re""ady'
	timeout 60 grep -q '^ready' <(session attach stdout)
	grep -q '^33 77' <(session attach stdout)
	fails 1 "no stderr" session attach stderr
	proxy Signal "$(of '"signal": 9')"
	exits 137
}

@test "events tell what has become of it" {
	begin -- true
	exits 0
	proxy CloseSession "$(of)"
	proxy NextEvents '{}' | jq -e --arg id "$exec_id" '.events[0].type == "READY" and
		([.events[] | select(.exec_id == $id) | .type] == ["SESSION", "EXIT", "CLOSED"])'
}
