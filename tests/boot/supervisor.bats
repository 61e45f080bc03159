#!/usr/bin/env bats
# PID 1: what the kernel's command line asks of it (modules, shells), and how a machine ends.

export NACRE_TEST_PLACE=vm
load ../bats/helpers

setup_file() { :; }
teardown() { [[ ! -e ${AGENT_DIR:-/nonexistent}/agent.pid ]] || agent_stop; }

# start PARAMETERS [QEMU-ARGUMENT...]: a machine of the test's own, with a console that can be typed at.
start()
{
	AGENT_DIR=$BATS_TEST_TMPDIR BATS_FILE_TMPDIR=$BATS_TEST_TMPDIR
	export AGENT_DIR AGENT_ADDRESS=$AGENT_DIR
	mkfifo "$AGENT_DIR/console.in"
	ln -s console.log "$AGENT_DIR/console.out"
	VM_APPEND=$1 VM_SERIAL=chardev:console vm_start -chardev "pipe,id=console,path=$AGENT_DIR/console" "${@:2}"
}

# A machine which serves, and has its sandbox.
serve()
{
	start "$@"
	agentctl --timeout 60s wait-ready
	agentctl CreateSandbox '{"sandbox_id": "sandbox"}'
}

# type TEXT: at the console. Enter is \n.
type() { printf "%b" "$1" >"$AGENT_DIR/console.in"; }

# shows TEXT: the console, now or soon.
shows()
{
	timeout 60 grep -qFm 1 -- "$1" <(tail -n +1 -f "$AGENT_DIR/console.log") || {
		cat "$AGENT_DIR/console.log"
		return 1
	}
}

last_words='trap "echo last words; exit 7" TERM; echo up; while :; do sleep 1000 & wait; done'

# image KIND LINE...: the guest image with these lines in its list, in $BATS_TEST_TMPDIR/image.KIND.
image()
{
	{
		cat "$top/rootfs/image.list"
		printf '%s\n' "${@:2}"
	} >"$BATS_TEST_TMPDIR/list"
	"$top/rootfs/build-image" --parts "$build" --kind "$1" --list "$BATS_TEST_TMPDIR/list" -o "$BATS_TEST_TMPDIR/image.$1"
}

# script NAME TEXT: a file for an image.
script()
{
	printf '#!/bin/sh\n%s\n' "$2" >"$BATS_TEST_TMPDIR/$1"
}

# An image whose modprobe says what it is asked for, and refuses "bad".
image_with_modprobe()
{
	script modprobe 'echo "modprobe $*" >/dev/console; [ "$2" != bad ] || { echo "no module bad" >&2; exit 1; }'
	image cpio "file /sbin/modprobe 0755 $BATS_TEST_TMPDIR/modprobe"
	export VM_IMAGE=$BATS_TEST_TMPDIR/image.cpio
}

@test "SIGTERM: a container says its last words, its exit is told, and the machine ends" {
	serve nacre.shell
	began sh -c "$last_words"
	type 'kill 1\n'
	ended 7 $'up\nlast words'
}

@test "SIGINT, which is what ctrl-alt-del comes as, does the same" {
	serve nacre.shell
	began sh -c "$last_words"
	type 'kill -INT 1\n'
	ended 7 $'up\nlast words'
}

@test "a container that ignores SIGTERM is killed after nacre.stop_timeout" {
	serve "nacre.shell nacre.stop_timeout=1"
	began sh -c 'trap "" TERM; echo up; while :; do sleep 1000; done'
	type 'kill 1\n'
	ended 137 up
}

@test "a second SIGTERM ends the wait" {
	serve "nacre.shell nacre.stop_timeout=3600"
	began sh -c 'trap "echo caught" TERM; echo up; while :; do sleep 1000 & wait; done'
	type 'kill 1\n'
	timeout 60 grep -qm 1 caught <(tail -n +1 -f "$BATS_TEST_TMPDIR/output")
	type 'kill 1\n'
	ended 137 $'up\ncaught'
}

@test "the power button: a container says its last words, and the machine powers off" {
	export VM_MACHINE=q35
	serve ""
	began sh -c "$last_words"
	press_power "$AGENT_DIR/qmp.sock"
	ended 7 $'up\nlast words'
}

@test "without an agent the supervisor ends the containers itself" {
	truncate -s 32M "$BATS_TEST_TMPDIR/disk"
	mkfs.ext4 -q "$BATS_TEST_TMPDIR/disk"
	serve "nacre.shell nacre.stop_timeout=3600" -drive "id=data,file=$BATS_TEST_TMPDIR/disk,format=raw,if=none" \
		-device virtio-blk-device,drive=data
	BEGAN_EDIT='.storages += [{driver: "mmioblk", source: "/dev/vdb", fstype: "ext4", mount_point: "/run/data"}] |
		.OCI.Mounts += [{destination: "/data", type: "bind", source: "/run/data", options: ["rbind"]}]' \
		began sh -c 'trap "echo told >/data/file; exit 0" TERM; echo up; while :; do sleep 1000 & wait; done'
	# It is stopped, so it neither dies nor listens.
	type 'kill -STOP $(pidof nacre-agent); kill 1\n'
	shows "the agent is given up"
	agent_ended
	# Nobody else could tell it.
	is told debugfs -R "cat file" "$BATS_TEST_TMPDIR/disk"
}

@test "the machine ends with its disks unmounted" {
	truncate -s 32M "$BATS_TEST_TMPDIR/disk"
	mkfs.ext4 -q "$BATS_TEST_TMPDIR/disk"
	serve nacre.shell -drive "id=data,file=$BATS_TEST_TMPDIR/disk,format=raw,if=none" -device virtio-blk-device,drive=data
	type 'mkdir /run/disk; mount -t ext4 /dev/vdb /run/disk; echo kept >/run/disk/file; cd /run/disk; echo mount$((6 * 7))ed\n'
	shows mount42ed
	type 'kill 1\n'
	agent_ended
	run dumpe2fs -h "$BATS_TEST_TMPDIR/disk"
	[[ $output == *"Filesystem state:"*clean* && $output != *needs_recovery* ]]
	is kept debugfs -R "cat file" "$BATS_TEST_TMPDIR/disk"
}

@test "nacre.shell: a shell on the console, with a terminal of its own, which comes back when it ends" {
	serve nacre.shell
	type 'echo first$((6 * 7))\n'
	shows first42
	# The key ends what runs in front, and nothing else.
	type 'sh -c "echo runs\$((6 * 7)); sleep 1000"\n'
	shows runs42
	type '\003'
	type 'echo after$((6 * 7))\n'
	shows after42
	type 'exit\n'
	# The terminal is hung up, and what had been typed ahead is gone.
	timeout 60 grep -cFm 2 "built-in shell" <(tail -n +1 -f "$AGENT_DIR/console.log")
	type 'echo again$((6 * 7))\n'
	shows again42
	run grep -c "job control turned off" "$AGENT_DIR/console.log"
	[[ $output == 0 ]]
	is '{"status":"SERVING"}' agentctl Health.Check
}

@test "agent.debug_console without a port: a shell on the console, from the agent" {
	serve agent.debug_console
	type 'echo first$((6 * 7))\n'
	shows first42
	type 'exit\n'
	timeout 60 grep -cFm 2 "built-in shell" <(tail -n +1 -f "$AGENT_DIR/console.log")
	type 'echo again$((6 * 7))\n'
	shows again42
	is '{"status":"SERVING"}' agentctl Health.Check
}

@test "agent.config_file: a file in the image is all that counts" {
	printf '[hotplug_timeout]\nsecs = 1\nnanos = 0\n\n[others]\nkey = 1\n' >"$BATS_TEST_TMPDIR/agent.toml"
	image cpio "file /etc/agent.toml 0644 $BATS_TEST_TMPDIR/agent.toml"
	export VM_IMAGE=$BATS_TEST_TMPDIR/image.cpio
	serve "agent.config_file=/etc/agent.toml agent.log=nonsense"
	is alive container -- echo alive
}

@test "a configuration file with a mistake, or none: one line says where, and the machine ends" {
	printf 'log_level = "info"\n\nlog_vport = "x"\n' >"$BATS_TEST_TMPDIR/agent.toml"
	image cpio "file /etc/agent.toml 0644 $BATS_TEST_TMPDIR/agent.toml"
	VM_IMAGE=$BATS_TEST_TMPDIR/image.cpio start "agent.config_file=/etc/agent.toml"
	shows "/etc/agent.toml:3: log_vport: its value should be a whole number"
	agent_ended
}

@test "by default nobody listens at the console, and its keys mean nothing" {
	serve ""
	type 'echo nobody$((6 * 7))\n\003'
	is alive container -- echo alive
	run grep -c nobody42 "$AGENT_DIR/console.log"
	[[ $output == 0 ]]
}

@test "nacre.rescue: a shell where the agent doesn't get ready, and the end of the machine after it" {
	start "nacre.rescue agent.log=nonsense"
	shows "a rescue shell"
	type 'echo rescued$((6 * 7))\n'
	shows rescued42
	type 'exit\n'
	agent_ended
}

@test "without nacre.rescue a machine whose agent doesn't get ready ends" {
	start "agent.log=nonsense"
	agent_ended
	grep -q "the agent doesn't get ready" "$AGENT_DIR/console.log"
	run grep -c "rescue shell" "$AGENT_DIR/console.log"
	[[ $output == 0 ]]
}

@test "nacre.modules are loaded in their order before the agent starts; one that fails costs a line" {
	image_with_modprobe
	serve "nacre.modules=first,bad,second"
	shows "load the module bad: /sbin/modprobe: no module bad"
	is $'modprobe -- first\nmodprobe -- bad\nmodprobe -- second' grep -oE "^modprobe [-a-z ]*" "$AGENT_DIR/console.log"
}

@test "nacre.modules in an image without modprobe costs a line" {
	serve "nacre.modules=any"
	shows "load the module any: /sbin/modprobe: No such file or directory"
}

@test "CreateSandbox loads its modules with their parameters, or says what is wrong" {
	image_with_modprobe
	start ""
	agentctl --timeout 60s wait-ready
	fails 1 "load the kernel module bad: /sbin/modprobe: no module bad" \
		agentctl CreateSandbox '{"sandbox_id": "sandbox", "kernel_modules": [{"name": "bad"}]}'
	agentctl CreateSandbox '{"sandbox_id": "sandbox", "kernel_modules": [
		{"name": "first", "parameters": ["debug=1", "size=3"]}, {"name": "second"}]}'
	shows "modprobe -v first debug=1 size=3"
	shows "modprobe -v second"
}

@test "modules of the full kernel are loaded from its image" {
	export VM_MACHINE=q35 VM_IMAGE=$build/initramfs-full.cpio
	[[ -d $build/modules-full ]] || skip "the kernel is configured without modules"
	serve "nacre.modules=dummy"
	is "dummy" container -- sh -c 'cut -d " " -f 1 /proc/modules'
	agentctl RemoveContainer '{"container_id": "none"}' || true
}

@test "started from a disk, nothing is written to it, and what has to be written is in memory" {
	VM_ROOT=$build/image-microvm.erofs
	export VM_ROOT
	start nacre.shell
	agentctl --timeout 60s wait-ready
	agentctl CreateSandbox '{"sandbox_id": "sandbox", "dns": ["nameserver 192.0.2.1"]}'
	is alive container -- echo alive
	type 'cat /etc/resolv.conf; touch /no; touch /tmp/yes /run/yes && echo written$((6 * 7)); cat /proc/mounts\n'
	shows "nameserver 192.0.2.1"
	shows "touch: /no: Read-only file system"
	shows written42
	type 'kill 1\n'
	agent_ended
}

# other_init COMMAND: an image whose PID 1 is a script, which starts the agent by this, in $VM_ROOT.
other_init()
{
	# shellcheck disable=SC2016
	script init 'mount -t proc proc /proc
		mount -t sysfs sysfs /sys
		mount -t devtmpfs dev /dev
		mount -t tmpfs tmpfs /run
		mount -t cgroup2 cgroup2 /sys/fs/cgroup
		grep -c . /proc/mounts >/run/before
		'"$1"' </dev/null >/dev/console 2>&1
		echo "the agent ended with $?; mounts: $(cat /run/before) before, $(grep -c . /proc/mounts) after" >/dev/console'
	image erofs "file /init 0755 $BATS_TEST_TMPDIR/init" "file /sbin/nacre-agent 0755 \$(parts)/nacre-agent" \
		"link /sbin/kata-agent nacre-agent"
	export VM_ROOT=$BATS_TEST_TMPDIR/image.erofs
}

@test "under another init the agent serves, ends nothing but itself, and says so" {
	other_init "nacre-agent --guest"
	start ""
	agentctl --timeout 60s wait-ready
	agentctl CreateSandbox '{"sandbox_id": "sandbox", "dns": ["nameserver 192.0.2.1"], "storages": [
		{"driver": "ephemeral", "source": "tmpfs", "fstype": "tmpfs", "mount_point": "/run/pod"}]}'
	is alive container -- echo alive
	run agentctl GetGuestDetails
	[[ $output == *'"init_daemon":false'* ]]
	is '{}' agentctl DestroySandbox
	shows "the agent ended with 0; mounts: 6 before, 6 after"
	agent_ended
}

@test "called kata-agent it takes the kernel's parameters without an option, as the Kata agent's unit starts it" {
	other_init kata-agent
	start "agent.log=debug"
	agentctl --timeout 60s wait-ready
	agentctl CreateSandbox '{"sandbox_id": "sandbox"}'
	is alive container -- echo alive
	grep -q '"level":"DEBG"' "$AGENT_DIR/console.log"
}
