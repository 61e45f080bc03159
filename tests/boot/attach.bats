#!/usr/bin/env bats
# `nacre attach`: one's streams, or terminal, at a container that runs.

load containers

setup_file() { own_directory; }
teardown_file() { remove_all; }

# Everything that a test has left in the background is its own.
teardown()
{
	local pid
	for pid in $(jobs -pr); do
		[[ $pid != "$BATS_ROOT_PID" ]] && kill "$pid" 2>/dev/null || true
	done
}

# in_background FILE COMMAND...: its pid is $pid.
in_background()
{
	local file=$1

	shift
	: >"$file"
	# Without a redirection of its own it would read nothing.
	"$@" <&0 >"$file" 2>"$file.err" 3>&- &
	pid=$!
}

# has FILE TEXT: waits until it is in there, as long as $pid lives.
has() { timeout 60 grep -q -m 1 -- "$2" <(tail -n +1 --pid="$pid" -f "$1"); }

@test "stdin goes in, output comes out, the exit status is the container's" {
	start shell -i -- sh
	in_background "$BATS_TEST_TMPDIR/out" nacre attach shell < <(echo 'echo hello; echo err >&2; exit 9')
	local status=0
	wait $pid || status=$?
	[[ $status -eq 9 ]]
	is hello cat "$BATS_TEST_TMPDIR/out"
	is err cat "$BATS_TEST_TMPDIR/out.err"
	is 9 nacre wait shell
}

@test "the end of stdin isn't that of a detached container's" {
	start cat -i -- sh -c 'echo up; cat'
	says cat up
	in_background "$BATS_TEST_TMPDIR/first" nacre attach cat < <(echo one)
	has "$BATS_TEST_TMPDIR/first" one
	in_background "$BATS_TEST_TMPDIR/second" nacre attach cat < <(echo two)
	has "$BATS_TEST_TMPDIR/second" two
	[[ $(state cat) == running ]]
	# Output is everybody's who is there.
	has "$BATS_TEST_TMPDIR/first" two
	nacre rm -f cat
	wait
}

@test "--no-stdin: only looks" {
	start looked -i -- sh -c 'echo up; cat'
	says looked up
	in_background "$BATS_TEST_TMPDIR/looker" nacre attach --no-stdin looked < <(echo unseen)
	local looker=$pid
	in_background "$BATS_TEST_TMPDIR/typist" nacre attach looked < <(echo seen)
	has "$BATS_TEST_TMPDIR/typist" seen
	nacre stop -t 0 looked
	wait $looker || true
	run ! grep -q unseen "$BATS_TEST_TMPDIR/looker"
}

@test "several readers get the same, also a slow one; the log has it, too" {
	start source -i -- sh -c 'read x; seq 300000'
	local readers=() i
	for i in 1 2 3; do
		in_background "$BATS_TEST_TMPDIR/$i" nacre attach --no-stdin source
		readers+=("$pid")
	done
	# This one takes nothing before it is told to.
	mkfifo "$BATS_TEST_TMPDIR/go"
	in_background "$BATS_TEST_TMPDIR/slow" bash -c 'nacre attach source < <(echo) | (read x <"$0"; cat)' "$BATS_TEST_TMPDIR/go"
	readers+=("$pid")
	timeout 60 grep -q -m 1 '^1000$' <(nacre logs -f source)
	# It holds the container up, which would have ended long ago.
	run -124 timeout 5 nacre wait source
	echo >"$BATS_TEST_TMPDIR/go"
	for pid in "${readers[@]}"; do
		wait "$pid"
	done
	seq 300000 >"$BATS_TEST_TMPDIR/want"
	cmp "$BATS_TEST_TMPDIR/want" "$BATS_TEST_TMPDIR/slow"
	nacre logs source | cmp - "$BATS_TEST_TMPDIR/want"
	# The others have come before the first line, or they got what followed.
	for i in 1 2 3; do
		cmp <(tail -n "$(wc -l <"$BATS_TEST_TMPDIR/$i")" "$BATS_TEST_TMPDIR/want") "$BATS_TEST_TMPDIR/$i"
	done
}

@test "signals are passed on; with --sig-proxy=false they end attach alone" {
	start traps -- sh -c 'trap "echo caught" TERM; while :; do echo tick; sleep 1 & wait; done'
	says traps tick
	in_background "$BATS_TEST_TMPDIR/out" nacre attach traps
	# Nothing says that it is attached: its part of the output does.
	has "$BATS_TEST_TMPDIR/out" tick
	nacre kill -s TERM traps
	has "$BATS_TEST_TMPDIR/out" caught
	: >"$BATS_TEST_TMPDIR/out"
	kill -TERM $pid
	has "$BATS_TEST_TMPDIR/out" caught
	kill -0 $pid
	local other status=0
	in_background "$BATS_TEST_TMPDIR/other" nacre attach --sig-proxy=false traps
	has "$BATS_TEST_TMPDIR/other" tick
	nacre kill -s TERM traps
	has "$BATS_TEST_TMPDIR/other" caught
	kill -TERM $pid
	wait $pid || status=$?
	[[ $status -eq 143 && $(state traps) == running ]]
	nacre rm -f traps
}

@test "a front end that is killed takes nothing along" {
	start stays -- sh -c 'echo up; sleep 1000'
	in_background "$BATS_TEST_TMPDIR/out" nacre attach stays
	kill -KILL $pid
	wait $pid || true
	[[ $(state stays) == running ]]
}

@test "who doesn't speak the protocol is shown out, and the container lives" {
	python3 "$BATS_TEST_DIRNAME/strangers.py" "$NACRE_RUNTIME_DIR/stays/attach.sock"
	[[ $(state stays) == running ]]
	is stays nacre kill -s WINCH stays
}

@test "the socket is its owner's alone" {
	is 600 stat -c %a "$NACRE_RUNTIME_DIR/stays/attach.sock"
	# The check of the peer, where modes don't help: everybody may enter. Only the current folder's own mode counts.
	cd "$NACRE_RUNTIME_DIR/stays"
	chmod o+x .
	chmod 666 attach.sock
	is refused setpriv --reuid 65534 --regid 65534 --clear-groups \
		/usr/bin/python3 - --hello attach.sock <"$BATS_TEST_DIRNAME/strangers.py"
	is welcome /usr/bin/python3 - --hello attach.sock <"$BATS_TEST_DIRNAME/strangers.py"
	chmod o-x .
}

@test "a terminal: leaving and coming back, with another size, and job control" {
	python3 "$BATS_TEST_DIRNAME/terminal.py" --attach tty "$ROOT"
	is 9 nacre wait tty
}

@test "a terminal needs one" {
	start wants -it -- sh
	fails 1 "not a TTY" nacre attach wants </dev/null
	[[ $(state wants) == running ]]
}

@test "usage" {
	nacre run --name ended "$ROOT" -- true
	fails 1 "isn't running" nacre attach ended
	fails 1 "no container 'nosuch'" nacre attach nosuch
	fails 125 "--detach-keys" nacre attach --detach-keys ctrl-1 stays
	fails 125 "--sig-proxy" nacre attach --sig-proxy=perhaps stays
	fails 125 "missing" nacre attach
}
