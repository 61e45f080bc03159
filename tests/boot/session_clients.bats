#!/usr/bin/env bats
# `nacre attach` and `nacre logs` with --dir: at containers that another runtime has made, by the sessions of their VM's proxy.

export NACRE_TEST_PLACE=vm
load ../bats/helpers

setup_file() { agent_start; }
teardown_file() { agent_stop; }
setup() { cd "$BATS_TEST_TMPDIR"; }

teardown()
{
	local pid
	for pid in $(jobs -pr); do
		[[ $pid != "$BATS_ROOT_PID" ]] && kill "$pid" 2>/dev/null || true
	done
}

# made ID FILTER -- COMMAND...: a container that runs on, its request changed by a jq filter.
made()
{
	local id=$1 filter=$2

	shift 3
	agentctl run --id "$id" --image /dev/vda --print -- "$@" | jq -c "$filter" >request
	agentctl --timeout 60s run --request request --keep --detach
}

# has FILE TEXT: waits until it is there.
has()
{
	local until=$((SECONDS + 60))

	until grep -q -- "$2" "$1" 2>/dev/null; do
		((SECONDS < until)) || { cat "$1"; return 1; }
		sleep 0.1
	done
}

@test "attach: input, both outputs, exit status" {
	made both . -- sh -c 'read x; echo got $x; echo err >&2; read y || echo end; exit 7'
	local status=0
	nacre attach --dir "$AGENT_DIR" both <<<word >out 2>err || status=$?
	[[ $status -eq 7 && $(<out) == $'got word\nend' && $(<err) == err ]]
	# It can be told again.
	status=0
	nacre attach --dir "$AGENT_DIR" --no-stdin both >again 2>&1 || status=$?
	[[ $status -eq 7 && $(sort again) == $'end\nerr\ngot word' ]]
}

@test "attach: signals go to the process" {
	made signals . -- sh -c 'trap "echo caught; exit 3" TERM; echo up; while :; do sleep 1 & wait; done'
	nacre attach --dir "$AGENT_DIR" --no-stdin signals >out 3>&- &
	local pid=$! status=0
	has out up
	kill -TERM $pid
	wait $pid || status=$?
	[[ $status -eq 3 ]]
	has out caught
}

@test "attach: left and rejoined, nothing is lost" {
	made rejoined . -- sh -c 'echo one; read x; echo two; sleep 1000'
	nacre attach --dir "$AGENT_DIR" --no-stdin rejoined >first 3>&- &
	local pid=$!
	has first one
	kill -KILL $pid
	wait $pid || true
	nacre attach --dir "$AGENT_DIR" rejoined <<<"" >second 3>&- &
	has second two
	is $'one\ntwo' cat second
}

@test "attach: a terminal: its size, left by keys, rejoined" {
	made terminal '.OCI.Process.Terminal = true' -- sh
	"$BATS_TEST_DIRNAME/session_terminal.py" "$AGENT_DIR" terminal
}

@test "attach: an exec, and who isn't there" {
	made busy . -- sleep 1000
	agentctl exec --id busy --exec-id other --detach -- sh -c 'read x; echo exec got $x; exit 5'
	local status=0
	nacre attach --dir "$AGENT_DIR" busy other <<<word >out || status=$?
	[[ $status -eq 5 ]]
	is "exec got word" cat out
	fails 1 "absent" nacre attach --dir "$AGENT_DIR" absent
	fails 1 "no-such-folder" nacre attach --dir no-such-folder busy
	fails 125 "--dir" nacre attach busy other
}

@test "logs: what is there, and then what comes" {
	made logged . -- sh -c 'echo one; echo err >&2; read x; echo two; printf three; exit 0'
	nacre logs -f --dir "$AGENT_DIR" logged >out 2>err 3>&- &
	local pid=$!
	has out one
	has err err
	is one bash -c 'nacre logs --dir "$AGENT_DIR" logged 2>/dev/null'
	nacre logs --write log --dir "$AGENT_DIR" logged 3>&- &
	local writer=$!
	has log 'stdout F one$'
	has log 'stderr F err$'
	nacre attach --dir "$AGENT_DIR" logged <<<"" >/dev/null
	wait $pid $writer
	is $'one\ntwo\nthree' cat out
	has log 'stdout F two$'
	has log 'stdout P three$'
	is 4 grep -c . log
	fails 125 "--tail" nacre logs --dir "$AGENT_DIR" -n 1 logged
}

@test "logs: whoever doesn't get on holds nobody up, and is told what is missing" {
	made fast . -- sh -c 'echo up; read x; head -c 3000000 /dev/zero; exit 4'
	nacre logs -f --dir "$AGENT_DIR" fast >out 2>err 3>&- &
	local pid=$! status=0
	has out up
	kill -STOP $pid
	nacre attach --dir "$AGENT_DIR" fast <<<"" >all || status=$?
	[[ $status -eq 4 && $(stat -c %s all) -eq 3000003 ]]
	kill -CONT $pid
	wait $pid
	local missed
	missed=$(sed -n 's/^nacre: \([0-9]*\) bytes of stdout were missed.*/\1/p' err)
	((missed > 0 && missed + $(stat -c %s out) == 3000003))
}

@test "metrics: the sessions' streams" {
	nacre metrics --dir "$AGENT_DIR" >metrics
	promlint <metrics
	grep -qx 'nacre_session_stream_bytes_total{container="logged",exec="",stream="stdout"} 13' metrics
	grep -q '^nacre_sessions [1-9]' metrics
}
