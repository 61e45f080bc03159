#!/usr/bin/env bats
# Hooks of a spec, and of the guest's image: when and where they run, what they are told, what becomes of a container whose hooks
# fail. Those of a bundle by nacre-box are in tests/oci.

load helpers

setup_file()
{
	agent_start --no-sandbox
	agentctl CreateSandbox '{"sandbox_id": "sandbox", "hostname": "boxed", "guest_hook_path": "/run/guest-hooks"}'
	watch
}

teardown_file() { agent_stop; }

# hook KIND SCRIPT [MORE]: a jq filter that adds a hook, a shell of the guest's (or, for StartContainer, of the container's).
hook()
{
	jq -cn --arg kind "$1" --arg script "$2" '{Path: "/bin/sh", Args: ["sh", "-c", $script], Env: ["PATH=/bin:/sbin:/usr/bin", "OF=\($kind)"]}' |
		sed "s/^/.OCI.Hooks.$1 += [/; s/\$/ + {${3:-}}]/"
}

# hooked [HOOK...] -- COMMAND...: a container with these hooks.
hooked()
{
	local filter=.

	while [[ $1 != -- ]]; do
		filter+=" | $1"
		shift
	done
	edited "$filter" "$@"
}

# told: what hooks have written to the guest's /run/told.
told() { in_guest "cat $guest/run/told; rm -f $guest/run/told"; }

# Nothing of the hooks' containers is left.
clean() { in_guest "ls $guest/run/kata-containers | grep -x 'c$BATS_TEST_NUMBER'; true"; }

@test "each kind is run once, in order, with its own environment and nothing of the agent's" {
	local kind hooks=()
	for kind in Poststop Poststart CreateContainer CreateRuntime Prestart; do
		hooks+=("$(hook $kind 'echo $OF $# $(env | grep -vE "^(PATH|OF|PWD|SHLVL|_)=" | wc -l) >>/run/told')")
	done
	hooks+=("$(hook StartContainer 'echo $OF $(env | grep -c NACRE) >/dev/shm/told')")
	is "StartContainer 0" hooked "${hooks[@]}" -- cat /dev/shm/told
	is "Prestart 0 0
CreateRuntime 0 0
CreateContainer 0 0
Poststart 0 0
Poststop 0 0" told
}

@test "the state is on stdin: id, status, pid, bundle, annotations" {
	local kind hooks=()
	for kind in Prestart CreateRuntime CreateContainer Poststart Poststop; do
		hooks+=("$(hook $kind 'cat >>/run/told')")
	done
	run hooked '.OCI.Annotations = {"a\"b\\c\n": "ü\t"}' "${hooks[@]}" "$(hook StartContainer 'cat >/dev/shm/told')" -- cat /dev/shm/told
	is '["created",1]' jq -c '[.status, .pid]' <<<"$output"
	told >"$BATS_TEST_TMPDIR/told"
	is '["creating","creating","creating","running","stopped"]' jq -cs 'map(.status)' "$BATS_TEST_TMPDIR/told"
	is '[[{"a\"b\\c\n":"ü\t"},"/run/kata-containers/c'"$BATS_TEST_NUMBER"'","c'"$BATS_TEST_NUMBER"'","1.2.0"]]' \
		jq -cs 'map([.annotations, .bundle, .id, .ociVersion]) | unique' "$BATS_TEST_TMPDIR/told"
	# The guest's pid but in the container, and none of a container that is gone.
	is '[true,true,true,null]' jq -cs '[.[0].pid == .[1].pid, .[0].pid == .[3].pid and .[0].pid > 1, .[2].pid == 1, .[4].pid]' \
		"$BATS_TEST_TMPDIR/told"
}

@test "those of the guest see its namespaces, createContainer the container's, before its root is the root" {
	local look='echo $OF $(cat /proc/sys/kernel/hostname) $(test -d /run/kata-containers/*/rootfs/proc/self && echo mounted) >>/run/told'
	is here hooked '.OCI.Hostname = "inner" | .OCI.Linux.Namespaces |= map(select(.Type != "uts")) + [{Type: "uts"}]' \
		"$(hook CreateRuntime "$look")" "$(hook CreateContainer "$look; mount -t tmpfs tmpfs /run/kata-containers/c$BATS_TEST_NUMBER/rootfs/tmp; : >/run/kata-containers/c$BATS_TEST_NUMBER/rootfs/tmp/here")" \
		-- ls /tmp
	run told
	echo "$output"
	[[ ${lines[0]} == CreateRuntime* && ${lines[0]} != *mounted && ${lines[1]} == "CreateContainer boxed mounted" ]]
}

@test "startContainer is run in the container, by its user, before the command" {
	is "12 5" hooked '.OCI.Process.User = {UID: 12, GID: 5}' \
		"$(hook StartContainer 'echo $(id -u) $(id -g) $(ls /run/kata-containers 2>/dev/null) >/dev/shm/told')" -- cat /dev/shm/told
}

@test "a hook that fails in the creation fails it, tells why, and is undone" {
	local kind
	in_guest "rm -f $guest/run/told"
	for kind in Prestart CreateRuntime CreateContainer; do
		fails 125 "INTERNAL: ${kind,} hook: /bin/sh: not today" hooked "$(hook $kind 'echo not today >&2; exit 3')" \
			"$(hook $kind 'echo never >>/run/told')" "$(hook Poststop 'echo stopped >>/run/told')" -- echo ran
		is stopped told
		is "" clean
	done
	fails 125 "INTERNAL: prestart hook: /no/such/hook: No such file or directory" \
		edited '.OCI.Hooks = {Prestart: [{Path: "/no/such/hook"}]}' -- true
}

@test "a startContainer hook that fails fails the start, and the command isn't run" {
	fails 125 "startContainer hook: /bin/sh: not now" hooked "$(hook StartContainer 'echo not now >&2; exit 1')" -- echo ran
	[[ $output != *ran* ]]
	is "" clean
}

@test "poststart and poststop may fail" {
	is ran hooked "$(hook Poststart 'exit 1')" "$(hook Poststop 'exit 1')" "$(hook Poststop 'echo after >>/run/told')" -- sh -c 'sleep 1; echo ran'
	is after told
}

@test "a hook that takes too long is killed, with what it has started, and the agent answers meanwhile" {
	began=$(date +%s)
	local status=0 hooking
	hooked "$(hook CreateRuntime 'sleep 1713' 'Timeout: 2')" -- true >"$BATS_TEST_TMPDIR/output" 2>&1 3>&- &
	hooking=$!
	is '{"status":"SERVING"}' agentctl --timeout 1s Health.Check
	wait "$hooking" || status=$?
	[[ $status -eq 125 && $(cat "$BATS_TEST_TMPDIR/output") == *"createRuntime hook: /bin/sh took longer than 2 s"* ]]
	(($(date +%s) - began < 60))
	is "" in_guest "ps -o args 2>/dev/null | grep -x 'sleep [1]713'; true"
}

@test "no hook of the guest is one that a container could have put there" {
	in_guest "mkdir -p $guest/run/theirs && cp /bin/busybox $guest/run/theirs/sh 2>/dev/null || cp /bin/sh $guest/run/theirs/sh; chmod 757 $guest/run/theirs/sh"
	fails 125 "can be changed by others than root" edited '.OCI.Hooks = {Prestart: [{Path: "/run/theirs/sh", Args: ["sh", "-c", "true"]}]}' -- true
	fails 125 "is below /run/kata-containers" \
		edited ".OCI.Hooks = {CreateContainer: [{Path: \"/run/kata-containers/c$BATS_TEST_NUMBER/rootfs/bin/busybox\", Args: [\"true\"]}]}" -- true
	in_guest "ln -s /run/kata-containers/c$BATS_TEST_NUMBER/rootfs/bin/busybox $guest/run/link"
	fails 125 "is below /run/kata-containers" edited '.OCI.Hooks = {CreateContainer: [{Path: "/run/link", Args: ["true"]}]}' -- true
}

@test "hooks of a container that shares the pid namespace join all but that" {
	resident
	# What has more rights than the container's isn't to be seen by others in it.
	hooked '.sandbox_pidns = true' "$(hook Prestart 'cat >>/run/told; readlink /proc/self/ns/pid >>/run/told')" \
		"$(hook CreateContainer 'cat >>/run/told; readlink /proc/self/ns/pid >>/run/told')" -- true
	remove
	run told
	echo "$output"
	[[ ${lines[0]} == *'"status":"creating","pid":'* && ${lines[2]} == *'"status":"creating"}' && ${lines[1]} == "${lines[3]}" ]]
}

@test "a hook's path is absolute, its timeout no negative number" {
	fails 125 'INVALID_ARGUMENT: the path of hook "sh" isn' edited '.OCI.Hooks = {Prestart: [{Path: "sh"}]}' -- true
	fails 125 'INVALID_ARGUMENT: hook /bin/sh: a timeout of -1 s' edited '.OCI.Hooks = {Poststop: [{Path: "/bin/sh", Timeout: "-1"}]}' -- true
}

@test "programs of the guest's folder are run beside the spec's" {
	in_guest "cd $guest/run && mkdir -p guest-hooks/prestart guest-hooks/poststop
		printf '#!/bin/sh\necho \$0 \$1 \$(cat | wc -l) >>/run/told\n' >guest-hooks/prestart/b
		cp guest-hooks/prestart/b guest-hooks/prestart/a; cp guest-hooks/prestart/b guest-hooks/poststop/c
		cp guest-hooks/prestart/b guest-hooks/prestart/not; chmod 755 guest-hooks/*/?; ln -s b guest-hooks/prestart/link"
	is ran hooked "$(hook Prestart 'echo spec >>/run/told')" -- echo ran
	is "spec
/run/guest-hooks/prestart/a prestart 1
/run/guest-hooks/prestart/b prestart 1
/run/guest-hooks/poststop/c poststop 1" told
	in_guest "rm -r $guest/run/guest-hooks"
}
