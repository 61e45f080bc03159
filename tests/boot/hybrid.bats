#!/usr/bin/env bats
# nacre-proxy in front of a vsock device that isn't ours: rust-vmm's vhost-device-vsock, whose socket is as Firecracker's, and QEMU
# behind it. PEER_VSOCK=FILE is that program; otherwise it is built, where there is a cargo that can do that. What runs everywhere
# has another nacre-proxy for it (proxy.bats).

export NACRE_TEST_PLACE=vm
load ../bats/helpers

setup_file()
{
	[[ ${PEER_VSOCK:-} ]] || PEER_VSOCK=$("$top/scripts/build-peer-vsock" 2>"$BATS_FILE_TMPDIR/build.log") || return 0
	export PEER_VSOCK
	AGENT_DIR=$BATS_FILE_TMPDIR
	cp -a "$build/rootfs-busybox" "$AGENT_DIR/root"
	cp "$build/attacks/vsock" "$AGENT_DIR/root/bin/vsock"
	mkfs.erofs "$AGENT_DIR/root.erofs" "$AGENT_DIR/root" >/dev/null 2>&1
	guarded "$PEER_VSOCK" --guest-cid 5 --socket "$AGENT_DIR/vhost.sock" --uds-path "$AGENT_DIR/peer.sock" \
		>"$AGENT_DIR/peer.log" 2>&1 3>&- &
	echo $! >"$AGENT_DIR/peer.pid"
	# It says nothing when it listens; QEMU doesn't try twice.
	timeout 60 sh -c 'until grep -q " 00010000 .* $1\$" /proc/net/unix; do sleep 0.05; done' - "$AGENT_DIR/vhost.sock"
	VM_APPEND="agent.debug_console agent.debug_console_vport=1026" VM_CARRIER=hybrid:$AGENT_DIR/peer.sock agent_start
}

setup()
{
	[[ ${PEER_VSOCK:-} ]] || skip "no vhost-device-vsock: $(tail -n 1 "$BATS_FILE_TMPDIR/build.log")"
}

teardown_file()
{
	[[ ${PEER_VSOCK:-} ]] || return 0
	agent_stop
	# It ends by itself with the VMM's connection, or serves the next one.
	kill "$(cat "$AGENT_DIR/peer.pid")" 2>/dev/null || true
}

@test "a container's streams by calls: the end of input is a message" {
	head -c 1000000 /dev/urandom >"$BATS_TEST_TMPDIR/blob"
	[[ $(container --stdin -- cat <"$BATS_TEST_TMPDIR/blob" | sha256sum) == "$(sha256sum <"$BATS_TEST_TMPDIR/blob")" ]]
}

# Not the streams of containers, which the agent tells apart by the port of the host: this device answers OK with the guest's.
@test "a connection's output comes to its end, after the end of its input" {
	echo 'stty -echo; seq 20000; exit' >"$BATS_TEST_TMPDIR/typed"
	timeout 60 "$BATS_TEST_DIRNAME/../bats/port.py" console 1026 <"$BATS_TEST_TMPDIR/typed" >"$BATS_TEST_TMPDIR/out"
	[[ $(tr -d '\r' <"$BATS_TEST_TMPDIR/out" | grep -xE '[0-9]+' | sha256sum) == "$(seq 20000 | sha256sum)" ]]
}

@test "a refused port ends its client; one after the other is served" {
	local round # `run` has an i of its own
	fails 1 "nobody listens on port 4000" "$BATS_TEST_DIRNAME/../bats/port.py" x 4000
	for ((round = 0; round < 20; round++)); do
		is '{"status":"SERVING"}' agentctl Health.Check
	done
}

# Not that other ports are refused: this device leaves the guest without an answer.
@test "the guest reaches the host" {
	: >"$BATS_TEST_TMPDIR/up"
	timeout 60 python3 -c '
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("up", flush=True)
listener.accept()[0].sendall(b"x")' "$AGENT_DIR/vsock.sock_700" >"$BATS_TEST_TMPDIR/up" 2>&1 3>&- &
	timeout 60 grep -qm 1 up <(tail -n +1 -f "$BATS_TEST_TMPDIR/up")
	agentctl --address "unix://$AGENT_DIR/proxy.sock" nacre.Proxy/ListConnections
	is "2 700 connected" container -- vsock dial 2 700
	wait
}
