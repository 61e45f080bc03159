#!/usr/bin/env bats
# What a program in a guest sees of the proxy's end of vsock, above Linux's own virtio-vsock: all checks of vsock_check.c (in a
# container) and vsock_host.py (behind the proxy's sockets) are run once with the device on virtio-mmio, and some of them on PCI.

export NACRE_TEST_PLACE=vm
load ../bats/helpers

# checks [NAME...]: what they say is in $AGENT_DIR/results.
checks()
{
	# shellcheck disable=SC2046
	timeout 400 python3 "$BATS_TEST_DIRNAME/vsock_host.py" "$AGENT_DIR" agentctl --timeout 390s run --id check $(root_options) --stdin -- \
		vsock_check "$@" >"$AGENT_DIR/results" 2>"$AGENT_DIR/errors" 3>&- || true
}

setup_file()
{
	cp -a "$build/rootfs-busybox" "$BATS_FILE_TMPDIR/root"
	cp "$build/vsock_check" "$BATS_FILE_TMPDIR/root/bin/"
	mkfs.erofs "$BATS_FILE_TMPDIR/root.erofs" "$BATS_FILE_TMPDIR/root" >/dev/null 2>&1
	agent_start
	checks
}

teardown_file() { agent_stop; }

check()
{
	grep -E "^(not )?ok $1" "$AGENT_DIR/results" || cat "$AGENT_DIR/results" "$AGENT_DIR/errors"
	grep -qx "ok $1" "$AGENT_DIR/results"
}

@test "a port where nobody listens is refused by a reset" { check guest_refused && check host_refused; }

@test "the guest connects: ends know each other, and poll tells" { check guest_connects; }

@test "the host connects, from the port that the proxy names" { check host_connects; }

@test "output ends one way, and input goes on: the guest's, and the host's" { check guest_ends_output && check host_ends_output; }

@test "who reads no more is told of as EPIPE: the guest, and the host" { check guest_reads_no_more && check host_reads_no_more; }

@test "the end comes behind the data: from the guest, and from the host" { check guest_ends_after_data && check host_ends_after_data; }

@test "who leaves data unread hurts nobody: the guest, and the host" { check guest_leaves_data && check host_leaves_data; }

@test "1,000 connections, one after the other: from the guest, and from the host" { check guest_series && check host_series; }

@test "200 connections at once: from the guest, and from the host" { check guest_crowd && check host_crowd; }

@test "a port is used again and again" { check same_port; }

@test "4 MiB both ways at once, and each byte is right" { check large; }

@test "no more than a buffer goes to who doesn't read, to the byte, and then all: to the host, and to the guest" { check guest_fills && check host_fills; }

@test "the device on PCI: connections, ends of one way, and data both ways" {
	local name names=(guest_connects host_connects guest_ends_output host_ends_output guest_reads_no_more host_reads_no_more
		guest_ends_after_data host_ends_after_data large)
	ln "$BATS_FILE_TMPDIR/root.erofs" "$BATS_TEST_TMPDIR/"
	BATS_FILE_TMPDIR=$BATS_TEST_TMPDIR
	VM_MACHINE=q35 agent_start
	checks "${names[@]}"
	agent_stop
	for name in "${names[@]}"; do
		check "$name"
	done
}

@test "the benchmark runs, and a round trip is five system calls" {
	local proxy time busy calls folder=$BATS_TEST_TMPDIR
	guarded nacre-proxy --dir "$folder" --carrier "vhost-user:$folder/device,cid=3" 2>"$folder/log" 3>&- &
	proxy=$!
	until [[ -S $folder/device && -S $folder/vsock.sock ]]; do
		kill -0 "$proxy"
	done
	read -r time busy calls < <(timeout 60 vsock "$proxy" "$folder/device" "$folder/vsock.sock" round-trip 1 1000)
	wait "$proxy"
	echo "$time ns, $busy of them the proxy's; $calls system calls"
	((calls < 0 || calls < 5500))
}
