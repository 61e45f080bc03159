#!/usr/bin/env bats
# The same container behind every carrier, its streams in every way (calls and connections as a runtime has them, and a session of
# the proxy's), with our agent and with another: PEER_AGENT=FILE is put into our image as PID 1. A table of all of it is printed at
# the end.

export NACRE_TEST_PLACE=vm
load ../bats/helpers

setup_file()
{
	export TABLE=$BATS_FILE_TMPDIR/table BASE=$BATS_FILE_TMPDIR
	printf '%-10s %-22s %-12s %s\n' agent carrier streams result >"$TABLE"
	# It fits into a pipe: what doesn't at once, the Kata agent (4.1.0) drops from a connection of stdin.
	head -c 30000 /dev/urandom | base64 >"$BATS_FILE_TMPDIR/typed"
	# Neither agent needs a disk for a root in the guest's own.
	agent_image "$build/nacre-agent" full "$BATS_FILE_TMPDIR/nacre.cpio" "dir /container 0755" "tree /container $build/rootfs-busybox"
	[[ ! ${PEER_AGENT:-} ]] ||
		agent_image "$PEER_AGENT" full "$BATS_FILE_TMPDIR/peer.cpio" "dir /container 0755" "tree /container $build/rootfs-busybox"
}

teardown_file()
{
	sed 's/^/# /' "$TABLE" >&3
}

teardown()
{
	[[ ! -e ${AGENT_DIR:-}/agent.pid ]] || agent_stop
}

# machine AGENT NAME: a VM of its own for a test, in a folder of its own.
machine()
{
	BATS_FILE_TMPDIR=$BASE/$1-$2
	mkdir "$BATS_FILE_TMPDIR"
	export AGENT_ADDRESS AGENT_DIR VM_IMAGE=$BASE/$1.cpio VM_APPEND="cgroup_no_v1=all agent.log=critical"
	vm_start
	agentctl --timeout 60s wait-ready
	agentctl CreateSandbox '{"sandbox_id": "sandbox", "hostname": "boxed"}'
}

# by_WAY COMMAND...: a container with our streams; its status.
by_calls() { agentctl --timeout 60s run --wait-last --id calls --rootfs /container --io calls --stdin -- "$@"; }

by_connections() { agentctl --timeout 60s run --id connections --rootfs /container --io connections --stdin -- "$@"; }

by_session()
{
	local status=0

	agentctl --timeout 60s run --id session --rootfs /container --stdin --keep --detach -- "$@"
	timeout 60 nacre attach --dir "$AGENT_ADDRESS" session || status=$?
	agentctl RemoveContainer '{"container_id": "session"}' >/dev/null
	return $status
}

# contained AGENT CARRIER WAY: what goes in comes back, with more behind the end of input, on both outputs, and the status.
contained()
{
	local result=failed status=0 typed=$BASE/typed out=$BATS_TEST_TMPDIR/out errors=$BATS_TEST_TMPDIR/errors

	"by_$3" sh -c 'cat; seq 20000; echo said >&2; exit 7' <"$typed" >"$out" 2>"$errors" || status=$?
	if [[ $status -eq 7 && $(cat "$errors") == said ]] && cmp "$out" <(cat "$typed" && seq 20000); then
		result=passed
	else
		echo "status $status; $(head -c 300 "$errors"); $(wc -c <"$out") bytes"
	fi
	printf '%-10s %-22s %-12s %s\n' "$1" "$2" "$3" "$result" >>"$TABLE"
	[[ $result == passed ]]
}

every_way()
{
	local way failed=

	for way in calls connections session; do
		contained "$1" "$2" "$way" || failed=yes
	done
	[[ ! $failed ]]
}

# hybrid AGENT: another proxy, for which the first one is the VMM.
hybrid()
{
	local second=$AGENT_DIR/second status=0

	mkdir "$second"
	guarded nacre-proxy --dir "$second" --carrier "hybrid:$AGENT_DIR/vsock.sock,half-close" >"$second/log" 2>&1 3>&- &
	AGENT_ADDRESS=$second agentctl --timeout 60s wait-ready
	AGENT_ADDRESS=$second every_way "$1" hybrid || status=$?
	kill "$(cat "$second/proxy.pid")"
	return $status
}

peer() { [[ ${PEER_AGENT:-} ]] || skip "PEER_AGENT=FILE isn't given: another agent"; }

@test "nacre-agent: vhost-user on virtio-mmio, and hybrid in front of it" {
	machine nacre mmio
	every_way nacre "vhost-user, mmio"
	hybrid nacre
}

@test "nacre-agent: vhost-user on PCI" {
	VM_MACHINE=q35 machine nacre pci
	every_way nacre "vhost-user, PCI"
}

@test "nacre-agent: serial" {
	VM_CARRIER=serial machine nacre serial
	every_way nacre serial
}

@test "another agent: vhost-user on virtio-mmio, and hybrid in front of it" {
	peer
	machine peer mmio
	every_way peer "vhost-user, mmio"
	hybrid peer
}

@test "another agent: vhost-user on PCI" {
	peer
	VM_MACHINE=q35 machine peer pci
	every_way peer "vhost-user, PCI"
}

@test "another agent: serial" {
	peer
	printf '%-10s %-22s %-12s %s\n' peer serial - "n/a: only nacre-agent has that carrier" >>"$TABLE"
	skip "only nacre-agent has the serial carrier"
}
