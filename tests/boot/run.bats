#!/usr/bin/env bats
# `nacre run`, in real virtual machines.

load containers

setup_file()
{
	own_directory
	# What a directory holds, to see that it is never changed.
	export ROOT_BEFORE
	ROOT_BEFORE=$(cd "$ROOT" && find . -printf '%p %m %s %T@\n' | sort | sha256sum)
}

teardown_file() { remove_all; }

setup()
{
	# A name of our own tells our processes from others'.
	name=test-$BATS_TEST_NUMBER-$$
}

# A test that fails in its middle leaves no VM behind.
teardown()
{
	if [[ ${pid:-} ]] && jobs -pr | grep -qx "$pid"; then
		kill -KILL "$pid"
	fi
}

# No process of a VM is left, nor its run directory.
nothing_left()
{
	! pgrep -f "nacre-proxy.*/$1( |/|$)" && ! pgrep -f "qemu-system.*/$1/" && [[ ! -e $NACRE_RUNTIME_DIR/$1 ]]
}

@test "streams are apart, and the exit status is the command's" {
	for io in sessions streams calls; do
		run --separate-stderr bash -c "echo hello | nacre run --rm -i --io $io '$ROOT' -- sh -c 'read x; echo got \$x; echo err >&2; exit 7'"
		[[ $status -eq 7 && $output == "got hello" && $stderr == err ]]
	done
}

@test "every line arrives before the exit, again and again" {
	local times=${NACRE_TEST_FULL:+50}
	seq 10000 >"$BATS_TEST_TMPDIR/want"
	for ((i = 0; i < ${times:-3}; i++)); do
		local status=0
		nacre run --rm "$ROOT" -- sh -c 'seq 10000 & seq 10000 >&2; wait; exit 5' >"$BATS_TEST_TMPDIR/out" \
			2>"$BATS_TEST_TMPDIR/err" || status=$?
		[[ $status -eq 5 ]]
		cmp "$BATS_TEST_TMPDIR/want" "$BATS_TEST_TMPDIR/out"
		cmp "$BATS_TEST_TMPDIR/want" "$BATS_TEST_TMPDIR/err"
	done
}

@test "64 MiB go in and come back, both ways" {
	head -c $((64 << 20)) /dev/urandom >"$BATS_TEST_TMPDIR/blob"
	for io in sessions streams calls; do
		[[ $(nacre run --rm -i --io $io "$ROOT" -- cat <"$BATS_TEST_TMPDIR/blob" | sha256sum) == \
			$(sha256sum <"$BATS_TEST_TMPDIR/blob") ]]
	done
}

@test "a terminal: job control, interrupt, and a size that follows" {
	python3 "$BATS_TEST_DIRNAME/terminal.py" nacre run --rm -it "$ROOT"
}

@test "options are docker's" {
	run nacre run --rm --name "$name" -e x=1 --env y=2 -w /tmp -u 1000:1000 --memory 128m --cpus 2 "$ROOT" -- \
		sh -c 'echo $x $y $(pwd) $(id -u):$(id -g) $(nproc) $(hostname); touch /written && echo bad'
	[[ ${lines[0]} == "1 2 /tmp 1000:1000 2 $name" ]]
	run nacre run --rm "$ROOT" -- sh -c 'touch /written && echo written'
	[[ $output == written ]]
	run nacre run --rm --read-only "$ROOT" -- touch /written
	[[ $status -ne 0 && $output == *"Read-only file system"* ]]
}

@test "ROOTFS is never changed" {
	[[ $(cd "$ROOT" && find . -printf '%p %m %s %T@\n' | sort | sha256sum) == "$ROOT_BEFORE" ]]
}

@test "a signal reaches the container, and is the status where it ends it" {
	: >"$BATS_TEST_TMPDIR/out"
	env --default-signal=INT nacre run --rm --name "$name" "$ROOT" -- \
		sh -c 'trap "echo caught; exit 3" TERM; echo ready; while :; do sleep 1 & wait; done' \
		>"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local status=0
	pid=$!
	timeout 60 grep -q ready <(tail -n +1 --pid=$pid -f "$BATS_TEST_TMPDIR/out")
	kill -TERM $pid
	wait $pid || status=$?
	[[ $status -eq 3 ]]
	grep -q caught "$BATS_TEST_TMPDIR/out"
	nothing_left "$name"
}

@test "the third SIGTERM ends the machine without asking" {
	: >"$BATS_TEST_TMPDIR/out"
	nacre run --rm --name "$name" "$ROOT" -- sh -c 'trap "echo no" TERM; echo ready; while :; do sleep 1 & wait; done' \
		>"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local status=0 lines
	pid=$!
	# A signal is answered by a line: so many are there before the next is sent.
	for lines in 1 2 3; do
		timeout 60 head -n $lines <(tail -n +1 --pid=$pid -f "$BATS_TEST_TMPDIR/out") | grep -qx "ready\|no"
		kill -TERM $pid
	done
	wait $pid || status=$?
	[[ $status -eq 143 ]]
	nothing_left "$name"
}

@test "where nobody reads its output any more, it ends as if by SIGPIPE" {
	run -0 bash -c "nacre run --rm --name '$name' '$ROOT' -- yes | head -n 1; exit \$((PIPESTATUS[0] - 141))"
	[[ $output == y ]]
	nothing_left "$name"
}

@test "what can't be run: 127 and 126" {
	fails 127 'exec: "nosuch": executable file not found in $PATH' nacre run "$ROOT" -- nosuch
	fails 126 'exec: "/etc/passwd": permission denied' nacre run "$ROOT" -- /etc/passwd
}

@test "what can't be booted: 125, in one line, and nothing left" {
	fails 125 "/no/such" nacre run --name "$name" --kernel /no/such "$ROOT" -- true
	fails 125 "/no/such" nacre run --name "$name" --image /no/such "$ROOT" -- true
	fails 125 "/no/such" nacre run --name "$name" /no/such -- true
	mkdir "$BATS_TEST_TMPDIR/empty"
	fails 125 "nothing to run" nacre run --name "$name" "$BATS_TEST_TMPDIR/empty" -- true
	fails 125 "memory" nacre run --name "$name" --memory 8m "$ROOT" -- true
	fails 125 "name" nacre run --name ../x "$ROOT" -- true
	nothing_left "$name"
}

@test "bad usage is 125" {
	for bad in --nonsense "--memory=x" "--cpus=0" "--accel=maybe" "--io=pigeon" "--timeout=-1"; do
		run nacre run "$bad" "$ROOT" -- true
		[[ $status -eq 125 ]]
	done
	run nacre run
	[[ $status -eq 125 ]]
	run nacre nonsense
	[[ $status -eq 125 ]]
	nacre --help | grep -q run
	nacre run --help | grep -q -- --memory
}

@test "a VM that never becomes ready: --timeout" {
	# A kernel that boots an image without an agent waits for ever.
	mkdir -p "$BATS_TEST_TMPDIR/image"
	(cd "$BATS_TEST_TMPDIR/image" && cp "$ROOT/bin/busybox" busybox && printf '#!/busybox sh\n/busybox sleep 1000\n' >init &&
		chmod +x init && find . | cpio -o -H newc --quiet >../image.cpio)
	fails 125 "--timeout" nacre run --name "$name" --image "$BATS_TEST_TMPDIR/image.cpio" --timeout 5 "$ROOT" -- true
	nothing_left "$name"
}

# hidden FILE CONTENTS COMMAND...: the command finds other contents in the place of the file.
hidden()
{
	local file=$1

	printf '%s' "$2" >"$BATS_TEST_TMPDIR/instead"
	shift 2
	[[ ! -s $BATS_TEST_TMPDIR/instead ]] || chmod +x "$BATS_TEST_TMPDIR/instead"
	# shellcheck disable=SC2016
	unshare --mount --propagation private sh -c 'mount --bind "$0" "$1" && shift && exec "$@"' \
		"$BATS_TEST_TMPDIR/instead" "$file" "$@"
}

@test "QEMU missing, or dying" {
	local qemu
	qemu=$(command -v "qemu-system-$(uname -m)")
	fails 125 "qemu-system" hidden "$qemu" "" nacre run --name "$name" "$ROOT" -- true
	fails 125 "cannot do this" hidden "$qemu" $'#!/bin/sh\necho cannot do this >&2\nexit 1\n' \
		nacre run --name "$name" "$ROOT" -- true
	nothing_left "$name"
}

# A QEMU which is KVM's victim, as on machines where /dev/kvm opens and a guest then never runs; TCG works. Machines where
# KVM isn't chosen are told in /proc/cpuinfo that they could.
kvm_fails()
{
	local qemu broken=$1

	shift
	qemu=$(command -v "qemu-system-$(uname -m)")
	cp "$qemu" "$BATS_TEST_TMPDIR/qemu"
	echo "flags : vmx" >"$BATS_TEST_TMPDIR/cpuinfo"
	# shellcheck disable=SC2016
	hidden "$qemu" "#!/bin/sh
case \"\$*\" in *-accel\ kvm*) echo x >>$BATS_TEST_TMPDIR/tried; $broken ;; esac
export QEMU_MODULE_DIR=/usr/lib/$(uname -m)-linux-gnu/qemu
exec $BATS_TEST_TMPDIR/qemu -L /usr/share/qemu \"\$@\"
" sh -c 'mount --bind "$0" /proc/cpuinfo && exec "$@"' "$BATS_TEST_TMPDIR/cpuinfo" "$@"
}

@test "a guest that doesn't run under KVM is started again under TCG, with a line that says so" {
	[[ $(uname -m) == x86_64 ]] || skip "where the choice of KVM is /proc/cpuinfo's as well"
	run -3 --separate-stderr kvm_fails "exit 1" nacre run --rm --name "$name" "$ROOT" -- sh -c 'echo out; exit 3'
	[[ -e $BATS_TEST_TMPDIR/tried ]] || skip "no virtual CPU runs on /dev/kvm here: KVM isn't tried"
	[[ $output == out && $stderr == "nacre: the VM ended at once under KVM: starting it again under TCG" ]]
	run -3 --separate-stderr kvm_fails "exec sleep 1000" nacre run --rm --name "$name" "$ROOT" -- sh -c 'echo out; exit 3'
	[[ $output == out && $stderr == "nacre: no sign of life from the guest in 10 s under KVM: starting it again under TCG" ]]
	[[ $(wc -l <"$BATS_TEST_TMPDIR/tried") -eq 2 ]]
	# Who asks for KVM gets KVM, or an error.
	fails 125 "" kvm_fails "exit 1" nacre run --rm --accel kvm --name "$name" "$ROOT" -- true
	nothing_left "$name"
}

@test "a name in use is refused, and its owner lives on" {
	: >"$BATS_TEST_TMPDIR/out"
	nacre run --rm -i --name "$name" "$ROOT" -- sh -c 'echo ready; read x; exit 4' \
		< <(tail -f /dev/null) >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	pid=$!
	timeout 60 grep -q ready <(tail -n +1 --pid=$pid -f "$BATS_TEST_TMPDIR/out")
	fails 125 "in use" nacre run --name "$name" "$ROOT" -- true
	kill -0 $pid
	kill -KILL $pid
	wait $pid || true
}

# dies VICTIM: kills it in a running VM; everything else has to go as well.
dies()
{
	: >"$BATS_TEST_TMPDIR/out"
	nacre run --rm --name "$name" "$ROOT" -- sh -c 'echo ready; sleep 1000' >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local monitor proxy vmm status=0
	pid=$!
	timeout 60 grep -q ready <(tail -n +1 --pid=$pid -f "$BATS_TEST_TMPDIR/out")
	monitor=$(cat "$NACRE_RUNTIME_DIR/$name/monitor.pid")
	proxy=$(cat "$NACRE_RUNTIME_DIR/$name/proxy.pid")
	vmm=$(cat "$NACRE_RUNTIME_DIR/$name/vmm.pid")
	case $1 in
	nacre) kill -KILL $pid ;;
	monitor) kill -KILL "$monitor" ;;
	proxy) kill -KILL "$proxy" ;;
	vmm) kill -KILL "$vmm" ;;
	esac
	wait $pid || status=$?
	[[ $1 == nacre || $status -eq 125 ]]
	timeout 20 tail --pid="$monitor" -f /dev/null
	timeout 20 tail --pid="$proxy" -f /dev/null
	timeout 20 tail --pid="$vmm" -f /dev/null
}

@test "whoever dies, nothing is left running: nacre" {
	dies nacre
	nothing_left "$name"
}
@test "whoever dies, nothing is left running: the monitor" { dies monitor; }
@test "whoever dies, nothing is left running: nacre-proxy" {
	dies proxy
	nothing_left "$name"
}
@test "whoever dies, nothing is left running: QEMU" {
	dies vmm
	nothing_left "$name"
}
