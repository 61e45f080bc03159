#!/usr/bin/env bats
# nacre-proxy in front of a real guest: its own service, and a second proxy for which the first one is the VMM, as Firecracker
# would be (vsock.sock speaks its protocol): --carrier hybrid, and forwards.

export NACRE_TEST_PLACE=vm
load ../bats/helpers

# The container that dials out has a program for that.
setup_file()
{
	cp -a "$build/rootfs-busybox" "$BATS_FILE_TMPDIR/root"
	cp "$build/attacks/vsock" "$BATS_FILE_TMPDIR/root/bin/vsock"
	mkfs.erofs "$BATS_FILE_TMPDIR/root.erofs" "$BATS_FILE_TMPDIR/root" >/dev/null 2>&1
	agent_start
	export SECOND=$AGENT_DIR/second
	mkdir "$SECOND"
	second_start
}

teardown_file()
{
	kill "$(cat "$SECOND/proxy.pid")"
	agent_stop
}

# It passes ends of input on, as the first one can do that. A client that comes while the worker $former is dying may still be that
# one's; a proxy that does waits for its sockets.
second_start()
{
	guarded nacre-proxy --dir "$SECOND" --carrier "hybrid:$AGENT_DIR/vsock.sock,half-close" \
		--forward "$SECOND/agent.forward:1024" --forward "701:$SECOND/target" >"$SECOND/log" 2>&1 3>&- &
	[[ ! ${former:-} ]] || timeout 20 tail --pid="$former" -f /dev/null
	agentctl --address "$SECOND" --timeout 60s wait-ready
}

# From here on: by the second one.
through() { AGENT_ADDRESS=$SECOND "$@"; }

proxy() { agentctl --address "unix://$AGENT_ADDRESS/proxy.sock" "nacre.Proxy/$1"; }

@test "WaitReady answers once the agent takes connections" {
	is "{}" proxy WaitReady
	is "{}" through proxy WaitReady
}

@test "ListConnections tells each connection with its counters" {
	local agent pid
	coproc CLIENT { agentctl script 3>&-; }
	pid=$CLIENT_PID # bash forgets it when the client has ended
	echo "checked Health.Check" >&"${CLIENT[1]}"
	read -r _ <&"${CLIENT[0]}"
	agent=$(proxy ListConnections | jq -c '.connections[] | select(.origin == "AGENT")')
	echo "$agent"
	jq -e '.state == "OPEN" and .guest_port == 1024 and .host_port > 0 and .credit > 0 and .backlog == 0
		and (.to_guest | tonumber) > 10 and (.from_guest | tonumber) > 10' <<<"$agent"
	exec {CLIENT[1]}>&-
	wait "$pid"
}

@test "hybrid: a container's streams, by calls and by connections, with the end of input" {
	local way
	head -c 1000000 /dev/urandom >"$BATS_TEST_TMPDIR/blob"
	for way in calls connections; do
		[[ $(through container --io "$way" --stdin -- cat <"$BATS_TEST_TMPDIR/blob" | sha256sum) == \
			"$(sha256sum <"$BATS_TEST_TMPDIR/blob")" ]]
	done
}

@test "hybrid: the host's port is the one which the guest sees" {
	# What a proxy gives out itself begins at 2^30; that is the first one's, and not the second one's own.
	local ports
	coproc CLIENT { through agentctl script 3>&-; }
	local pid=$CLIENT_PID
	echo "checked Health.Check" >&"${CLIENT[1]}"
	read -r _ <&"${CLIENT[0]}"
	ports=$(proxy ListConnections | jq -c '[.connections[] | select(.origin == "PORT" and .state == "OPEN") | .host_port]')
	through proxy ListConnections | jq -e --argjson ports "$ports" \
		'.connections[] | select(.origin == "AGENT" and .state == "OPEN") | .host_port | IN($ports[])'
	exec {CLIENT[1]}>&-
	wait "$pid"
}

@test "forward: a socket leads to a port of the guest" {
	is '{"status":"SERVING"}' agentctl --address "unix://$SECOND/agent.forward" Health.Check
}

# listener PATH: accepts one connection there, and says a byte.
listener()
{
	timeout 60 python3 -c '
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("up", flush=True)
listener.accept()[0].sendall(b"x")' "$1" 3>&-
}

@test "hybrid, forward: the guest reaches the host" {
	local path
	for path in vsock.sock_700 target; do
		: >"$BATS_TEST_TMPDIR/$path"
		listener "$SECOND/$path" >"$BATS_TEST_TMPDIR/$path" 2>&1 &
		timeout 60 grep -qm 1 up <(tail -n +1 -f "$BATS_TEST_TMPDIR/$path")
	done
	# It has seen its directory change before it takes this call.
	through proxy ListConnections
	[[ -S $AGENT_DIR/vsock.sock_700 ]]
	is $'2 700 connected\n2 701 connected\n2 702 Connection reset by peer' container -- vsock dial 2 700 701 702
	wait
	rm "$SECOND"/vsock.sock_700 "$SECOND/target"
}

@test "hybrid: a killed proxy is followed by another one" {
	local pid former
	pid=$(cat "$SECOND/proxy.pid")
	former=$(cat "$SECOND/worker.pid")
	kill -9 "$pid"
	timeout 20 tail --pid="$pid" -f /dev/null
	[[ -S $AGENT_DIR/vsock.sock_701 ]]
	second_start
	is "still here" through container -- echo still here
}

@test "a container's messages: each arrives whole, in both directions" {
	timeout 60 python3 -c '
import socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(sys.argv[1])
listener.listen()
print("up", flush=True)
guest = listener.accept()[0]
guest.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
messages = [bytes([size % 251]) * size for size in (1, 44, 5000, 70000, 200000, 2)]
for message in messages[:3]:
    guest.send(message)
for number, message in enumerate(messages):
    print(len(message), guest.recv(1 << 20) == message, flush=True)
    if number + 3 < len(messages):
        guest.send(messages[number + 3])
guest.shutdown(socket.SHUT_WR)
print("end", guest.recv(1))' "$AGENT_DIR/vsock.sock_710" >"$BATS_TEST_TMPDIR/host" 2>&1 3>&- &
	local host=$!
	timeout 60 grep -qm 1 up <(tail -n +1 -f "$BATS_TEST_TMPDIR/host")
	is "the end" container -- vsock messages 710
	wait "$host"
	is $'up\n1 True\n44 True\n5000 True\n70000 True\n200000 True\n2 True\nend b\'\'' cat "$BATS_TEST_TMPDIR/host"
	# A socket of the other type isn't for it.
	timeout 60 python3 -c '
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()' "$AGENT_DIR/vsock.sock_711"
	is "Connection reset by peer" container -- vsock messages 711
	rm "$AGENT_DIR"/vsock.sock_71[01]
}
