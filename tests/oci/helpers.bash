# What the tests of bundles share: nacre-box, on this machine in namespaces of its own, or (NACRE_TEST_PLACE=vm) in a virtual
# machine, where cgroups are version 2. Everything is a shell script that is run there.

# shellcheck shell=bash
# shellcheck source=tests/bats/helpers.bash
. "$BATS_TEST_DIRNAME/../bats/helpers.bash"

# In setup_file: a place to run bundles in. $oci is a folder there, with a root filesystem in root/.
place_start()
{
	export BOX_CGROUP=nacre-oci-$$ AGENT_DIR=$BATS_FILE_TMPDIR oci
	if [[ $place == vm ]]; then
		oci=/run/oci
		"$top/rootfs/build-image" --parts "$build" --variant "${BOX_VARIANT:-microvm}" --kind cpio --add "$build/nacre-box:/bin/nacre-box:755" \
			-o "$AGENT_DIR/box.cpio" >/dev/null
		VM_IMAGE=$AGENT_DIR/box.cpio VM_APPEND="agent.debug_console agent.debug_console_vport=1026 ${VM_APPEND:-}" vm_start
		export AGENT_ADDRESS
		agentctl --timeout 60s wait-ready
		in_place 'mkdir /run/oci /run/oci/disk && mount -t erofs -o ro /dev/vda /run/oci/disk && cp -a /run/oci/disk /run/oci/root'
	else
		# Whatever is mounted or run there goes with its first process.
		oci=$BATS_FILE_TMPDIR
		cp -a "$build/rootfs-busybox" "$oci/root"
		# Users of user namespaces have to get there.
		chmod 711 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/file" "$oci"
		guarded unshare --mount --propagation private --pid --fork --mount-proc --kill-child --uts --ipc \
			sh -c 'while :; do sleep 1000 & wait; done' >/dev/null 2>&1 3>&- &
		echo $! >"$BATS_FILE_TMPDIR/place.pid"
		timeout 20 sh -c 'until grep -q . "$1"; do :; done' - "/proc/$!/task/$!/children" 2>/dev/null
	fi
}

# In teardown_file.
place_stop()
{
	if [[ $place == vm ]]; then
		agent_stop
		return
	fi
	in_place "for id in \$(nacre-box --root $oci/state list -q); do nacre-box --root $oci/state delete -f \$id; done"
	# It blocks SIGTERM; what it has made dies with it.
	kill -KILL "$(cat "$BATS_FILE_TMPDIR/place.pid")" 2>/dev/null || true
	timeout 20 tail --pid="$(cat "$BATS_FILE_TMPDIR/place.pid")" -f /dev/null
	find /sys/fs/cgroup -depth -type d -path "*/$BOX_CGROUP*" -exec rmdir {} + 2>/dev/null || true
}

# in_place SCRIPT: runs it there; output, errors and status are ours.
in_place()
{
	local pid

	if [[ $place == vm ]]; then
		timeout 120 "$BATS_TEST_DIRNAME/guest.py" <<<"PATH=/usr/sbin:/usr/bin:/sbin:/bin
$1"
	else
		pid=$(cat "$BATS_FILE_TMPDIR/place.pid")
		pid=$(cat "/proc/$pid/task/$pid/children")
		timeout 120 guarded nsenter --mount --pid --uts --ipc --target "${pid// /}" -- \
			sh -c "PATH=$build:/usr/sbin:/usr/bin:/sbin:/bin
$1" </dev/null 3>&-
	fi
}

# box ARGUMENT...: nacre-box there.
box() { in_place "nacre-box --root $oci/state $(printf '%q ' "$@")"; }

# bundle [FILTER]: makes a bundle of this test's, whose config.json is changed by a jq filter; its folder there is $bundle, and $id
# an id for its container.
bundle()
{
	bundles=$((${bundles:-0} + 1))
	id=b$BATS_TEST_NUMBER.$bundles
	bundle=$oci/$id
	in_place "mkdir -p $bundle && cat >$bundle/config.json <<'END'
$(jq -n --arg root "$oci/root" --arg cgroup "/$BOX_CGROUP/$id" -f "$BATS_TEST_DIRNAME/config.jq" | jq "${1:-.}")
END"
}

# boxed FILTER COMMAND...: runs a bundle with this command to its end.
boxed()
{
	local filter=$1

	shift
	bundle ".process.args = $(jq -cn '$ARGS.positional' --args -- "$@") | $filter"
	box run --bundle "$bundle" "$id"
}

# status_of ID: OCI's word for its state.
status_of() { box state "$1" | jq -r .status; }

# until_status ID STATUS: waits for it, looking there.
until_status()
{
	in_place "i=0; until nacre-box --root $oci/state state $1 | grep -q '\"status\": \"$2\"'; do i=\$((i + 1)); [ \$i -lt 1000 ] || exit 1; done"
}

# left: what there is of containers: folders, mounts, cgroups.
left()
{
	in_place "ls $oci/state 2>/dev/null; grep ' $oci/state' /proc/self/mountinfo
		find /sys/fs/cgroup -type d | grep '/$BOX_CGROUP/'; true"
}
