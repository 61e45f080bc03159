# What the tests of the agent share. The same files run in two places, chosen by NACRE_TEST_PLACE:
#   local  the agent is a process here, in a mount namespace of its own, on a Unix socket; cgroups are what this machine has
#   vm     the agent is PID 1's child in a virtual machine, behind nacre-proxy; cgroups are version 2, with BPF
# So a test looks at what containers print, and not at files of the place where it runs.

# shellcheck shell=bash
bats_require_minimum_version 1.5.0
place=${NACRE_TEST_PLACE:-local}
top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
build=$top/build
# NACRE_TEST_PROGRAMS is a folder with others in the place of our programs: those that `make sanitize` makes.
PATH=${NACRE_TEST_PROGRAMS:+$NACRE_TEST_PROGRAMS:}$build:$PATH

# The 64 MiB and the many repetitions are for the full run; quick ones show the same in less.
quick=${NACRE_TEST_QUICK:-}

# agent_start [--no-sandbox | REQUEST]: in setup_file, an agent for all tests of a file, at $AGENT_ADDRESS, with a sandbox (REQUEST:
# its CreateSandbox). The array VM_ARGUMENTS is more for QEMU; for an agent that is a process here, AGENT_CONFIG is a configuration
# file, and AGENT_NAMESPACES more namespaces (--net). bats waits for whoever has its descriptor 3.
agent_start()
{
	local sandbox='{"sandbox_id": "sandbox", "hostname": "boxed"}' tries=3

	export AGENT_ADDRESS AGENT_DIR=$BATS_FILE_TMPDIR
	until agent_begin "${1:-$sandbox}"; do
		if ! emulator_broke || ((--tries == 0)); then
			[[ $place == local ]] || tail -n 40 "$AGENT_DIR/proxy.log" "$AGENT_DIR/console.log"
			return 1
		fi
		echo "# QEMU has broken the guest's kernel (int3, see docs/design.md, the facts); another one is started" >&3
		agent_stop
	done
}

agent_begin()
{
	if [[ $place == vm ]]; then
		vm_start "${VM_ARGUMENTS[@]}"
	else
		cp -a "$build/rootfs-busybox" "$AGENT_DIR/rootfs"
		AGENT_ADDRESS=unix://$AGENT_DIR/agent.sock
		export NACRE_TEST_CGROUP=nacre-tests-$$
		# What root of this machine has its shells do would be done by those of the debug console.
		: >"$AGENT_DIR/profile"
		# shellcheck disable=SC2016,SC2086
		guarded unshare ${AGENT_NAMESPACES:-} --mount --propagation private sh -c \
			'mount -t tmpfs tmpfs /run && for file in /root/.profile /root/.bash_profile /root/.bash_login; do
				[ ! -e $file ] || mount --bind "$AGENT_DIR/profile" $file || exit
			done && exec nacre-agent --listen "$@"' sh "$AGENT_ADDRESS" \
			${AGENT_CONFIG:+--config "$AGENT_CONFIG"} \
			>"$AGENT_DIR/agent.log" 2>&1 3>&- &
		echo $! >"$AGENT_DIR/agent.pid"
	fi
	agentctl --timeout 60s wait-ready || return
	[[ $1 == --no-sandbox ]] || agentctl CreateSandbox "$1"
}

# Whether a processor of the guest's has met an instruction that its kernel had taken away already: emulation of several of them.
emulator_broke() { [[ $place == vm ]] && grep -q '\] int3: 0000 ' "$AGENT_DIR/console.log"; }

# A virtual machine by hand, as any runtime would do it: not by `nacre run`. VM_MACHINE is microvm or q35, VM_MEMORY in MiB,
# VM_ROOM what else fits (slots=2,maxmem=1G), VM_CPUS the processors (1,maxcpus=4: for what that does, see runtime/vmm.c),
# VM_APPEND more for the kernel's command line, VM_STREAMS what it says of the port for streams, VM_IMAGE another initramfs, VM_ROOT an image to start from in the place of one
# (VM_ROOT_TYPE: erofs), VM_CARRIER what nacre-proxy goes by (somebody else listens for the device at vhost.sock then; serial: there is none, but a serial port), VM_NVDIMM one of Kata's images to start from, mapped (of a q35), VM_SERIAL what QEMU has behind the console (a log file), the array VM_PROXY more options of nacre-proxy, and the arguments
# more for QEMU.
vm_start()
{
	local memory=${VM_MEMORY:-256} machine=microvm,acpi=off,pit=on,pic=on,rtc=on kernel=microvm bus=device
	local append="nacre.exit=reboot" start=(-initrd "${VM_IMAGE:-$build/initramfs.cpio}")

	if [[ ${VM_MACHINE:-microvm} == q35 ]]; then
		machine=q35 kernel=full bus=pci append=
	fi
	if [[ ${VM_ROOT:-} ]]; then
		start=(-drive "id=guest,file=$VM_ROOT,format=raw,if=none,readonly=on" -device "virtio-blk-$bus,drive=guest")
		append+=" root=/dev/vda ro rootfstype=${VM_ROOT_TYPE:-erofs}"
		[[ ${VM_ROOT_TYPE:-} ]] || append+=" init=/init"
	fi
	if [[ ${VM_NVDIMM:-} ]]; then
		machine+=,nvdimm=on
		start=(-object "memory-backend-file,id=nvdimm,mem-path=$VM_NVDIMM,size=$(stat -c %s "$VM_NVDIMM"),readonly=on"
			-device nvdimm,memdev=nvdimm,unarmed=on)
		append+=" root=/dev/pmem0p1 rootflags=dax,data=ordered,errors=remount-ro ro rootfstype=ext4"
	fi

	AGENT_DIR=$BATS_FILE_TMPDIR
	AGENT_ADDRESS=$AGENT_DIR
	local carrier=${VM_CARRIER:-vhost-user:$AGENT_DIR/vhost.sock,cid=5}
	local way=(-chardev "socket,id=vsock,path=$AGENT_DIR/vhost.sock" -device "vhost-user-vsock-$bus,chardev=vsock")
	if [[ $carrier == serial ]]; then
		carrier=serial:$AGENT_DIR/port.sock
		way=(-chardev "socket,id=port,path=$AGENT_DIR/port.sock,server=on,wait=off" -device "virtio-serial-$bus"
			-device virtserialport,chardev=port,name=org.nacre.0)
	fi
	[[ -e $AGENT_DIR/root.erofs ]] || mkfs.erofs "$AGENT_DIR/root.erofs" "$build/rootfs-busybox" >/dev/null 2>&1
	: >"$AGENT_DIR/console.log"
	guarded nacre-proxy --dir "$AGENT_DIR" --carrier "$carrier" "${VM_PROXY[@]}" -- \
		qemu-system-x86_64 -M "$machine,memory-backend=ram" -accel tcg -cpu max \
		-smp "${VM_CPUS:-1,maxcpus=2}" -m "$memory${VM_ROOM:+,$VM_ROOM}" -object "memory-backend-memfd,id=ram,size=${memory}M,share=on" \
		-global virtio-mmio.force-legacy=false -nodefaults -no-user-config -display none -no-reboot \
		-kernel "$build/vmlinuz-$kernel" "${start[@]}" \
		-append "console=ttyS0 quiet reboot=t panic=-1 $append ${VM_STREAMS-agent.passfd_listener_port=1027} norandmaps ${VM_APPEND:-}" \
		-serial "${VM_SERIAL:-file:$AGENT_DIR/console.log}" -qmp "unix:$AGENT_DIR/qmp.sock,server=on,wait=off" \
		"${way[@]}" \
		-drive "id=root,file=$AGENT_DIR/root.erofs,format=raw,if=none,readonly=on" \
		-device "virtio-blk-$bus,drive=root" "$@" >"$AGENT_DIR/proxy.log" 2>&1 3>&- &
	echo $! >"$AGENT_DIR/agent.pid"
}

# agent_image AGENT VARIANT OUTPUT [LINE...]: an initramfs with that agent as PID 1, and with more lines of the list of its
# files.
agent_image()
{
	local agent variant=$2 output=$3

	agent=$(realpath -e "$1")
	shift 3
	{
		sed "s|^file /init .*|file /init 0755 $agent|" "$top/rootfs/image.list"
		((!$#)) || printf '%s\n' "$@"
	} >"$output.list"
	"$top/rootfs/build-image" --parts "$build" --variant "$variant" --list "$output.list" --set "rootfs=$top/rootfs" -o "$output"
}

# qmp SOCKET COMMAND [EVENT]: one command to a VMM, in JSON, which has to succeed; prints what it returns, once that event has
# come of it.
qmp()
{
	timeout 60 python3 - "$@" <<-'END'
		import json, socket, sys
		connection = socket.socket(socket.AF_UNIX)
		connection.connect(sys.argv[1])
		stream = connection.makefile("rw")
		stream.readline()
		awaited = set(sys.argv[3:])
		def read():
		    message = json.loads(stream.readline())
		    awaited.discard(message.get("event"))
		    return message
		for command in ('{"execute": "qmp_capabilities"}', sys.argv[2]):
		    stream.write(command + "\n")
		    stream.flush()
		    answer = read()
		    while "event" in answer:
		        answer = read()
		    if "return" not in answer:
		        sys.exit(str(answer))
		while awaited:
		    read()
		print(json.dumps(answer["return"]))
	END
}

# press_power SOCKET: the power button of a q35 machine.
press_power() { qmp "$1" '{"execute": "system_powerdown"}'; }

# In teardown_file.
agent_stop()
{
	local pid

	pid=$(cat "$AGENT_DIR/agent.pid")
	kill "$pid" 2>/dev/null || true
	# Not a child of this shell: setup_file ran in another one.
	timeout 20 tail --pid="$pid" -f /dev/null
	# Some of these are links to others, and not every file makes containers.
	[[ $place == vm ]] || rmdir /sys/fs/cgroup/*/"$NACRE_TEST_CGROUP" 2>/dev/null || true
}

# The whole machine or agent is to end by itself.
agent_ended()
{
	timeout 20 tail --pid="$(cat "$AGENT_DIR/agent.pid")" -f /dev/null
}

# in_guest SCRIPT: runs it by a shell beside the agent, with the agent's mounts and network; what it prints is ours. In a VM that is the
# resident container `watcher` (see watch), and the guest's files are below $guest.
in_guest()
{
	if [[ $place == local ]]; then
		nsenter --mount --net --target "$(cat "$AGENT_DIR/agent.pid")" -- sh -c "$1"
	else
		watched=$((${watched:-0} + 1))
		agentctl --timeout 60s exec --id watcher --exec-id "w$BATS_TEST_NUMBER.$watched" -- sh -c "$1"
	fi
}

# In setup_file, for in_guest: a container which sees the guest's processes and what is mounted on /run.
watch()
{
	export guest=
	[[ $place == vm ]] || return 0
	guest=/guest
	agentctl run --id watcher --image /dev/vda --print -- sleep 1000000 | jq -c '
		.OCI.Mounts |= map(if .destination == "/proc" then .type = "bind" | .source = "/proc" | .options = ["bind"] else . end)
		| .OCI.Mounts += [
			{destination: "/guest/run", type: "bind", source: "/run", options: ["rbind", "rslave"]},
			{destination: "/guest/sys/fs/cgroup", type: "bind", source: "/sys/fs/cgroup", options: ["rbind", "ro"]}]' \
		>"$AGENT_DIR/watcher"
	agentctl run --request "$AGENT_DIR/watcher" --keep --detach
}

# The guest as it is: the agent's mounts, the cgroups of the tests' containers, what is in /run.
guest_state()
{
	local init=1

	[[ $place == vm ]] || init=$(cat "$AGENT_DIR/agent.pid")
	in_guest "sed -E 's/^[0-9]+ [0-9]+ [0-9:]+ //' /proc/$init/mountinfo | sort
		find $guest/sys/fs/cgroup -type d -path '*/${NACRE_TEST_CGROUP:-nacre-tests}/*' | sort
		find $guest/run -xdev | sort"
}

# Where a container's root comes from, for agentctl.
root_options()
{
	if [[ $place == vm ]]; then
		# The guest's own root is the first disk.
		echo --image "/dev/vd$([[ ${VM_ROOT:-} ]] && echo b || echo a)"
	else
		echo --rootfs "$AGENT_DIR/rootfs"
	fi
}

# container [OPTIONS] -- COMMAND...: creates, runs and removes a container; its streams and status are ours.
container()
{
	# shellcheck disable=SC2046
	agentctl --timeout 60s run --id "c$BATS_TEST_NUMBER" $(root_options) "$@"
}

# request [OPTIONS] -- COMMAND...: the request that `container` would send, as JSON.
request()
{
	container --print "$@"
}

# edited FILTER -- COMMAND...: a container whose request has been changed by a jq filter.
edited()
{
	local filter=$1

	shift
	request "$@" | jq -c "$filter" >"$BATS_TEST_TMPDIR/request"
	agentctl --timeout 60s run --request "$BATS_TEST_TMPDIR/request"
}

# resident: a container that runs until it is removed, for execs; its id is $id.
resident()
{
	id=r$BATS_TEST_NUMBER
	# shellcheck disable=SC2046
	agentctl run --id "$id" $(root_options) --keep --detach -- sh -c 'trap "exit 0" TERM; while :; do sleep 1000 & wait; done'
}

# execute [OPTIONS] -- COMMAND...: in the resident container.
execute()
{
	executed=$((${executed:-0} + 1))
	agentctl --timeout 60s exec --id "$id" --exec-id "e$executed" "$@"
}

remove()
{
	agentctl RemoveContainer "{\"container_id\": \"$id\"}"
}

# began COMMAND...: a container in the background, which has said "up". BEGAN_EDIT is a jq filter over its request.
began()
{
	: >"$BATS_TEST_TMPDIR/output"
	edited "${BEGAN_EDIT:-.}" -- "$@" >"$BATS_TEST_TMPDIR/output" 2>"$BATS_TEST_TMPDIR/errors" 3>&- &
	running=$!
	timeout 60 grep -qm 1 up <(tail -n +1 -f "$BATS_TEST_TMPDIR/output")
}

# ended STATUS OUTPUT: that container's, once it and the agent, or the machine, have ended by themselves.
ended()
{
	local status=0

	wait "$running" || status=$?
	agent_ended
	echo "status $status; $(cat "$BATS_TEST_TMPDIR"/output "$BATS_TEST_TMPDIR"/errors)"
	[[ $status -eq $1 && $(cat "$BATS_TEST_TMPDIR/output") == "$2" ]]
}

# fails STATUS TEXT COMMAND...: it has to end with this status, and to say TEXT on stderr.
fails()
{
	local expected=$1 text=$2

	shift 2
	run --separate-stderr "$@"
	if [[ $status -ne $expected || $stderr != *"$text"* ]]; then
		echo "$* ended with $status and said: $stderr (wanted: $expected, $text)"
		return 1
	fi
}

# is EXPECTED COMMAND...: it has to succeed and to print exactly this.
is()
{
	local expected=$1

	shift
	run --separate-stderr "$@"
	if [[ $status -ne 0 || $output != "$expected" ]]; then
		echo "$* ended with $status and printed: $output; stderr: $stderr (wanted: $expected)"
		return 1
	fi
}
