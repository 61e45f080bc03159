#!/usr/bin/env bats
# `nacre run --io sessions`: the streams outlive the proxy's worker.

load containers

setup_file() { own_directory; }

teardown_file() { remove_all; }

setup()
{
	name=session-$BATS_TEST_NUMBER-$$
}

# A test that fails in its middle leaves no VM behind.
teardown()
{
	! nacre ps -aq | grep -qx "$name" || nacre rm -f "$name"
}

# kill_worker: and waits until the next one is there.
kill_worker()
{
	local file=$NACRE_RUNTIME_DIR/$name/worker.pid former tries

	former=$(cat "$file")
	kill -KILL "$former"
	for ((tries = 0; tries < 600; tries++)); do
		[[ $(cat "$file") != "$former" && $(cat "$file") ]] && return 0
		read -rt 0.1 <> <(:) || true
	done
	echo "no worker follows $former"
	return 1
}

# lines COUNT: what the containers here write.
lines() { seq "$1" | sed 's/$/ of the lines that are counted/'; }

@test "output is exact, whenever the worker dies" {
	local out got=$BATS_TEST_TMPDIR/got i

	exec {out}< <(
		timeout -k 5 120 nacre run --rm --io sessions --name "$name" "$ROOT" -- sh -c \
			'seq 200000 | sed "s/$/ of the lines that are counted/"; exit 7' 3>&- ||
			echo "status $?"
	)
	# What is read here is at most half of what is written, and more than is kept on the way.
	for ((i = 0; i < 5; i++)); do
		head -c 700000 <&"$out" >>"$got"
		kill_worker
	done
	cat <&"$out" >>"$got"
	cmp "$got" <(
		lines 200000
		echo "status 7"
	)
}

@test "so is input, and its end comes once" {
	local in out got=$BATS_TEST_TMPDIR/got pid i

	: >"$got"
	mkfifo "$BATS_TEST_TMPDIR/in"
	timeout -k 5 120 nacre run --rm -i --io sessions --name "$name" "$ROOT" -- sh -c 'cat; echo "and the end"' \
		<"$BATS_TEST_TMPDIR/in" >"$got" 3>&- &
	pid=$!
	exec {in}>"$BATS_TEST_TMPDIR/in"
	# A line that has come back, so that the worker is there to be killed; then the rest, in its back.
	lines 40000 | head -n 1 >&"$in"
	timeout 60 grep -qm1 counted <(tail -n +1 --pid=$pid -f "$got")
	lines 40000 | tail -n +2 >&"$in" &
	for ((i = 0; i < 3; i++)); do kill_worker; done
	wait $!
	exec {in}>&-
	wait "$pid"
	cmp "$got" <(
		lines 40000
		echo "and the end"
	)
}

@test "a container that is idle doesn't notice, and its signals and its exit are as ever" {
	start "$name" --io sessions -- sh -c 'trap "echo caught; exit 3" TERM; echo ready; while :; do sleep 1 & wait; done'
	says "$name" ready
	kill_worker
	nacre stop "$name"
	is 3 nacre wait "$name"
	says "$name" caught
}

@test "the exit is known, whose worker died while it was waited for" {
	local pid
	: >"$BATS_TEST_TMPDIR/out"
	timeout -k 5 120 nacre run --rm --io sessions --name "$name" "$ROOT" -- sh -c 'echo ready; exec >&- 2>&-; sleep 6; exit 9' \
		>"$BATS_TEST_TMPDIR/out" 3>&- &
	pid=$!
	timeout 60 grep -qm1 ready <(tail -n +1 --pid=$pid -f "$BATS_TEST_TMPDIR/out")
	kill_worker
	local status=0
	wait "$pid" || status=$?
	[[ $status -eq 9 ]]
}
