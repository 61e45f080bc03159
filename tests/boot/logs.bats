#!/usr/bin/env bats
# `nacre logs`: what a container has written.

load containers

setup_file()
{
	own_directory
	start short -- sh -c 'echo one; echo two; echo err >&2; printf three'
	nacre wait short
	start lives -- sh -c 'echo up; trap "echo bye; exit" TERM; while :; do sleep 1 & wait; done'
}
teardown_file() { remove_all; }

@test "stdout to stdout, stderr to stderr" {
	run -0 --separate-stderr nacre logs short
	[[ $output == $'one\ntwo\nthree' && $stderr == err ]]
}

@test "of one that runs, as well" {
	says lives up
	is up nacre logs lives
}

@test "ten thousand lines to each, whole and in order" {
	seq 10000 >"$BATS_TEST_TMPDIR/want"
	nacre run --name many "$ROOT" -- sh -c 'seq 10000 & seq 10000 >&2; wait' >"$BATS_TEST_TMPDIR/seen" 2>/dev/null
	nacre logs many >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"
	cmp "$BATS_TEST_TMPDIR/want" "$BATS_TEST_TMPDIR/seen"
	cmp "$BATS_TEST_TMPDIR/want" "$BATS_TEST_TMPDIR/out"
	cmp "$BATS_TEST_TMPDIR/want" "$BATS_TEST_TMPDIR/err"
}

@test "any bytes" {
	head -c 3000001 /dev/urandom >"$BATS_TEST_TMPDIR/blob"
	nacre run -i --name bytes "$ROOT" -- cat <"$BATS_TEST_TMPDIR/blob" >/dev/null
	nacre logs bytes | cmp - "$BATS_TEST_TMPDIR/blob"
}

@test "--tail: only the last lines" {
	nacre logs --tail 4 many >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"
	[[ $(cat "$BATS_TEST_TMPDIR/out" "$BATS_TEST_TMPDIR/err" | wc -l) -eq 4 ]]
	# Lines of one stream have an order.
	nacre run --name ordered "$ROOT" -- printf 'one\ntwo\nthree' >/dev/null
	is three nacre logs -n 1 ordered
	is $'two\nthree' nacre logs --tail=2 ordered
	is "" nacre logs --tail 0 ordered
	is 20000 bash -c 'nacre logs --tail all many 2>&1 | wc -l'
	is 20000 bash -c 'nacre logs --tail 1000000 many 2>&1 | wc -l'
	fails 125 "--tail" nacre logs --tail few short
}

@test "-t: each line with its time" {
	run -0 --separate-stderr nacre logs -t short
	[[ ${#lines[@]} -eq 3 ]]
	local line
	for line in "${lines[@]}"; do
		[[ $line =~ ^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-9:]{8}\.[0-9]{9}Z\ (one|two|three)$ ]]
	done
	[[ $stderr =~ ^20.*Z\ err$ ]]
}

@test "-f: until the container ends" {
	: >"$BATS_TEST_TMPDIR/out"
	nacre logs -f lives >"$BATS_TEST_TMPDIR/out" 3>&- &
	local follower=$!
	timeout 60 grep -q up <(tail -n +1 --pid=$follower -f "$BATS_TEST_TMPDIR/out")
	kill -0 $follower
	nacre stop lives
	gone $follower
	wait $follower
	is $'up\nbye' cat "$BATS_TEST_TMPDIR/out"
	is $'up\nbye' timeout 10 nacre logs -f lives
}

@test "-f --tail: from there on" {
	is bye timeout 10 nacre logs -f --tail 1 lives
}

@test "a container that writes for ever fills two files at most" {
	[[ ${NACRE_TEST_FULL:-} ]] || skip "writes 40 MiB: make test-full"
	nacre run --name endless "$ROOT" -- head -c $((40 << 20)) /dev/zero >/dev/null
	(($(du -sm "$NACRE_RUNTIME_DIR/endless" | cut -f1) < 36))
}

@test "usage" {
	fails 1 "no container 'nosuch'" nacre logs nosuch
	fails 125 "missing" nacre logs
	fails 125 "EXEC goes with --dir alone" nacre logs short lives
	grep -q -- --timestamps <(nacre logs --help)
}
