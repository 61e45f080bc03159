#!/usr/bin/env bats
# The serial carrier: a VM whose only way to the host is a virtio-serial port, and a proxy that comes and goes. QEMU is started beside
# the proxy here, not by it.

export NACRE_TEST_PLACE=vm
load ../bats/helpers

port=(-device virtio-serial-device -device virtserialport,chardev=port,name=org.nacre.0)

proxy_start()
{
	guarded nacre-proxy --dir "$AGENT_DIR" --carrier "serial:$AGENT_DIR/port.sock" >>"$AGENT_DIR/proxy.log" 2>&1 3>&- &
	echo $! >"$AGENT_DIR/agent.pid"
	disown # or the shell says that it was killed
}

# The next one finds what this one leaves: a frame in the middle, its sockets and files. The worker dies of it a moment later, and
# would still take clients.
proxy_kill()
{
	local worker
	worker=$(cat "$AGENT_DIR/worker.pid")
	kill -9 "$(cat "$AGENT_DIR/agent.pid")"
	agent_ended
	timeout 20 tail --pid="$worker" -f /dev/null
}

setup_file()
{
	export AGENT_DIR=$BATS_FILE_TMPDIR AGENT_ADDRESS=$BATS_FILE_TMPDIR
	mkfs.erofs "$AGENT_DIR/root.erofs" "$build/rootfs-busybox" >/dev/null 2>&1
	: >"$AGENT_DIR/console.log"
	# The proxy comes first: it waits for the VMM, and the clients' calls for the guest.
	proxy_start
	guarded qemu-system-x86_64 -M microvm,acpi=off,pit=on,pic=on,rtc=on -accel tcg -cpu max -smp 1,maxcpus=2 -m 256 \
		-global virtio-mmio.force-legacy=false -nodefaults -no-user-config -display none -no-reboot \
		-kernel "$build/vmlinuz-microvm" -initrd "$build/initramfs.cpio" \
		-append "console=ttyS0 quiet reboot=t panic=-1 nacre.exit=reboot norandmaps agent.passfd_listener_port=1027 agent.log_vport=1025 agent.debug_console agent.debug_console_vport=1026" \
		-serial "file:$AGENT_DIR/console.log" -qmp "unix:$AGENT_DIR/qmp.sock,server=on,wait=off" \
		-chardev "socket,id=port,path=$AGENT_DIR/port.sock,server=on,wait=off" "${port[@]}" \
		-drive "id=root,file=$AGENT_DIR/root.erofs,format=raw,if=none,readonly=on" -device virtio-blk-device,drive=root \
		>"$AGENT_DIR/qemu.log" 2>&1 3>&- &
	echo $! >"$AGENT_DIR/qemu.pid"
	agentctl --timeout 60s wait-ready
	agentctl CreateSandbox '{"sandbox_id": "sandbox", "hostname": "boxed"}'
	head -c 1048576 /dev/urandom >"$AGENT_DIR/data"
}

# When the VMM ends, so does the proxy.
teardown_file()
{
	kill "$(cat "$AGENT_DIR/qemu.pid")" 2>/dev/null || true
	agent_ended
}

# shell SCRIPT: by the guest's debug console.
shell()
{
	printf 'stty -echo\n%s\nexit\n' "$1" >"$BATS_TEST_TMPDIR/typed"
	timeout 60 "$top/tests/bats/port.py" console 1026 <"$BATS_TEST_TMPDIR/typed"
}

@test "a container runs; 1 MiB goes in and comes back, and the end of stdin with it: by calls, and by connections" {
	is boxed container -- hostname
	for io in calls connections; do
		container --io "$io" --stdin -- cat <"$AGENT_DIR/data" >"$BATS_TEST_TMPDIR/copy"
		cmp "$AGENT_DIR/data" "$BATS_TEST_TMPDIR/copy"
		# The end of stdin is the end of one way only.
		is "5 after" container --io "$io" --stdin -- sh -c 'wc -c | tr "\n" " "; echo after' <<<text
	done
}

@test "status, and what is said on stderr" {
	fails 7 "an error" container --io connections -- sh -c 'echo an error >&2; exit 7'
}

@test "the log and shells are served by their ports" {
	timeout 60 "$top/tests/bats/port.py" log 1025 "by a serial port" </dev/null
	# shellcheck disable=SC2016
	run shell 'echo answer$((6 * 7))'
	[[ $output == *answer42* ]]
}

@test "a guest that stands still loses nothing" {
	local call
	qmp "$AGENT_DIR/qmp.sock" '{"execute": "stop"}' STOP
	agentctl --timeout 60s Health.Check >"$BATS_TEST_TMPDIR/answer" 3>&- &
	call=$!
	# The call is on its way when the proxy has asked the guest for a connection.
	until agentctl --address "unix://$AGENT_DIR/proxy.sock" nacre.Proxy/ListConnections |
		jq -e 'any(.connections[]?; .origin == "AGENT" and .state == "WAITING")' >/dev/null; do
		kill -0 "$call"
	done
	qmp "$AGENT_DIR/qmp.sock" '{"execute": "cont"}'
	wait "$call"
	is '{"status":"SERVING"}' cat "$BATS_TEST_TMPDIR/answer"
}

# The supervisor has it open, and the kernel opens a port once.
@test "a container that may use every device can't open the port" {
	local open='set -- $(tr : " " </sys/class/virtio-ports/vport0p1/dev); mknod /tmp/port c $1 $2 && echo made; : <>/tmp/port'
	run edited '.OCI.Linux.Resources.Devices = [{Allow: true, Access: "rwm"}]' -- sh -c "$open"
	echo "$output"
	[[ $status -ne 0 && $output == *made* && $output == *busy* ]]
}

@test "a proxy that is killed is followed by another one: containers go on, and the agent answers" {
	local writer
	resident
	for round in 1 2 3; do
		# One that is in the middle of something, both ways.
		: >"$BATS_TEST_TMPDIR/copy"
		agentctl --timeout 60s exec --id "$id" --exec-id "w$round" --io connections --stdin -- cat \
			< <(yes) >"$BATS_TEST_TMPDIR/copy" 2>&1 3>&- &
		writer=$!
		timeout 60 grep -qm 1 y <(tail -c +1 -f "$BATS_TEST_TMPDIR/copy")
		proxy_kill
		! wait "$writer"
		proxy_start
		agentctl --timeout 60s wait-ready
		is "round $round" execute --io connections -- echo "round $round"
	done
	remove
}

# The last but one: it takes the sandbox along.
@test "the agent dies and is started again: a session begins, and still no container can have had the port" {
	local before after
	before=$(shell 'ls -l /proc/1/fd' | grep -c /dev/vport)
	# A shell's parent is what copies, and the parent of that is the agent.
	# shellcheck disable=SC2016
	shell 'kill -9 $(cut -d " " -f 4 /proc/$PPID/stat)' || true
	is '{"status":"SERVING"}' agentctl Health.Check
	after=$(shell 'ls -l /proc/1/fd' | grep -c /dev/vport)
	[[ $before -eq 1 && $after -eq 1 ]]
}

@test "with both devices the vsock device is taken, or what nacre.carrier says" {
	local taken folder=$BATS_TEST_TMPDIR
	# BATS_FILE_TMPDIR is where vm_start puts its files.
	for VM_APPEND in "" nacre.carrier=serial; do
		echo "$VM_APPEND:"
		folder+=/next
		mkdir "$folder"
		BATS_FILE_TMPDIR=$folder
		vm_start -chardev "socket,id=port,path=$BATS_FILE_TMPDIR/port.sock,server=on,wait=off" "${port[@]}"
		mkdir "$AGENT_DIR/serial"
		guarded nacre-proxy --dir "$AGENT_DIR/serial" --carrier "serial:$AGENT_DIR/port.sock" 2>"$AGENT_DIR/serial/log" 3>&- &
		taken=$AGENT_DIR
		[[ $VM_APPEND != *serial ]] || taken=$AGENT_DIR/serial
		agentctl --address "$taken" --timeout 60s wait-ready
		agent_stop
		wait $!
	done
}
