#!/usr/bin/env bats
# Which namespaces a container gets, for the lists that runtimes send (behaviour.md 2.3): ipc and uts are the sandbox's, the pid
# namespace is new or the pod's, the network is the guest's, and paths from the host mean nothing here.

load helpers

setup_file() { agent_start; }
teardown_file() { agent_stop; }

# with FILTER: a container whose list of namespaces has been changed; prints its pid, its host name and its networks.
with()
{
	edited ".OCI.Linux.Namespaces |= ($1)" -- sh -c 'echo $$ $(hostname) $(readlink /proc/self/ns/net)'
}

@test "with a pid entry and without one, with an empty path and with one of the host's" {
	local net
	net=$(with . | cut -d' ' -f3)
	is "1 boxed $net" with 'map(select(.Type != "pid"))'
	is "1 boxed $net" with 'map(select(.Type != "pid")) + [{Type: "pid"}]'
	is "1 boxed $net" with 'map(select(.Type != "pid")) + [{Type: "pid", Path: "/proc/4711/ns/pid"}]'
}

@test "paths of the host for ipc and uts are dropped" {
	local net
	net=$(with . | cut -d' ' -f3)
	is "1 boxed $net" with 'map(if .Type == "ipc" or .Type == "uts" then .Path = "/no/such/" + .Type else . end)'
}

@test "System V memory is the sandbox's where ipc is listed" {
	resident
	execute -- sh -c 'readlink /proc/self/ns/ipc' >"$BATS_TEST_TMPDIR/ipc"
	is "$(cat "$BATS_TEST_TMPDIR/ipc")" container -- readlink /proc/self/ns/ipc
	remove
}

@test "no list at all, or no mount namespace, is refused" {
	fails 125 "INVALID_ARGUMENT: cannot find the pid ns" edited '.OCI.Linux.Namespaces = []' -- true
	fails 125 "INVALID_ARGUMENT: a container needs a new mount namespace" with 'map(select(.Type != "mount"))'
	fails 125 "INVALID_ARGUMENT: a container needs a new mount namespace" \
		with 'map(if .Type == "mount" then .Path = "/proc/1/ns/mnt" else . end)'
}

@test "a type that isn't known, or is there twice, is refused" {
	fails 125 'INVALID_ARGUMENT: namespace type "nothing"' with '. + [{Type: "nothing"}]'
	fails 125 'INVALID_ARGUMENT: namespace "pid" is there twice' with '. + [{Type: "pid"}, {Type: "pid"}]'
}

@test "a container with users of its own finds the pod's processes, too, and may do nothing to them" {
	resident
	# shellcheck disable=SC2016
	run edited '.sandbox_pidns = true | .OCI.Linux.Namespaces += [{Type: "user"}]
		| .OCI.Linux.UIDMappings = [{HostID: 100000, ContainerID: 0, Size: 1000}] | .OCI.Linux.GIDMappings = .OCI.Linux.UIDMappings
		| .OCI.Mounts += [{destination: "/tmp", type: "tmpfs", source: "tmpfs"}, {destination: "/tmp/proc", type: "proc", source: "proc", options: ["ro"]}]' -- sh -c '
		tr "\0" " " </proc/1/cmdline | cut -d" " -f1; test $$ != 1 && test -d /proc/$$ && test -d /tmp/proc/$$ && echo there
		cat /proc/self/uid_map | xargs; kill -9 1 2>&1; ls /proc/1/root 2>&1; awk "\$2 ~ \"proc\" { print \$2, substr(\$4, 1, 2) }" /proc/self/mounts | grep "proc .[ow]$"'
	echo "$output"
	[[ $status -eq 0 && ${lines[0]} == sh && ${lines[1]} == there && ${lines[2]} == "0 100000 1000" ]]
	[[ ${lines[3]} == *"not permitted"* && ${lines[4]} == *"denied"* ]]
	[[ $output == *"/proc rw"*"/tmp/proc ro"* ]]
	remove
}

@test "the pod's pid namespace is the first container's, and gone with it" {
	resident
	local first=$id
	is 1 container -- sh -c 'echo $$'
	run edited '.sandbox_pidns = true' -- sh -c 'ps; test $$ != 1'
	[[ $status -eq 0 && $output == *"sleep 1000"* ]]
	# shellcheck disable=SC2046
	agentctl CreateContainer "$(agentctl run --id second $(root_options) --print -- true)"
	id=$first
	remove
	fails 125 "INTERNAL: Sandbox does not have sandbox_pidns" edited '.sandbox_pidns = true' -- true
	# One of its own can always be had.
	is 1 container -- sh -c 'echo $$'
	id=second
	remove
}

@test "the first process has two names: none, and the container's id" {
	for exec_id in "" "c$BATS_TEST_NUMBER"; do
		agentctl CreateContainer "$(request -- cat | jq -c '.exec_id = "anything"')"
		id=c$BATS_TEST_NUMBER
		local name="\"container_id\": \"$id\", \"exec_id\": \"$exec_id\""
		agentctl StartContainer "{\"container_id\": \"$id\"}"
		is '{"len":3}' agentctl WriteStdin "{$name, \"data\": \"$(echo in | base64)\"}"
		is "{\"data\":\"$(echo in | base64)\"}" agentctl ReadStdout "{$name, \"len\": 100}"
		is '{}' agentctl CloseStdin "{$name}"
		is '{"data":""}' agentctl ReadStderr "{$name, \"len\": 100}"
		is '{"status":0}' agentctl WaitProcess "{$name}"
		fails 1 NOT_FOUND agentctl WaitProcess "{$name}"
		remove
	done
}
