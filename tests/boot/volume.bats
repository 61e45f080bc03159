#!/usr/bin/env bats
# `nacre run --volume SRC:DST[:ro]`: directories and files of this machine in the container.

load containers

setup_file() { own_directory; }

setup()
{
	name=volume-$BATS_TEST_NUMBER-$$
	data=$BATS_TEST_TMPDIR/data
	mkdir -p "$data/sub"
	echo one >"$data/file"
	[[ $EUID -eq 0 ]] || skip "virtiofsd runs as root only"
	[[ -x /usr/lib/qemu/virtiofsd || -x /usr/libexec/virtiofsd ]] || skip "there is no virtiofsd here"
}

run_nacre()
{
	nacre run --rm --name "$name" "$@"
}

@test "what the container writes to a volume arrives here, with owner and mode" {
	run -0 run_nacre -v "$data:/data" "$ROOT" -- sh -c 'cat /data/file; echo two >/data/new; chown 12:34 /data/new
		chmod 640 /data/new; mkdir /data/made; mv /data/file /data/sub/moved; ln -s moved /data/sub/link'
	[[ $output == one ]]
	[[ $(cat "$data/new") == two && $(stat -c '%u:%g %a' "$data/new") == "12:34 640" ]]
	[[ -d $data/made && ! -e $data/file && $(cat "$data/sub/link") == one ]]
}

@test "what is written here arrives in the container" {
	nacre run --rm --name "$name" -v "$data:/data" "$ROOT" -- sh -c 'echo up >/data/up
		for i in $(seq 300); do [ -s /data/answer ] && break; sleep 0.1; done; cat /data/answer' \
		>"$BATS_TEST_TMPDIR/out" 3>&- &
	local pid=$!
	for ((i = 0; i < 300; i++)); do
		[[ -s $data/up ]] && break
		sleep 0.1
	done
	echo from here >"$data/answer"
	wait $pid
	[[ $(cat "$BATS_TEST_TMPDIR/out") == "from here" ]]
}

@test "a read-only volume is so for the container's root, and on this side" {
	run -0 run_nacre --cpus 1 -v "$data:/data:ro" "$ROOT" -- sh -c 'cat /data/file; echo x >/data/file; echo x >/data/new
		rm /data/file; mkdir /data/made; true'
	[[ $output == one* ]]
	[[ $(cat "$data/file") == one && $(ls "$data") == $'file\nsub' ]]
	# The agent itself can't write it either.
	nacre run --rm --name "$name" -v "$data:/data:ro" "$ROOT" -- sh -c 'sleep 60' 3>&- &
	local pid=$! attributes=
	for ((i = 0; i < 300; i++)); do
		[[ -e $NACRE_RUNTIME_DIR/$name/status.json && $(jq -r .state "$NACRE_RUNTIME_DIR/$name/status.json") == running ]] && break
		sleep 0.1
	done
	attributes=$(for process in $(pgrep virtiofsd); do
		grep -s " /0 " "/proc/$process/mountinfo" | cut -d' ' -f6
	done)
	kill "$pid"
	wait "$pid" || true
	[[ $attributes == *ro,*nodev* ]]
}

@test "files can be volumes, and their folder in the container is made" {
	run -0 run_nacre -v "$data/file:/etc/some/where/name" -v "$data/file:/etc/read-only:ro" "$ROOT" -- \
		sh -c 'cat /etc/some/where/name /etc/read-only; echo two >/etc/some/where/name; ! echo 3 >/etc/read-only'
	[[ $(cat "$data/file") == two ]]
	[[ $output == one$'\n'one* ]]
}

@test "nothing but the volume can be reached through it" {
	echo secret >"$BATS_TEST_TMPDIR/secret"
	ln -s ../secret "$data/way-out"
	ln -s "$BATS_TEST_TMPDIR/secret" "$data/absolute"
	run -0 run_nacre -v "$data/sub:/sub" -v "$data:/data" "$ROOT" -- sh -c \
		'cat /data/way-out /data/absolute /data/../../secret /sub/../../file; true'
	[[ $output != *secret$'\n'* && $output != secret && $output != *one* ]]
}

@test "volumes work together with a read-only root, and with --share virtiofs" {
	run -0 run_nacre --read-only --share virtiofs -v "$data:/data" "$ROOT" -- sh -c 'echo two >/data/new; ! touch /new'
	[[ $(cat "$data/new") == two ]]
}

@test "what is wrong with a volume is said in one line" {
	for volume in "$data" ":/data" "$data:data" "$data:/" "$data:/a/../b" "$data:/data:rx"; do
		run -125 --separate-stderr run_nacre -v "$volume" "$ROOT" -- true
		[[ $stderr == "nacre: --volume"* && $stderr != *$'\n'* ]]
	done
	run -125 --separate-stderr run_nacre -v "$data:/data" -v "$data:/data/" "$ROOT" -- true
	[[ $stderr == *"another volume at /data"* ]]
	run -125 --separate-stderr run_nacre -v "$data/none:/data" "$ROOT" -- true
	[[ $stderr == *"volume $data/none: No such file or directory" ]]
	[[ ! -e $NACRE_RUNTIME_DIR/$name ]]
}

@test "without virtiofsd: read-only directories are packed, others refused" {
	# In a mount namespace in which there is none.
	without()
	{
		unshare --mount sh -c 'for file in /usr/lib/qemu/virtiofsd /usr/libexec/virtiofsd; do
			[ ! -e $file ] || mount --bind /dev/null $file; done; exec "$@"' - "$@"
	}
	run -0 --separate-stderr without nacre run --rm --name "$name" -v "$data:/data:ro" "$ROOT" -- \
		sh -c 'cat /data/file; ! touch /data/new'
	[[ $output == one ]]
	run -125 --separate-stderr without nacre run --rm --name "$name" -v "$data:/data" "$ROOT" -- true
	[[ $stderr == *"volume $data: virtiofsd is not installed"* ]]
	run -125 --separate-stderr without nacre run --rm --name "$name" --share virtiofs "$ROOT" -- true
	[[ $stderr == *"--share virtiofs: virtiofsd is not installed"* ]]
	# As disks they need room on the machine.
	local many=()
	for i in 1 2 3 4 5; do
		many+=(-v "$data:/data$i:ro")
	done
	run -125 --separate-stderr without nacre run --rm --name "$name" "${many[@]}" "$ROOT" -- true
	[[ $stderr == *"has room for 5 devices"* && $stderr == *"--machine q35"* ]]
}

@test "where virtiofsd dies, the container ends with a line that says so" {
	nacre run --rm --name "$name" -v "$data:/data" "$ROOT" -- sh -c 'touch /data/up; sleep 60' 2>"$BATS_TEST_TMPDIR/err" 3>&- &
	local pid=$! status=0
	for ((i = 0; i < 300; i++)); do
		[[ -e $data/up ]] && break
		sleep 0.1
	done
	for process in $(pgrep virtiofsd); do
		tr '\0' ' ' <"/proc/$process/cmdline" | grep -q "/$name/" && kill -KILL "$process"
	done
	wait "$pid" || status=$?
	[[ $status -eq 125 && $(cat "$BATS_TEST_TMPDIR/err") == "nacre: virtiofsd, which has the volumes, ended"* ]]
}

@test "no virtiofsd is left" {
	nacre run --rm --name "$name" -v "$data:/data" "$ROOT" -- sh -c 'touch /data/up; sleep 60' 3>&- &
	local pid=$!
	for ((i = 0; i < 300; i++)); do
		[[ -e $data/up ]] && break
		sleep 0.1
	done
	[[ -e $data/up ]]
	kill -KILL "$pid"
	for ((i = 0; i < 100; i++)); do
		[[ -e $NACRE_RUNTIME_DIR/$name ]] || break
		sleep 0.1
	done
	[[ ! -e $NACRE_RUNTIME_DIR/$name ]]
	! pgrep -f "virtiofsd.*/$name/"
}
