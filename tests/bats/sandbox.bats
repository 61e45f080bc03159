#!/usr/bin/env bats
# The sandbox: made once, shared by its containers, and the guest's end when it is destroyed.

load helpers

setup()
{
	# Longer than the one test that waits for a device's absence has patience.
	VM_APPEND=agent.hotplug_timeout=60
	agent_start --no-sandbox
}
teardown() { agent_stop; }

# Each test has an agent of its own.
setup_file() { :; }

@test "a second CreateSandbox is refused, and the first one lives on" {
	agentctl CreateSandbox '{"sandbox_id": "one", "hostname": "first"}'
	fails 1 ALREADY_EXISTS agentctl CreateSandbox '{"sandbox_id": "two"}'
	is first container -- hostname
}

@test "containers share the sandbox's host name and its System V memory, not each other's processes" {
	agentctl CreateSandbox '{"sandbox_id": "one", "hostname": "pod"}'
	resident
	is pod container -- hostname
	run container -- ps
	[[ $output != *"sleep 1000"* ]]
	remove
}

@test "sandbox_pidns shares the first container's processes" {
	agentctl CreateSandbox '{"sandbox_id": "one", "hostname": "pod"}'
	resident
	run edited '.sandbox_pidns = true' -- ps
	[[ $output == *"sleep 1000"* ]]
	remove
}

@test "DestroySandbox ends containers, agent and guest" {
	agentctl CreateSandbox '{"sandbox_id": "one"}'
	resident
	is '{}' agentctl DestroySandbox
	agent_ended
}

@test "a kernel module that can't be loaded is an error" {
	fails 1 modprobe agentctl CreateSandbox '{"sandbox_id": "one", "kernel_modules": [{"name": "no-such-module"}]}'
	agentctl CreateSandbox '{"sandbox_id": "one"}'
}

@test "a storage that can't be mounted is an error, leaves nothing, and is mounted by the next try" {
	local good='{"driver": "ephemeral", "source": "tmpfs", "fstype": "tmpfs", "options": ["size=1m"], "mount_point": "/run/nacre/pod"}'
	local bad='{"driver": "ephemeral", "source": "tmpfs", "fstype": "nosuchfs", "mount_point": "/run/nacre/new/bad"}'
	fails 1 "storage /run/nacre/new/bad" \
		agentctl CreateSandbox "{\"sandbox_id\": \"one\", \"dns\": [\"nameserver 192.0.2.1\"], \"storages\": [$good, $bad]}"
	agentctl CreateSandbox "{\"sandbox_id\": \"one\", \"storages\": [$good]}"
	watch
	run guest_state
	[[ $output != *nacre/new* && $output != *"resolv.conf /etc/resolv.conf"* ]]
	is 1024 edited '.OCI.Mounts += [{destination: "/pod", type: "bind", source: "/run/nacre/pod", options: ["rbind"]}]' -- \
		sh -c 'df -k /pod | awk "NR == 2 {print \$2}"'
}

@test "a connection that drops in the middle of a slow CreateSandbox leaves nothing" {
	[[ $place == local ]] || skip "nobody can look into a VM that has no sandbox yet"
	local good='{"driver": "ephemeral", "source": "tmpfs", "fstype": "tmpfs", "mount_point": "/run/nacre/pod"}'
	local slow='{"driver": "mmioblk", "source": "/dev/nacre0", "fstype": "ext4", "mount_point": "/run/nacre/slow"}'
	local client tries=0
	in_guest "mkdir -p /run/nacre"
	guest_state >"$BATS_TEST_TMPDIR/before"
	agentctl CreateSandbox "{\"sandbox_id\": \"one\", \"dns\": [\"nameserver 192.0.2.1\"], \"storages\": [$good, $slow]}" 3>&- &
	client=$!
	timeout 20 nsenter --mount --target "$(cat "$AGENT_DIR/agent.pid")" -- \
		sh -c 'until grep -q " /run/nacre/pod " /proc/self/mounts; do :; done'
	kill -KILL "$client"
	# What has been begun is undone before another one can come.
	until agentctl CreateSandbox '{"sandbox_id": "two"}' 2>"$BATS_TEST_TMPDIR/refused"; do
		grep -q "is being undone\|has its sandbox already" "$BATS_TEST_TMPDIR/refused"
		((++tries < 1000))
	done
	guest_state | grep -v "/run/kata-containers\|/run/nacre-agent" >"$BATS_TEST_TMPDIR/after"
	grep -v "/run/kata-containers\|/run/nacre-agent" "$BATS_TEST_TMPDIR/before" | diff - "$BATS_TEST_TMPDIR/after"
}
