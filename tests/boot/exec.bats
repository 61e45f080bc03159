#!/usr/bin/env bats
# `nacre exec`, in one virtual machine.

load containers

setup_file()
{
	own_directory
	export NAME=exec-$$
	nacre run -d --rm --name "$NAME" -e COLOUR=blue -w /usr -u 1000 "$ROOT" -- \
		sh -c 'trap "exit 0" TERM; while :; do sleep 1000 & wait; done' 3>&-
}

# It ends with its first process.
teardown_file()
{
	nacre exec "$NAME" kill -TERM 1
	timeout 60 tail --pid="$(cat "$NACRE_RUNTIME_DIR/$NAME/monitor.pid")" -f /dev/null
}

@test "streams are apart, and the exit status is the command's" {
	for io in streams calls; do
		run --separate-stderr bash -c \
			"echo hello | nacre exec -i --io $io $NAME sh -c 'read x; echo got \$x; echo err >&2; exit 7'"
		[[ $status -eq 7 && $output == "got hello" && $stderr == err ]]
	done
	run nacre exec "$NAME" cat
	[[ $status -eq 0 && $output == "" ]]
	run nacre exec "$NAME" sh -c 'kill -9 $$'
	[[ $status -eq 137 ]]
}

@test "every byte goes in and comes back, both ways" {
	head -c $((16 << 20)) /dev/urandom >"$BATS_TEST_TMPDIR/blob"
	for io in streams calls; do
		[[ $(nacre exec -i --io $io "$NAME" cat <"$BATS_TEST_TMPDIR/blob" | sha256sum) == \
			$(sha256sum <"$BATS_TEST_TMPDIR/blob") ]]
	done
}

@test "environment, directory and user are the container's" {
	run nacre exec "$NAME" sh -c 'echo $COLOUR $(pwd) $(id -u):$(id -g) $HOME $HOSTNAME'
	[[ $output == "blue /usr 1000:1000 /home/user $NAME" ]]
}

@test "or what the options say" {
	x=5 run nacre exec -e COLOUR=red --env x -e nosuchvariable -w /tmp -u 0:7 "$NAME" \
		sh -c 'echo $COLOUR $x $(pwd) $(id -u):$(id -g) $HOME'
	[[ $output == "red 5 /tmp 0:7 /root" ]]
	run nacre exec -u nobody "$NAME" id -un
	[[ $output == nobody ]]
	# Names are those of the container as it is now.
	nacre exec -i -u root "$NAME" sh -c 'cat >>/etc/passwd' <<<"late:x:77:88::/late:/bin/sh"
	run nacre exec -u late "$NAME" sh -c 'echo $(id -u):$(id -g) $HOME'
	[[ $output == "77:88 /late" ]]
	# Root has what a container's root has, another user nothing.
	run nacre exec -u root "$NAME" grep CapEff /proc/self/status
	[[ $output == *00000000a80425fb ]]
	run nacre exec "$NAME" grep CapEff /proc/self/status
	[[ $output == *0000000000000000 ]]
}

@test "-d leaves a command alone" {
	nacre exec -d "$NAME" sh -c 'cat; head -c 1000000 /dev/zero; echo over >/tmp/detached; sleep 1000'
	# It neither waits for input nor for a reader of its output.
	timeout 60 nacre exec "$NAME" sh -c 'until [ -e /tmp/detached ]; do sleep 1; done; ps | grep -q "sleep 1000"'
	fails 125 "neither -i nor -t" nacre exec -dit "$NAME" sh
}

@test "signals go to the command" {
	: >"$BATS_TEST_TMPDIR/out"
	env --default-signal=INT nacre exec "$NAME" \
		sh -c 'trap "echo caught; exit 3" INT; echo ready; while :; do sleep 1 & wait; done' \
		>"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local pid=$! status=0
	timeout 60 grep -q ready <(tail -n +1 --pid=$pid -f "$BATS_TEST_TMPDIR/out")
	kill -INT $pid
	wait $pid || status=$?
	[[ $status -eq 3 ]]
	grep -q caught "$BATS_TEST_TMPDIR/out"
}

@test "whoever kills the front end hangs the command up" {
	: >"$BATS_TEST_TMPDIR/out"
	nacre exec "$NAME" sh -c 'trap "echo hung >/tmp/hung; exit" HUP; echo ready; while :; do sleep 1; done' \
		>"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local pid=$!
	timeout 60 grep -q ready <(tail -n +1 --pid=$pid -f "$BATS_TEST_TMPDIR/out")
	kill -KILL $pid
	timeout 60 nacre exec "$NAME" sh -c 'until [ -e /tmp/hung ]; do sleep 1; done'
}

@test "the end of the container is the command's as well" {
	local other=exec-other-$$ pid status=0
	nacre run -d --rm --name "$other" "$(dirname "$(command -v nacre)")/rootfs-busybox" -- sleep 1000 3>&-
	: >"$BATS_TEST_TMPDIR/out"
	nacre exec "$other" sh -c 'echo ready; exec sleep 1000' >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	pid=$!
	timeout 60 grep -q ready <(tail -n +1 --pid=$pid -f "$BATS_TEST_TMPDIR/out")
	nacre kill "$other"
	wait $pid || status=$?
	[[ $status -eq 137 ]]
}

@test "a terminal: job control, interrupt, and a size that follows" {
	python3 "$BATS_TEST_DIRNAME/terminal.py" nacre exec -it -u root "$NAME" sh
	fails 125 "not a TTY" nacre exec -it "$NAME" sh </dev/null
}

@test "a terminal is left by the detach keys, and hung up otherwise" {
	python3 "$BATS_TEST_DIRNAME/exec_terminal.py" "$NAME"
}

@test "what can't be run: 127 and 126" {
	fails 127 'exec: "nosuch": executable file not found in $PATH' nacre exec "$NAME" nosuch
	fails 126 'exec: "/etc/passwd": permission denied' nacre exec "$NAME" /etc/passwd
	fails 127 '/nosuch' nacre exec -w /nosuch "$NAME" true
}

@test "a container that isn't there, or doesn't run, is 1" {
	fails 1 "there is no container 'nosuch'" nacre exec nosuch true
	nacre run --name "over-$$" "$(dirname "$(command -v nacre)")/rootfs-busybox" -- true
	fails 1 "over-$$ is not running" nacre exec "over-$$" true
}

@test "bad usage is 125" {
	for bad in --nonsense "--io=pigeon" "--io=sessions" "--workdir=relative" "--env==x" "--detach-keys=ctrl-" "--user=:"; do
		run nacre exec "$bad" "$NAME" true
		[[ $status -eq 125 ]]
	done
	fails 125 "NAME is missing" nacre exec
	fails 125 "COMMAND is missing" nacre exec "$NAME"
	fails 125 "no user 'nosuch'" nacre exec -u nosuch "$NAME" true
	nacre exec --help | grep -q -- --workdir
}
