#!/usr/bin/env bats
# nacre.Guest: tools of the guest's image in a container, and processes that end with whoever asked for them.

load helpers

setup_file() { agent_start; }
teardown_file() { agent_stop; }
setup() { resident; }
teardown() { remove; }

# tool ID TOOL [ARGUMENT...]: executes it without streams.
tool()
{
	local exec_id=$1 name=$2

	shift 2
	agentctl nacre.Guest/ExecTool "$(jq -nc --arg id "$id" --arg exec "$exec_id" --arg tool "$name" \
		'{container_id: $id, exec_id: $exec, tool: $tool, arguments: $ARGS.positional}' --args "$@")"
}

named()
{
	echo "{\"container_id\": \"$id\", \"exec_id\": \"$1\"}"
}

# All that the exec prints, to its end.
stdout_of()
{
	local data

	while data=$(agentctl ReadStdout "{\"container_id\": \"$id\", \"exec_id\": \"$1\", \"len\": 4096}" | jq -r .data) &&
		[[ $data ]]; do
		base64 -d <<<"$data"
	done
}

@test "a tool that the image doesn't have, and names that are none" {
	fails 1 "NOT_FOUND: the guest image has no nosuchtool" tool t nosuchtool
	fails 1 "INVALID_ARGUMENT: '../bin/sh' is no name of a tool" tool t ../bin/sh
	fails 1 "INVALID_ARGUMENT: '' is no name of a tool" tool t ""
	id=nothing fails 1 "INVALID_ARGUMENT" tool t tar
	fails 1 "INVALID_ARGUMENT: the request has no exec id" tool "" tar
}

@test "a tool is the guest's, and sees the container alone" {
	[[ $place == vm ]] || skip "here the guest's image is this machine"
	# The container's own programs can't be what answers: they are gone.
	execute -- busybox rm /bin/ls /bin/busybox
	tool t ls /
	[[ $(stdout_of t) == *home* ]]
	is '{"status":0}' agentctl WaitProcess "$(named t)"
	# /init is in the guest's root, and nowhere in the container's.
	tool u ls /init
	is '{"status":1}' agentctl WaitProcess "$(named u)"
}

@test "a tool has the container's rights, and no more" {
	[[ $place == vm ]] || skip "here the guest's image is this machine"
	tool t cat /proc/self/status
	stdout_of t >"$BATS_TEST_TMPDIR/status"
	agentctl WaitProcess "$(named t)"
	[[ $(grep ^CapBnd "$BATS_TEST_TMPDIR/status") == $(execute -- grep ^CapBnd /proc/self/status) ]]
	[[ $(grep ^CapEff "$BATS_TEST_TMPDIR/status") == "$(grep ^CapBnd "$BATS_TEST_TMPDIR/status" | sed s/Bnd/Eff/)" ]]
	[[ $(grep ^Seccomp: "$BATS_TEST_TMPDIR/status") == $(execute -- grep ^Seccomp: /proc/self/status) ]]
}

@test "a tool's program can't be written by the container, not even when it has ended" {
	[[ $place == vm ]] || skip "here the guest's image is this machine"
	tool t sleep 1000
	# Kept open while it runs, and opened for writing once nothing executes it any more.
	run execute -- sh -c 'pid=$(pidof sleep | tr " " "\n" | while read p; do
			grep -q 1000 /proc/$p/cmdline && [ "$(readlink /proc/$p/exe)" != /bin/busybox ] && echo $p; done | head -n 1)
		exec 9</proc/$pid/exe; kill -9 $pid; while [ -e /proc/$pid ]; do :; done; echo x >>/proc/$$/fd/9'
	[[ $status -ne 0 && $output == *"Read-only file system"* ]]
	agentctl WaitProcess "$(named t)"
}

# held EXEC: a caller holds the process, is heard, and goes without a word.
held()
{
	run agentctl script <<-END
		&hold nacre.Guest/HoldProcess $(named "$1")
		check Health.Check
		again Health.Check
		close
	END
	[[ $output == *check*again* ]]
}

# minding SCRIPT: a detached exec which says, by a line to /tmp/minds, that its trap is set; its id is $minder.
minding()
{
	execute -- sh -c 'rm -f /tmp/minds; mkfifo /tmp/minds'
	execute --detach -- sh -c "$1"
	minder=e$executed
	execute -- cat /tmp/minds
}

@test "a held process ends with its holder, and so does its group" {
	minding 'trap "exit 7" HUP; sleep 1000 & echo >/tmp/minds; wait; wait'
	held "$minder"
	is '{"status":7}' agentctl WaitProcess "$(named "$minder")"
	# One sleep is left: that of the resident container.
	run execute -- sh -c 'set -- $(pidof sleep); echo $#'
	[[ $output == 1 ]]
}

@test "a process that ignores its hang-up is killed" {
	minding 'trap "" HUP; echo >/tmp/minds; while :; do sleep 1000; done'
	held "$minder"
	is '{"status":137}' agentctl WaitProcess "$(named "$minder")"
}

@test "a released process lives on, and its holder is answered" {
	execute --detach -- sleep 1000
	run agentctl script <<-END
		&hold nacre.Guest/HoldProcess $(named e1)
		check Health.Check
		again Health.Check
		release nacre.Guest/ReleaseProcess $(named e1)
		wait hold
	END
	[[ $status -eq 0 && $output == *"hold {}"* ]]
	agentctl SignalProcess "{\"container_id\": \"$id\", \"exec_id\": \"e1\", \"signal\": 15}"
	is '{"status":143}' agentctl WaitProcess "$(named e1)"
}

@test "the end of a process answers its holder" {
	execute --detach -- sleep 0
	agentctl --timeout 60s nacre.Guest/HoldProcess "$(named e1)"
}
