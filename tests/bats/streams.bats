#!/usr/bin/env bats
# Standard streams, both ways: by calls, and by a connection each.

load helpers

setup_file()
{
	agent_start
	export LINES_WANTED=$BATS_FILE_TMPDIR/lines BLOB=$BATS_FILE_TMPDIR/blob
	seq 10000 >"$LINES_WANTED"
	head -c $((quick ? 4 << 20 : 64 << 20)) /dev/urandom >"$BLOB"
}
teardown_file() { agent_stop; }

# 10,000 lines to stdout and as many to stderr, each whole and in order, and then the exit.
lines()
{
	local status=0

	execute --io "$1" -- sh -c 'seq 10000 & seq 10000 >&2; wait; exit 3' >"$BATS_TEST_TMPDIR/out" \
		2>"$BATS_TEST_TMPDIR/err" || status=$?
	[[ $status -eq 3 ]]
	cmp "$LINES_WANTED" "$BATS_TEST_TMPDIR/out"
	cmp "$LINES_WANTED" "$BATS_TEST_TMPDIR/err"
}

many_lines()
{
	local times=$((quick ? 3 : 50))

	resident
	for ((i = 0; i < times; i++)); do
		lines "$1"
	done
	remove
	echo "# $times times 10,000 lines to each of stdout and stderr, by $1" >&3
}

blob()
{
	[[ $(container --io "$1" --stdin -- cat <"$BLOB" | sha256sum) == "$(sha256sum <"$BLOB")" ]]
	echo "# $(stat -c %s "$BLOB") bytes through stdin and back, by $1" >&3
}

@test "every line arrives, in order, before the exit: calls" { many_lines calls; }
@test "every line arrives, in order, before the exit: connections" { many_lines connections; }
@test "what goes in comes out of cat: calls" { blob calls; }
@test "what goes in comes out of cat: connections" { blob connections; }

@test "closing stdin doesn't cut stdout" {
	for way in calls connections; do
		is "got it" container --io $way --stdin -- sh -c 'read x; cat >/dev/null; echo got $x' <<<it
	done
}

@test "the tail of the output can be read after the exit" {
	run agentctl run --id tail $(root_options) --keep --detach -- sh -c 'echo tail'
	is '{"status":0}' agentctl WaitProcess '{"container_id": "tail"}'
	is "{\"data\":\"$(echo tail | base64)\"}" agentctl ReadStdout '{"container_id": "tail", "len": 100}'
	is '{"data":""}' agentctl ReadStdout '{"container_id": "tail", "len": 100}'
	agentctl RemoveContainer '{"container_id": "tail"}'
}

@test "a reader that stalls blocks the writer, loses nothing and delays nobody" {
	run agentctl run --id stall $(root_options) --keep --detach -- seq 100000
	is quick container -- echo quick
	run agentctl script <<-END
		one ReadStdout {"container_id": "stall", "len": 6}
		two ReadStdout {"container_id": "stall", "len": 6}
	END
	[[ ${lines[0]} == "one {\"data\":\"$(printf '1\n2\n3\n' | base64)\"}" ]]
	[[ ${lines[1]} == "two {\"data\":\"$(printf '4\n5\n6\n' | base64)\"}" ]]
	agentctl RemoveContainer '{"container_id": "stall"}'
}

@test "a read that is given up loses nothing" {
	resident
	execute --detach --stdin -- cat || true
	fails 1 "" agentctl --timeout 200ms ReadStdout "{\"container_id\": \"$id\", \"exec_id\": \"e1\", \"len\": 9}"
	agentctl WriteStdin "{\"container_id\": \"$id\", \"exec_id\": \"e1\", \"data\": \"$(echo kept | base64)\"}"
	is "{\"data\":\"$(echo kept | base64)\"}" agentctl ReadStdout "{\"container_id\": \"$id\", \"exec_id\": \"e1\", \"len\": 9}"
	remove
}

@test "a connection that is dropped in the middle of reads takes no byte along" {
	resident
	execute --detach --stdin -- cat
	local name="\"container_id\": \"$id\", \"exec_id\": \"e1\""
	for i in {1..20}; do
		# Three reads are open when it goes; what comes then is for the next one.
		agentctl script >/dev/null <<-END || true
			&one ReadStdout {$name, "len": 100}
			&two ReadStdout {$name, "len": 1}
			&three ReadStdout {$name, "len": 100}
			check Health.Check {}
			close
		END
		agentctl WriteStdin "{$name, \"data\": \"$(echo "line $i" | base64)\"}" >/dev/null
		agentctl ReadStdout "{$name, \"len\": 100}" | jq -r .data | base64 -d
	done >"$BATS_TEST_TMPDIR/read"
	cmp "$BATS_TEST_TMPDIR/read" <(seq -f 'line %g' 20)
	remove
}

# held_up PID: whether it sleeps, and the agent, which has answered two calls meanwhile, has taken nothing of it.
held_up()
{
	local before

	before=$(progress "$1")
	agentctl Health.Check >/dev/null
	agentctl Health.Check >/dev/null
	[[ $before == "State: S "* && $(progress "$1") == "$before" ]]
}

progress() { echo $(sed -n '/^State/p' "/proc/$1/status") $(sed -n '/^wchar/p' "/proc/$1/io"); }

@test "an exit is told once its connection has taken the output, and not before" {
	[[ $place == local ]] || skip "looks at the process from here"
	local pid= reader=$BATS_TEST_TMPDIR/reader
	resident
	mkfifo "$reader"
	exec 7<>"$reader" # a reader that takes nothing
	execute --io connections -- yes "$reader" >"$reader" 3>&- 7>&- &
	local writer=$!
	until [[ $pid ]]; do
		pid=$(grep -lxz "$reader" /proc/[0-9]*/cmdline 2>/dev/null | xargs -r grep -lxz yes 2>/dev/null | cut -d/ -f3) || true
	done
	until held_up "$pid"; do :; done
	agentctl SignalProcess "{\"container_id\": \"$id\", \"exec_id\": \"e1\", \"signal\": 9}" >/dev/null
	fails 1 "" agentctl --timeout 2s WaitProcess "{\"container_id\": \"$id\", \"exec_id\": \"e1\"}"
	[[ ${stderr^^} == *DEADLINE* ]]
	cat <&7 >/dev/null 3>&- 7>&- &
	local taker=$! status=0
	wait "$writer" || status=$?
	kill "$taker"
	exec 7>&-
	[[ $status -eq 137 ]]
	remove
}

@test "a stream that a connection carries isn't read by calls" {
	resident
	execute --io connections -- sh -c 'echo up; sleep 1000' >"$BATS_TEST_TMPDIR/out" 3>&- &
	timeout 20 grep -qm 1 up <(tail -n +1 -F "$BATS_TEST_TMPDIR/out" 2>/dev/null)
	fails 1 "INTERNAL: cannot get stream reader" agentctl ReadStdout "{\"container_id\": \"$id\", \"exec_id\": \"e1\", \"len\": 1}"
	remove
	wait $! || true
}

@test "a stream of nobody is an error" {
	fails 1 INVALID_ARGUMENT agentctl ReadStdout '{"container_id": "nobody", "len": 1}'
	resident
	fails 1 NOT_FOUND agentctl WriteStdin "{\"container_id\": \"$id\", \"exec_id\": \"none\", \"data\": \"eA==\"}"
	remove
}
