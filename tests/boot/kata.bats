#!/usr/bin/env bats
# The images for Kata Containers (make kata-image), booted as its QEMU configuration boots: the same machine, devices and
# kernel command lines, and the calls that its runtimes make for a pod, in their order.

export NACRE_TEST_PLACE=vm
load ../bats/helpers

setup_file() { mkfs.erofs "$BATS_FILE_TMPDIR/root.erofs" "$build/rootfs-busybox" >/dev/null 2>&1; }
teardown() { [[ ! -e ${AGENT_DIR:-/nonexistent}/agent.pid ]] || agent_stop; }

# What the runtime in Go has on x86_64 for each machine, and behind it its words for a boot that isn't debugged.
go="tsc=reliable no_timer_check rcupdate.rcu_expedited=1 i8042.direct=1 i8042.dumbkbd=1 i8042.nopnp=1 i8042.noaux=1
	noreplace-smp reboot=k cryptomgr.notests net.ifnames=0 pci=lastbus=0"
go_tail="console=hvc0 console=hvc1 quiet systemd.show_status=false panic=1 nr_cpus=4 selinux=0 scsi_mod.scan=none
	agent.log=debug agent.debug_console agent.debug_console_vport=1026 agent.cdh_api_timeout=50"
go_image="systemd.unit=kata-containers.target systemd.mask=systemd-networkd.service systemd.mask=systemd-networkd.socket"
# The runtime in Rust, which debugs.
rust="reboot=k panic=1 systemd.unit=kata-containers.target systemd.mask=systemd-networkd.service
	systemd.mask=systemd-networkd.socket agent.log_vport=1025"
rust_tail="console=hvc0 agent.log=debug agent.container_pipe_size=0 agent.launch_process_timeout=6"

# kata_start "COMMAND LINE" [QEMU-ARGUMENT...]: the machine, with a container's disk plugged in behind the bridge.
kata_start()
{
	AGENT_DIR=$BATS_TEST_TMPDIR
	export AGENT_DIR AGENT_ADDRESS=$AGENT_DIR
	local console="file,id=charconsole0,path=$AGENT_DIR/console.log"

	: >"$AGENT_DIR/console.log"
	guarded nacre-proxy --dir "$AGENT_DIR" --carrier "vhost-user:$AGENT_DIR/vhost.sock,cid=5" -- \
		qemu-system-x86_64 -name kata -machine q35,nvdimm=on,memory-backend=ram -accel tcg -cpu max \
		-object memory-backend-memfd,id=ram,size=512M,share=on -m 512M,slots=10,maxmem=2G \
		-smp 1,cores=1,threads=1,sockets=4,maxcpus=4 -rtc base=utc,driftfix=slew,clock=host \
		-global kvm-pit.lost_tick_policy=discard -vga none -no-user-config -nodefaults -nographic --no-reboot \
		-device pci-bridge,bus=pcie.0,id=pci-bridge-0,chassis_nr=1,shpc=off,addr=2,io-reserve=4k,mem-reserve=1m,pref64-reserve=1m \
		-device virtio-serial-pci,disable-modern=false,id=serial0 \
		-device virtconsole,chardev=charconsole0,id=console0 -chardev "$console" \
		-device virtio-scsi-pci,id=scsi0,disable-modern=false \
		-object rng-random,id=rng0,filename=/dev/urandom -device virtio-rng-pci,rng=rng0 \
		-chardev "socket,id=vsock,path=$AGENT_DIR/vhost.sock" -device vhost-user-vsock-pci,chardev=vsock \
		-netdev user,id=network-0,restrict=on -device virtio-net-pci,netdev=network-0,mac=02:00:00:00:00:01 \
		-kernel "$build/vmlinuz-full" "${@:2}" \
		-drive "id=root,file=$BATS_FILE_TMPDIR/root.erofs,format=raw,if=none,readonly=on" \
		-device virtio-blk-pci,bus=pci-bridge-0,addr=1,drive=root -append "$1 norandmaps" \
		>"$AGENT_DIR/proxy.log" 2>&1 3>&- &
	echo $! >"$AGENT_DIR/agent.pid"
	agentctl --timeout 120s wait-ready || {
		cat "$AGENT_DIR"/{console,proxy}.log
		return 1
	}
}

# container_request ID SHARED COMMAND...: as a runtime would make it, with the disk by its path on the bridge.
container_request()
{
	agentctl run --id "$1" --image 02/01 --print -- "${@:3}" | jq -c --arg shared "$2" '
		.sandbox_pidns = ($shared == "shared") |
		.OCI.Mounts += [{destination: "/dev/shm", type: "bind", source: "/run/kata-containers/sandbox/shm", options: ["rbind"]}]'
}

# object JSON: on one line.
object() { jq -c . <<<"$1"; }

# shellcheck disable=SC2016
work='hostname; ip -4 addr show eth0 | grep -o "inet [0-9.]*"; cat /sys/class/net/eth0/mtu; tr "\0" " " </proc/1/cmdline; echo
	df -m /dev/shm | tail -n 1 | tr -s " " | cut -d " " -f 2; exit 7'

# pod: the calls for a pod of two containers, and its end; "NAME ANSWER" a line.
pod()
{
	local shm interface

	interface='{"interface": {"device": "eth0", "name": "eth0", "hwAddr": "02:00:00:00:00:01", "mtu": "1400",
		"IPAddresses": [{"family": 0, "address": "10.0.2.15", "mask": "24"}]}}'
	shm='{"hostname": "pod", "sandbox_id": "pod", "storages": [{"driver": "ephemeral", "source": "shm", "fstype": "tmpfs",
		"options": ["noexec", "nosuid", "nodev", "mode=1777", "size=67108864"],
		"mount_point": "/run/kata-containers/sandbox/shm"}]}'
	agentctl script <<-END || true # what is never answered ends with the connection
		check Health.Check
		interface UpdateInterface $(object "$interface")
		routes UpdateRoutes {"routes": {"Routes": [{"dest": "", "gateway": "10.0.2.2", "device": "eth0"}]}}
		sandbox CreateSandbox $(object "$shm")
		details GetGuestDetails {"mem_block_size": true, "mem_hotplug_probe": true}
		create-pause CreateContainer $(container_request pause own sleep 1000000)
		start-pause StartContainer {"container_id": "pause"}
		&oom GetOOMEvent {}
		create CreateContainer $(container_request work shared sh -c "$work")
		start StartContainer {"container_id": "work"}
		&ended WaitProcess {"container_id": "work", "exec_id": "work"}
		wait ended
		out ReadStdout {"container_id": "work", "exec_id": "work", "len": 32768}
		end ReadStdout {"container_id": "work", "exec_id": "work", "len": 32768}
		kill SignalProcess {"container_id": "work", "exec_id": "", "signal": 9}
		remove RemoveContainer {"container_id": "work", "timeout": 0}
		kill-pause SignalProcess {"container_id": "pause", "exec_id": "", "signal": 9}
		wait-pause WaitProcess {"container_id": "pause", "exec_id": "pause"}
		remove-pause RemoveContainer {"container_id": "pause", "timeout": 0}
		destroy DestroySandbox {}
	END
}

# serves_a_pod: the machine runs one, and ends with it.
serves_a_pod()
{
	local name

	pod >"$BATS_TEST_TMPDIR/answers"
	cat "$BATS_TEST_TMPDIR/answers"
	is $'pod\ninet 10.0.2.15\n1400\nsleep 1000000 \n64' base64 -d <<<"$(sed -n 's/^out //p' "$BATS_TEST_TMPDIR/answers" | jq -r .data)"
	grep -qx 'end {"data":""}' "$BATS_TEST_TMPDIR/answers"
	grep -qx 'ended {"status":7}' "$BATS_TEST_TMPDIR/answers"
	grep -qx 'wait-pause {"status":137}' "$BATS_TEST_TMPDIR/answers"
	# What a runtime in Go looks at.
	sed -n 's/^details //p' "$BATS_TEST_TMPDIR/answers" |
		jq -e '.agent_details.supports_seccomp and .agent_details.init_daemon and (.mem_block_size_bytes | tonumber) == 134217728'
	for name in interface routes sandbox create-pause start-pause create start remove remove-pause destroy; do
		grep -q "^$name {" "$BATS_TEST_TMPDIR/answers" || { echo "$name failed"; return 1; }
	done
	agent_ended
}

image=$build/kata-containers.img initrd=$build/kata-containers-initrd.img

nvdimm()
{
	echo -object "memory-backend-file,id=mem0,mem-path=$image,size=$(stat -c %s "$image"),readonly=on" \
		-device nvdimm,id=nv0,memdev=mem0,unarmed=on
}

disk()
{
	echo -drive "id=image,file=$image,format=raw,if=none,readonly=on,aio=threads" \
		-device virtio-blk-pci,drive=image,disable-modern=false
}

@test "image on an NVDIMM with DAX, the runtime in Go" {
	# shellcheck disable=SC2046
	kata_start "$go root=/dev/pmem0p1 rootflags=dax,data=ordered,errors=remount-ro ro rootfstype=ext4 $go_tail $go_image" $(nvdimm)
	serves_a_pod
}

@test "image on a virtio disk, the runtime in Go" {
	# shellcheck disable=SC2046
	kata_start "$go root=/dev/vda1 rootflags=data=ordered,errors=remount-ro ro rootfstype=ext4 $go_tail $go_image" $(disk)
	serves_a_pod
}

@test "image on an NVDIMM, the runtime in Rust: its log is on a port" {
	# shellcheck disable=SC2046
	kata_start "$rust root=/dev/pmem0p1 rootflags=dax,data=ordered,errors=remount-ro ro rootfstype=ext4 $rust_tail" $(nvdimm)
	timeout 60 "$BATS_TEST_DIRNAME/../bats/port.py" log 1025 "listening on" </dev/null >"$BATS_TEST_TMPDIR/log"
	jq -es 'any(.level == "INFO" and .source == "agent")' "$BATS_TEST_TMPDIR/log"
	serves_a_pod
}

@test "initrd, the runtime in Go; its debug console is a shell" {
	kata_start "$go $go_tail" -initrd "$initrd"
	printf 'echo answer$((6 * 7)); ls -l /sbin/init /usr/bin/kata-agent; exit\n' >"$BATS_TEST_TMPDIR/typed"
	timeout 60 "$BATS_TEST_DIRNAME/../bats/port.py" console 1026 <"$BATS_TEST_TMPDIR/typed" >"$BATS_TEST_TMPDIR/shell"
	cat "$BATS_TEST_TMPDIR/shell"
	grep -q answer42 "$BATS_TEST_TMPDIR/shell"
	serves_a_pod
}
