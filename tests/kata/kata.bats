#!/usr/bin/env bats
# A stock Kata runtime drives the agent: KATA_SHIM is its containerd-shim-kata-v2 (the runtime in Go), and the containerd and
# ctr of PATH are above it. ctr asks for containers and pods; the runtime makes virtual machines of our kernel and image, and
# does with our agent whatever it does. There is neither KVM nor a vsock device in it: the hypervisor is the runtime's Cloud
# Hypervisor, whose program is one of ours here (see cloud-hypervisor), and it records the calls.

load ../bats/helpers

image=nacre/busybox:1

setup_file()
{
	[[ ${KATA_SHIM:-} ]] && command -v containerd >/dev/null && command -v ctr >/dev/null || return 0
	export KATA_DIR=$BATS_FILE_TMPDIR NACRE_KATA_LOGS=$BATS_FILE_TMPDIR/logs
	mkdir -p "$NACRE_KATA_LOGS"
	mkfifo "$KATA_DIR/silence"
	sed "s|@TOP@|$top|" "$BATS_TEST_DIRNAME/configuration.toml.in" >"$KATA_DIR/configuration.toml"
	cat >"$KATA_DIR/containerd.toml" <<-END_OF_FILE
		version = 2
		root = "$KATA_DIR/containerd"
		disabled_plugins = ["io.containerd.grpc.v1.cri"]
	END_OF_FILE
	: >"$KATA_DIR/containerd.log"
	# With mounts, networks and processes of its own: nothing of all that outlives containerd.
	# shellcheck disable=SC2016
	PATH=$(dirname "$KATA_SHIM"):$PATH guarded unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private \
		sh -c 'mount -t tmpfs tmpfs /run && mount --make-rshared / && ip link set lo up && mkdir /run/netns
			"$0" /run/log >"$1/runtime.log" & exec containerd --config "$1/containerd.toml"' \
		"$BATS_TEST_DIRNAME/syslog.py" "$KATA_DIR" >"$KATA_DIR/containerd.log" 2>&1 3>&- &
	echo $! >"$KATA_DIR/unshare.pid"
	timeout 60 grep -qm 1 "successfully booted" <(tail -n +1 -f "$KATA_DIR/containerd.log")
	pgrep -P "$(cat "$KATA_DIR/unshare.pid")" >"$KATA_DIR/containerd.pid"
	"$BATS_TEST_DIRNAME/make_image.py" "$build/rootfs-busybox" "$KATA_DIR/image"
	host ctr image import --base-name "${image%:*}" "$KATA_DIR/image.tar"
	protoc "-I$BATS_TEST_DIRNAME" "--descriptor_set_out=$KATA_DIR/task.desc" task.proto
}

teardown_file()
{
	[[ -e ${KATA_DIR:-}/unshare.pid ]] || return 0
	pkill -9 -P "$(cat "$KATA_DIR/unshare.pid")"
	timeout 20 tail --pid="$(cat "$KATA_DIR/unshare.pid")" -f /dev/null
	# Of ctr's containers, where there is nobody else's.
	rmdir /sys/fs/cgroup/*/default 2>/dev/null || true
}

# A name of its own for each sandbox: its shim still tidies up when ctr has come back.
setup()
{
	name=w$BATS_TEST_NUMBER
	[[ ${KATA_SHIM:-} ]] || skip "KATA_SHIM doesn't name a containerd-shim-kata-v2"
	[[ ${KATA_DIR:-} ]] || skip "there is no containerd and ctr in PATH"
}

# What a test that failed has left isn't the next one's concern.
teardown()
{
	local name

	[[ ! ${BATS_TEST_COMPLETED:-} && ${KATA_DIR:-} ]] || return 0
	for name in $(host ctr container ls -q); do
		host timeout -k 5 20 ctr task rm --force "$name" || true
		host ctr container rm "$name" || true
	done
}

# host COMMAND...: where containerd is.
host() { nsenter --mount --net --pid --target "$(cat "$KATA_DIR/containerd.pid")" -- "$@"; }

# kata [OPTION...] -- NAME COMMAND...: a container of the image, in the foreground.
kata()
{
	local options=()

	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	host timeout -k 5 100 ctr run --rm --runtime io.containerd.kata.v2 --runtime-config-path "$KATA_DIR/configuration.toml" \
		"${options[@]}" "$image" "${@:2}" <>"$KATA_DIR/silence"
}

# execute NAME [OPTION...] -- COMMAND...: another process in it. Its input doesn't end: ctr tells of the end before it has closed
# its side, and this shim waits for that, with everything else locked.
execute()
{
	local name=$1 options=()

	shift
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	shift
	executed=$((${executed:-0} + 1))
	host timeout -k 5 40 ctr task exec --exec-id "e$BATS_TEST_NUMBER.$executed" "${options[@]}" "$name" "$@" <>"$KATA_DIR/silence"
}

# The container of a test that stays: says "up", and exits with 3 when it is told to.
stay='trap "exit 3" TERM; echo up; while :; do sleep 1000 & wait $!; done'

# began [OPTION...] NAME: such a container; its status is what `wait` says.
began()
{
	: >"$BATS_TEST_TMPDIR/${*: -1}"
	kata "${@:1:$#-1}" -- "${*: -1}" sh -c "$stay" >"$BATS_TEST_TMPDIR/${*: -1}" 2>&1 3>&- &
	began=$!
	timeout 60 grep -qm 1 up <(tail -n +1 -f "$BATS_TEST_TMPDIR/${*: -1}") || { cat "$BATS_TEST_TMPDIR/${*: -1}"; return 1; }
}

# calls SANDBOX FILTER: jq over each call that its runtime has made.
calls() { jq -rc "$2" "$NACRE_KATA_LOGS/$1.calls"; }

# answered SANDBOX METHOD...: each of these was called until its end, and all calls of it were answered with OK.
answered()
{
	local sandbox=$1 method

	shift
	# ctr comes back before the shim has done with it.
	timeout 60 grep -qm 1 '"method":"DestroySandbox"' <(tail -n +1 -f "$NACRE_KATA_LOGS/$sandbox.calls")
	for method; do
		is OK bash -c 'jq -r "select(.method == \$name) | .status" --arg name "$0" "$1" | sort -u' "$method" "$NACRE_KATA_LOGS/$sandbox.calls"
	done
}

# manage SANDBOX PATH [CURL OPTION...]: asks the runtime itself.
manage() { host curl -sf --unix-socket "/run/vc/sbs/$1/shim-monitor.sock" "${@:3}" "http://shim$2"; }

@test "a container: what it prints, its exit status, the guest's kernel" {
	run --separate-stderr kata -- once sh -c 'echo out; uname -r; echo err >&2; exit 7'
	echo "$status $output $stderr"
	[[ $status -eq 7 && $output == $'out\n'*-nacre-full && $stderr == err ]]
	answered once Health/Check GetGuestDetails CreateSandbox CreateContainer StartContainer ReadStdout ReadStderr \
		SignalProcess RemoveContainer DestroySandbox
}

@test "more processes in it: exit statuses, input, a user, signals, much output" {
	began $name
	is inside execute $name -- echo inside
	fails 5 "" execute $name -- sh -c 'exit 5'
	is 1000:1000 execute $name --user 1000:1000 -- sh -c 'echo "$(id -u):$(id -g)"'
	is "$(head -c 3000000 /dev/zero | md5sum)" much
	fails 137 "" execute $name -- sh -c 'kill -9 $$'
	fails 1 'exec: "/nowhere": no such file or directory' execute $name -- /nowhere
	is "up" cat "$BATS_TEST_TMPDIR/$name"
	ended TERM 3 $name
	answered $name ReadStdout ReadStderr SignalProcess DestroySandbox
}

much() { execute $name -- head -c 3000000 /dev/zero | md5sum; }

# ended SIGNAL STATUS NAME [SANDBOX]: what `began` started ends with this status after that signal. The shim tells of an exit
# before it is done with the container; where ctr is quicker, it fails to delete it, and that has to be done again.
ended()
{
	local status=0 output=$BATS_TEST_TMPDIR/$3 calls=$NACRE_KATA_LOGS/${4:-$3}.calls

	host ctr task kill --signal "$1" "$3"
	wait "$began" || status=$?
	if grep -q "failed to delete task: Container not ready or stopped" "$output"; then
		timeout 60 grep -qm 1 "\"RemoveContainer\",\"request\":{\"container_id\":\"$3\"" <(tail -n +1 -f "$calls")
		status=$(jq -r 'select(.method == "WaitProcess" and .request.exec_id == $id and .status == "OK") | .answer.status' \
			--arg id "$3" "$calls")
		host ctr task rm "$3" || true # its status is the container's
		host ctr container rm "$3"
	fi
	[[ $status -eq $2 ]] || { echo "$3 ended with $status"; return 1; }
}

@test "terminals: sizes, interrupts and job control" {
	began $name
	python3 "$top/tests/boot/terminal.py" nsenter --mount --net --pid --target "$(cat "$KATA_DIR/containerd.pid")" -- \
		ctr task exec --tty --exec-id tty $name sh
	ended KILL 137 $name
	answered $name TtyWinResize
}

@test "paused, resumed, measured" {
	began $name
	is "1" execute $name -- sh -c 'echo 1 >/tmp/count; cat /tmp/count'
	host ctr task pause $name
	is PAUSED state $name
	host ctr task resume $name
	is RUNNING state $name
	host ctr task metrics --format json $name >"$BATS_TEST_TMPDIR/metrics"
	cat "$BATS_TEST_TMPDIR/metrics"
	jq -e '.memory.usage.usage > 100000 and .cpu.usage.total > 0 and .pids.current >= 1' "$BATS_TEST_TMPDIR/metrics"
	ended KILL 137 $name
	answered $name PauseContainer ResumeContainer StatsContainer
}

state() { host ctr task ls | awk -v name="$1" '$1 == name {print $3}'; }

# shim NAME METHOD JSON: calls the shim itself (task.proto), with the container's name filled in.
shim()
{
	host agentctl --descriptors "$KATA_DIR/task.desc" --address \
		"$(host cat "/run/containerd/io.containerd.runtime.v2.task/default/$1/address")" "containerd.task.v2.Task/$2" \
		"$(jq -c --arg name "$1" '.id = $name' <<<"$3")"
}

# any TYPE JSON: a part of the OCI spec, as containerd sends it.
any() { jq -nc --arg type "$1" --arg value "$2" '{type_url: "types.containerd.io/opencontainers/runtime-spec/1/\($type)", value: $value | @base64}'; }

# limit NAME JSON: other limits for a container.
limit() { shim "$1" Update "{\"resources\": $(any LinuxResources "$2")}"; }

@test "input, to its end" {
	local pipe=$BATS_TEST_TMPDIR/pipe writer reader

	began $name
	mkfifo "$pipe".{in,out}
	shim $name Exec "{\"exec_id\": \"sum\", \"stdin\": \"$pipe.in\", \"stdout\": \"$pipe.out\", \"spec\": $(any Process '{
		"args": ["md5sum"], "cwd": "/", "env": ["PATH=/usr/bin:/bin"], "user": {"uid": 0, "gid": 0}}')}"
	head -c 3000000 /dev/zero >"$pipe.in" 3>&- &
	writer=$!
	cat "$pipe.out" >"$BATS_TEST_TMPDIR/sum" 3>&- &
	reader=$!
	shim $name Start '{"exec_id": "sum"}'
	wait "$writer"
	shim $name CloseIO '{"exec_id": "sum", "stdin": true}'
	is '{"exit_status":0}' shim $name Wait '{"exec_id": "sum"}'
	wait "$reader"
	is "$(head -c 3000000 /dev/zero | md5sum)" cat "$BATS_TEST_TMPDIR/sum"
	ended KILL 137 $name
	answered $name WriteStdin CloseStdin
}

@test "other limits while it runs, with a processor plugged in for them" {
	local look='cd /sys/fs/cgroup; cat cpu.max memory.max; nproc'

	began --memory-limit 100000000 --mount type=cgroup,src=cgroup,dst=/sys/fs/cgroup,options=ro $name
	is $'max 100000\n99999744\n1' execute $name -- sh -c "$look"
	limit $name '{"cpu": {"quota": 100000, "period": 100000}, "memory": {"limit": 300000000}}'
	is $'100000 100000\n299999232\n2' execute $name -- sh -c "$look"
	ended KILL 137 $name
	answered $name UpdateContainer OnlineCPUMem
}

# pod NAME KIND [OPTION...]: options for ctr that make a container the pod's sandbox or one of its containers.
in_pod() { echo --annotation "io.kubernetes.cri.container-type=$2" --annotation "io.kubernetes.cri.sandbox-id=$1"; }

# network NAME: a network namespace with a cable from here (10.7.0.1) to its eth0 (10.7.0.2), as CNI makes them.
network()
{
	host sh -c "ip netns add $1 && ip link add $1 type veth peer name eth0 netns $1 && ip addr add 10.7.0.1/24 dev $1 &&
		ip link set $1 up && ip -n $1 addr add 10.7.0.2/24 dev eth0 && ip -n $1 link set eth0 mtu 1400 up &&
		ip -n $1 link set lo up && ip -n $1 route add default via 10.7.0.1 &&
		ip -n $1 neigh add 10.7.0.9 lladdr 02:00:00:00:00:09 dev eth0 nud permanent"
}

@test "a pod: two containers with one network, one memory and one end" {
	# shellcheck disable=SC2046
	{
		network pod
		mkdir -p "$KATA_DIR"/kubernetes.io~{empty-dir,configmap}/volume
		echo first >"$KATA_DIR/kubernetes.io~configmap/volume/key"
		volume=(--mount "type=bind,src=$KATA_DIR/kubernetes.io~empty-dir/volume,dst=/volume,options=rbind:rw"
			--mount "type=bind,src=$KATA_DIR/kubernetes.io~configmap/volume,dst=/config,options=rbind:ro")
		began $(in_pod pod sandbox) --with-ns network:/run/netns/pod pod
		sandbox=$began
		began $(in_pod pod container) "${volume[@]}" --with-ns network:/run/netns/pod one
		one=$began
		began $(in_pod pod container) "${volume[@]}" --with-ns network:/run/netns/pod two
	}
	is "inet 10.7.0.2/24 mtu 1400" execute one -- sh -c \
		'echo $(ip addr show eth0 | grep -o "inet [0-9./]*") $(ip link show eth0 | grep -o "mtu [0-9]*")'
	is "default via 10.7.0.1 dev eth0" execute two -- sh -c 'ip route | grep default | sed "s/ *$//"'
	is "10.7.0.9 dev eth0 lladdr 02:00:00:00:00:09 PERMANENT" execute two -- sh -c 'echo $(ip neigh show 10.7.0.9 | sed "s/ used [^ ]*//; s/ probes [^ ]*//")'
	execute two -- ping -c 1 10.7.0.1
	execute two -- sh -c 'echo shared >/volume/file; echo memory >/dev/shm/file; echo served >/index.html; httpd -h /'
	is $'shared\nmemory' execute one -- cat /volume/file /dev/shm/file
	is served host curl -s http://10.7.0.2/
	is first execute one -- cat /config/key
	echo second >"$KATA_DIR/kubernetes.io~configmap/volume/key"
	execute one -- timeout 30 sh -c 'until grep -q second /config/key; do sleep 0.5; done'
	is 1 execute one -- sh -c 'ps | grep -c " sleep 1000$"'
	ended TERM 3 two pod
	is "shared" execute one -- cat /volume/file
	began=$one ended KILL 137 one pod
	began=$sandbox ended TERM 3 pod
	answered pod UpdateInterface UpdateRoutes AddARPNeighbors CreateContainer RemoveContainer DestroySandbox
}

@test "a disk that is plugged in for a container" {
	truncate -s 16M "$KATA_DIR/disk"
	mke2fs -qt ext4 "$KATA_DIR/disk"
	loop=$(losetup --find --show "$KATA_DIR/disk")
	began --device "$loop" $name
	is "$((16 << 20))" execute $name -- sh -c "blockdev --getsize64 $loop"
	is " 53 ef" execute $name -- sh -c "dd if=$loop bs=1 skip=1080 count=2 2>/dev/null | od -An -tx1"
	ended KILL 137 $name
	losetup -d "$loop"
	calls $name 'select(.method == "CreateContainer") | .request.devices[0].type' | grep -qx blk
}

@test "a container that may use no more memory than it has: the runtime hears of its end" {
	host timeout 100 ctr events >"$BATS_TEST_TMPDIR/events" 3>&- &
	began --memory-limit 20000000 $name
	fails 137 "" execute $name -- sh -c 'x=$(head -c 30000000 /dev/zero | tr "\0" x)'
	timeout 30 grep -qm 1 /tasks/oom <(tail -n +1 -f "$BATS_TEST_TMPDIR/events")
	ended KILL 137 $name
}

@test "seccomp, a read-only root, capabilities" {
	is $'Seccomp:\t2' kata --seccomp -- "$name.1" grep Seccomp: /proc/self/status
	fails 1 "Read-only file system" kata --read-only -- "$name.2" touch /file
	is $'CapEff:\t00000000a00425fb' kata --cap-drop CAP_MKNOD -- "$name.3" grep CapEff /proc/self/status
}

@test "a command that isn't there" {
	fails 1 "/nowhere" kata -- $name /nowhere
	[[ $(calls $name 'select(.method == "CreateContainer") | .status') == NOT_FOUND ]]
	answered $name DestroySandbox
}

@test "what the runtime serves itself: metrics, packet filters" {
	began $name
	manage $name /metrics >"$BATS_TEST_TMPDIR/metrics"
	grep -q '^kata_guest_load{item="load1"}' "$BATS_TEST_TMPDIR/metrics"
	is "" manage $name /iptables -X PUT --data-binary $'*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp --dport 9 -j DROP\nCOMMIT\n'
	manage $name /iptables | grep -e '-A INPUT -p tcp -m tcp --dport 9 -j DROP'
	ended KILL 137 $name
	answered $name GetMetrics GetIPTables SetIPTables
}

@test "nothing is left, and every call was answered" {
	# The shims end by themselves, after ctr has.
	host timeout 60 sh -c 'for name in qemu virtiofsd containerd-shim nacre-proxy; do
		while pgrep -r R,S,D "$name" >/dev/null; do sleep 0.1; done
	done'
	is "" host find /run/vc/vm /run/vc/sbs /run/kata-containers/shared/sandboxes -mindepth 1
	# What isn't OK is a command that isn't there, the runtime's second wait, its look at what is no more, and what ends with
	# the sandbox.
	is "" jq -rc 'select(.status == "OK" or .method == "GetOOMEvent" or
		(.method == "WaitProcess" and .message == "process not found: its exit has been told already") or
		(.method == "StatsContainer" and (.message | contains("there is no container"))) or
		((.message // "") | contains("\"/nowhere\": no such file")) | not) | [.method, .status, .message]' "$NACRE_KATA_LOGS"/*.calls
	echo "# calls of the runtime:" >&3
	jq -r .method "$NACRE_KATA_LOGS"/*.calls | sort | uniq -c | sed 's/^/# /' >&3
}
