#!/usr/bin/env bats
# OCI config-linux.md "Devices", "Default Devices"; the terminal of config.md "Process".

load helpers

setup_file() { place_start; }
teardown_file() { place_stop; }

# What stat says of a path.
of() { echo "stat -c '%F %t:%T %a %u:%g' $*"; }

@test "the default ones, and links" {
	is "character special file 1:3 666 0:0
character special file 1:5 666 0:0
character special file 1:7 666 0:0
character special file 1:8 666 0:0
character special file 1:9 666 0:0
character special file 5:0 666 0:0" boxed . sh -c "$(of /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty)"
	is "pts/ptmx /proc/self/fd /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2" boxed . \
		sh -c 'cd /dev && echo $(readlink ptmx) $(readlink fd) $(readlink stdin) $(readlink stdout) $(readlink stderr)'
	is "written 4" boxed . sh -c 'echo x >/dev/null && head -c 4 /dev/urandom | wc -c | sed "s/^/written /"'
}

@test "character and block devices and FIFOs, with mode and owner, wherever they are asked for" {
	is "character special file a:e5 640 5:6
character special file a:e5 666 0:0
block special file 7:3 600 0:9
fifo 0:0 622 1:1
character special file 1:3 600 0:0" boxed '.linux.devices = [
		{path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 416, uid: 5, gid: 6},
		{path: "/dev/deep/er/fuse", type: "u", major: 10, minor: 229, fileMode: 438},
		{path: "/somewhere/loop", type: "b", major: 7, minor: 3, fileMode: 384, gid: 9},
		{path: "/dev/pipe", type: "p", fileMode: 402, uid: 1, gid: 1},
		{path: "/dev/null", type: "c", major: 1, minor: 3, fileMode: 384}]' \
		sh -c "$(of /dev/fuse /dev/deep/er/fuse /somewhere/loop /dev/pipe /dev/null)"
	in_place "rm -r $oci/root/somewhere"
}

@test "what is in the place of a device, and what is none" {
	fails 125 "something else is in the place of the device /bin/sh" boxed '.linux.devices = [{path: "/bin/sh", type: "c", major: 1, minor: 3}]' true
	fails 125 'has the unknown type "z"' boxed '.linux.devices = [{path: "/dev/x", type: "z", major: 1, minor: 3}]' true
	fails 125 "has the impossible number 5000:1" boxed '.linux.devices = [{path: "/dev/x", type: "c", major: 5000, minor: 1}]' true
	fails 125 "has the impossible mode 07777" boxed '.linux.devices = [{path: "/dev/x", type: "c", major: 1, minor: 3, fileMode: 4095}]' true
	fails 125 "must not contain" boxed '.linux.devices = [{path: "/dev/../x", type: "c", major: 1, minor: 3}]' true
	is "" left
}

@test "in a user namespace the place's own nodes are bound, and FIFOs are made" {
	is "character special file 1:3
fifo 0:0" boxed '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] | .linux.gidMappings = .linux.uidMappings
		| .linux.devices = [{path: "/dev/pipe", type: "p", fileMode: 402}]' stat -c '%F %t:%T' /dev/null /dev/pipe
}

@test "a terminal of its own size is the container's console" {
	bundle '.process.terminal = true | .process.consoleSize = {height: 33, width: 101} | .process.args = ["sleep", "1000000"]'
	if [[ $place == vm ]]; then
		skip "the guest has no program that takes a terminal"
	fi
	python3 "$BATS_TEST_DIRNAME/console.py" "$oci/console" sh -c : >/dev/null 2>&1 || true
	run -0 timeout 60 python3 - "$oci/console.sock" <<-END
		import array, os, socket, subprocess, sys, termios, fcntl, struct
		listener = socket.socket(socket.AF_UNIX)
		listener.bind(sys.argv[1])
		listener.listen()
		pid = open("$BATS_FILE_TMPDIR/place.pid").read().strip()
		child = open(f"/proc/{pid}/task/{pid}/children").read().strip()
		box = ["nsenter", "--mount", "--pid", "--uts", "--ipc", "--target", child, "--", "$build/nacre-box", "--root", "$oci/state"]
		subprocess.run(box + ["run", "--detach", "--bundle", "$bundle", "--console-socket", sys.argv[1], "$id"], check=True, stdin=subprocess.DEVNULL)
		connection = listener.accept()[0]
		data, fds, _, _ = socket.recv_fds(connection, 100, 1)
		print(struct.unpack("HHHH", fcntl.ioctl(fds[0], termios.TIOCGWINSZ, bytes(8)))[:2])
		print(subprocess.run(box + ["exec", "$id", "sh", "-c", "stat -c %t:%T /dev/console; readlink /proc/1/fd/0"], check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout, end="")
	END
	[[ $output == $'(33, 101)\n88:0\n/dev/pts/0' ]]
	box delete --force "$id"
}
