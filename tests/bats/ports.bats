#!/usr/bin/env bats
# The ports for whoever looks at the agent: its log, and shells. Also what else a configuration asks for: parameters of the
# kernel in a VM, a file elsewhere.

load helpers

setup_file()
{
	cat >"$BATS_FILE_TMPDIR/agent.toml" <<-'END'
		# As on the command line of the VM.
		log_level = "debug"
		log_vport = 1025
		debug_console = true
		debug_console_vport = 1026
		container_pipe_size = 1048576
		unknown = [1, 2]

		[hotplug_timeout]
		secs = 1
		nanos = 0
	END
	VM_APPEND="agent.log=debug agent.log_vport=1025 agent.debug_console agent.debug_console_vport=1026
		agent.container_pipe_size=1048576 agent.hotplug_timeout=1" \
		AGENT_CONFIG=$BATS_FILE_TMPDIR/agent.toml agent_start
}

teardown_file() { agent_stop; }

log=(timeout 60 "$BATS_TEST_DIRNAME/port.py" log 1025)
console=(timeout 60 "$BATS_TEST_DIRNAME/port.py" console 1026)

# failure: makes the agent log a line of its own, with this test's number in it.
failure()
{
	agentctl CreateContainer "{\"container_id\": \"$1\", \"OCI\": {}}" 2>/dev/null || true
}

# lines_until TEXT: what a reader of the log gets, to a line with this.
lines_until() { "${log[@]}" "$1" </dev/null; }

@test "the log is JSON objects, the first lines too" {
	failure marked
	lines_until "create container marked" >"$BATS_TEST_TMPDIR/log"
	is '["level","msg","name","pid","source","subsystem","ts","version"]' \
		jq -cs 'map(keys) | unique | .[]' "$BATS_TEST_TMPDIR/log"
	is '["kata-agent","agent","INFO","agent"]' \
		jq -c 'select(.msg | startswith("listening on")) | [.name, .source, .level, .subsystem]' "$BATS_TEST_TMPDIR/log"
	is '"string" "WARN"' jq -r 'select(.msg | startswith("create container marked")) | "\(.pid | type | tojson) \(.level | tojson)"' \
		"$BATS_TEST_TMPDIR/log"
	# Times are in order, and RFC 3339's.
	jq -es 'map(.ts) | . == sort and all(test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}[.][0-9]{9}Z$"))' "$BATS_TEST_TMPDIR/log"
}

@test "one reader at a time: a second one is turned away, and the next one goes on" {
	local reader
	: >"$BATS_TEST_TMPDIR/first"
	"${log[@]}" </dev/null >"$BATS_TEST_TMPDIR/first" 3>&- &
	reader=$!
	failure first
	timeout 60 grep -qm 1 "container first" <(tail -n +1 -f "$BATS_TEST_TMPDIR/first")
	is "" "${log[@]}" </dev/null
	kill "$reader"
	wait "$reader" || true
	failure second
	lines_until "container second" >"$BATS_TEST_TMPDIR/second"
	run grep -c "container first" "$BATS_TEST_TMPDIR/second"
	[[ $output == 0 ]]
}

@test "without a reader no call waits; lines that don't fit are lost, and counted" {
	local long i
	long=$(printf 'x%.0s' {1..200})
	for i in {1..400}; do
		echo "c CreateContainer {\"container_id\": \"$long$i\", \"OCI\": {}}"
	done | agentctl script >/dev/null || true
	is '{"status":"SERVING"}' agentctl Health.Check
	"${log[@]}" </dev/null >"$BATS_TEST_TMPDIR/log" 3>&- &
	local reader=$!
	# The count stands in front of the next line that goes through.
	lost=
	for i in {1..50}; do
		failure "after$i"
		lost=$(sed -n 's/.*"msg":"\([0-9]*\) log lines were lost".*/\1/p' "$BATS_TEST_TMPDIR/log")
		[[ ! $lost ]] || break
	done
	kill "$reader" || true
	echo "lost: $lost"
	((lost > 50 && lost < 400))
}

@test "a shell for each connection, with a terminal of its own" {
	# shellcheck disable=SC2016
	printf 'stty -echo; ls -l /proc/self/fd/0; echo answer$((6 * 7))\nexit\n' >"$BATS_TEST_TMPDIR/typed"
	"${console[@]}" <"$BATS_TEST_TMPDIR/typed" >"$BATS_TEST_TMPDIR/first"
	"${console[@]}" <"$BATS_TEST_TMPDIR/typed" >"$BATS_TEST_TMPDIR/second" &
	"${console[@]}" <"$BATS_TEST_TMPDIR/typed" >"$BATS_TEST_TMPDIR/third"
	wait $!
	for shell in first second third; do
		cat "$BATS_TEST_TMPDIR/$shell"
		grep -q "/dev/pts/" "$BATS_TEST_TMPDIR/$shell"
		grep -q "answer42" "$BATS_TEST_TMPDIR/$shell"
	done
}

@test "a connection that closes ends its shell" {
	mkfifo "$BATS_TEST_TMPDIR/typed"
	: >"$BATS_TEST_TMPDIR/output"
	"${console[@]}" <"$BATS_TEST_TMPDIR/typed" >"$BATS_TEST_TMPDIR/output" 3>&- &
	local running=$!
	exec 9>"$BATS_TEST_TMPDIR/typed"
	# shellcheck disable=SC2016
	printf 'echo $$ >/run/shell; trap "" HUP TERM; echo up$((6 * 7))\n' >&9
	timeout 60 grep -qm 1 up42 <(tail -n +1 -f "$BATS_TEST_TMPDIR/output")
	kill "$running"
	wait "$running" || true
	exec 9>&-
	# shellcheck disable=SC2016
	printf 'while kill -0 $(cat /run/shell) 2>/dev/null; do :; done; echo gone$((6 * 7))\nexit\n' >"$BATS_TEST_TMPDIR/look"
	"${console[@]}" <"$BATS_TEST_TMPDIR/look" >"$BATS_TEST_TMPDIR/seen"
	grep "gone42" "$BATS_TEST_TMPDIR/seen"
}

@test "a shell whose output nobody reads delays nothing" {
	mkfifo "$BATS_TEST_TMPDIR/unread"
	exec 9<>"$BATS_TEST_TMPDIR/unread"
	echo 'while :; do echo more and more of it; done' >"$BATS_TEST_TMPDIR/typed"
	"${console[@]}" <"$BATS_TEST_TMPDIR/typed" >&9 3>&- &
	local running=$!
	dd bs=4096 count=1 <&9 >/dev/null 2>&1
	is '{"status":"SERVING"}' agentctl Health.Check
	is alive container -- echo alive
	kill "$running"
	exec 9>&-
}

@test "container_pipe_size: a container writes more than 64 KiB before anybody reads" {
	request -- head -c 500000 /dev/zero >"$BATS_TEST_TMPDIR/request"
	run agentctl script <<-END
		create CreateContainer $(cat "$BATS_TEST_TMPDIR/request")
		start StartContainer {"container_id": "c$BATS_TEST_NUMBER"}
		ended WaitProcess {"container_id": "c$BATS_TEST_NUMBER"}
		remove RemoveContainer {"container_id": "c$BATS_TEST_NUMBER"}
	END
	echo "$output"
	[[ $output == *'ended {"status":0}'* ]]
}

@test "hotplug_timeout: a disk that doesn't come is given up after that" {
	fails 125 "/dev/vdz" edited '.storages += [{driver: "mmioblk", source: "/dev/vdz", fstype: "ext4", mount_point: "/run/none"}]' \
		-- true
}

@test "an abstract socket is an address as well; tcp is refused" {
	[[ $place == local ]] || skip "an agent's options are for a process here"
	local address=unix://@nacre-tests-$$ agent status=0
	guarded nacre-agent --listen "$address" >/dev/null 2>&1 3>&- &
	agent=$!
	agentctl --address "$address" --timeout 60s wait-ready || status=$?
	kill "$agent"
	wait "$agent" || status=$?
	[[ $status -eq 0 ]]
	fails 1 "tcp:// isn't served" guarded nacre-agent --listen tcp://127.0.0.1:1
}

# The last one: it takes the sandbox along.
@test "the agent dies and is started again: the reader of its log stays connected" {
	: >"$BATS_TEST_TMPDIR/log"
	"${log[@]}" </dev/null >"$BATS_TEST_TMPDIR/log" 3>&- &
	local reader=$! seen
	failure before
	timeout 60 grep -qm 1 "container before" <(tail -n +1 -f "$BATS_TEST_TMPDIR/log")
	seen=$(stat -c %s "$BATS_TEST_TMPDIR/log")
	# A shell's parent is what copies, and the parent of that is the agent.
	# shellcheck disable=SC2016
	printf 'kill -9 $(cut -d " " -f 4 /proc/$PPID/stat)\n' >"$BATS_TEST_TMPDIR/typed"
	"${console[@]}" <"$BATS_TEST_TMPDIR/typed" >/dev/null
	timeout 60 grep -qm 1 "listening on" <(tail -c "+$seen" -f "$BATS_TEST_TMPDIR/log")
	is '{"status":"SERVING"}' agentctl Health.Check
	kill "$reader"
}
