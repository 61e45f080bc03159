#!/usr/bin/env bats
# `nacre run -d`: the container runs on by itself, and what it leaves is kept until `nacre rm`.

load containers

setup_file() { own_directory; }
teardown_file() { remove_all; }

@test "prints the name, and returns once the container runs" {
	run -0 --separate-stderr nacre run -d --name first "$ROOT" -- sleep 1000
	[[ $output == first && -z $stderr ]]
	[[ $(state first) == running ]]
}

@test "a name is made up where none is given" {
	run -0 nacre run -d "$ROOT" -- sleep 1000
	[[ $output =~ ^[a-z]+-[a-z]+-[0-9a-f]{4}$ ]]
	[[ $(state "$output") == running ]]
	nacre rm -f "$output"
}

@test "nobody waits for its end: no file of ours is held open" {
	# The pipe ends although the container runs on.
	is free bash -c 'set -o pipefail; nacre run -d --name free "$ROOT" -- sleep 1000 3>&1 2>&1 | timeout 60 cat'
	nacre rm -f free
}

@test "what can't be run is told as without -d, and leaves nothing" {
	fails 127 "nosuch" nacre run -d --name bad "$ROOT" -- nosuch
	fails 126 "/etc/passwd" nacre run -d --name bad "$ROOT" -- /etc/passwd
	fails 125 "/no/such" nacre run -d --name bad --kernel /no/such "$ROOT" -- true
	fails 125 "in use" nacre run -d --name first "$ROOT" -- true
	fails 1 "no container 'bad'" nacre inspect bad
	[[ $(state first) == running ]]
}

@test "kept after the exit: status, output, console; no image, no sockets" {
	start kept -- sh -c 'echo said; exit 5'
	is 5 nacre wait kept
	[[ $(state kept) == exited ]]
	is said nacre logs kept
	is "config.json console.log keep lock output.log status.json vmm.log" \
		bash -c 'echo $(ls "$NACRE_RUNTIME_DIR/kept")'
	jq -e '.exitCode == 5 and .state == "exited" and .finished > .started' "$NACRE_RUNTIME_DIR/kept/status.json"
}

@test "the name of one that has ended is in use until it is removed" {
	fails 125 "nacre rm kept" nacre run --name kept "$ROOT" -- true
	nacre rm kept
	nacre run --name kept "$ROOT" -- true
	[[ $(state kept) == exited ]]
}

@test "--rm: nothing is kept" {
	start brief --rm -- sh -c 'read x; exit 3'
	[[ $(timeout 60 nacre wait brief || true) ]]
	fails 1 "no container 'brief'" nacre inspect brief
	[[ ! -e $NACRE_RUNTIME_DIR/brief ]]
}

@test "without -d the container ends with nacre: a signal that it doesn't survive is its status" {
	: >"$BATS_TEST_TMPDIR/out"
	nacre run --name front "$ROOT" -- sh -c 'echo up; sleep 1000' >"$BATS_TEST_TMPDIR/out" 3>&- &
	local pid=$! status=0
	timeout 60 grep -q up <(tail -n +1 --pid=$pid -f "$BATS_TEST_TMPDIR/out")
	kill -KILL $pid
	wait $pid || status=$?
	[[ $status -eq 137 ]]
	is 137 timeout 60 nacre wait front
}

@test "whoever ends first: QEMU dies, and that is told" {
	start lost -- sleep 1000
	# One who is waiting when it happens, and one who comes afterwards.
	nacre wait lost >"$BATS_TEST_TMPDIR/out" 3>&- &
	local waiter=$!
	kill -KILL "$(pid_of lost vmm)"
	gone $waiter
	is 125 cat "$BATS_TEST_TMPDIR/out"
	is 125 timeout 60 nacre wait lost
	nacre inspect lost | jq -e '.[0].error | test("VM ended by itself")'
}

# An image without an agent: the machine runs, and never becomes ready.
dumb_image()
{
	mkdir "$BATS_TEST_TMPDIR/image"
	cp "$ROOT/bin/busybox" "$BATS_TEST_TMPDIR/image/busybox"
	printf '#!/busybox sh\n/busybox sleep 1000\n' >"$BATS_TEST_TMPDIR/image/init"
	chmod +x "$BATS_TEST_TMPDIR/image/init"
	(cd "$BATS_TEST_TMPDIR/image" && find . | cpio -o -H newc --quiet >../image.cpio)
}

@test "interrupted or killed before the container runs: nothing is left" {
	dumb_image
	local signal pid monitor proxy status
	for signal in TERM KILL; do
		status=0
		: >"$BATS_TEST_TMPDIR/err"
		nacre run -d --verbose --name never --image "$BATS_TEST_TMPDIR/image.cpio" "$ROOT" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
		pid=$!
		timeout 60 grep -q "started" <(tail -n +1 --pid=$pid -f "$BATS_TEST_TMPDIR/err")
		monitor=$(pid_of never monitor)
		proxy=$(pid_of never proxy)
		[[ $(state never) == creating ]]
		kill -$signal $pid
		wait $pid || status=$?
		[[ $status -eq $((128 + $(kill -l $signal))) ]]
		gone "$monitor" "$proxy"
		[[ ! -e $NACRE_RUNTIME_DIR/never ]]
	done
}

@test "--detach-keys are checked first" {
	fails 125 "--detach-keys" nacre run -d --detach-keys nonsense "$ROOT" -- true
}
