# What the attacks share: a guest with two processors for all attacks of a file, roots that are prepared in it, a look at
# the guest as its root has it, and the line that each attack leaves in the log.
#
# A test is named by its attack's number. It says by `precondition` what it has seen of the attack being carried out, and
# has to: a test that could have passed by doing nothing fails.

# shellcheck shell=bash
export NACRE_TEST_PLACE=vm
load ../bats/helpers

# Where the guest keeps what the attacks are about.
field=/run/attacks

# rounds FEW MANY: how often what is a matter of luck is tried; MANY in the full run.
rounds() { [[ ${NACRE_TEST_FULL:-} ]] && echo "$2" || echo "$1"; }

# In setup_file, for vm_start: the guest's settings may be added to by VM_APPEND and VM_ARGUMENTS, and VM_CPUS=2 is for races. The
# debug shell is the judge's.
attacks_start()
{
	local stage=$BATS_FILE_TMPDIR/stage

	cp -a "$build/rootfs-busybox" "$stage"
	cp -a "$build/attacks" "$stage/attacks"
	mkfs.erofs "$BATS_FILE_TMPDIR/root.erofs" "$stage" >/dev/null 2>&1
	export VM_APPEND="agent.debug_console agent.debug_console_vport=1026 ${VM_APPEND:-}"
	# shellcheck disable=SC2046
	agent_start "{\"sandbox_id\": \"sandbox\", \"hostname\": \"boxed\", \"storages\": [{\"driver\": \"mmioblk\",
		\"source\": \"$(root_options | cut -d' ' -f2)\", \"fstype\": \"erofs\", \"options\": [\"ro\"], \"mount_point\": \"$field/base\"}]}"
	guest "mkdir -p $field/outside"
}

# guest SCRIPT: runs it as the guest's root, by the debug shell; prints what it prints, and has its status.
guest()
{
	local script=/run/kata-containers/shared/containers/judge-script output status

	agentctl CopyFile "$(jq -cn --arg p "$script" --arg t "$1"$'\n' '{path: $p, file_mode: 33188, dir_mode: 493,
		file_size: ($t | length), data: ($t | @base64)}')" >/dev/null
	# The words are put together by the shell, so that they aren't what its terminal echoes.
	printf 'w=judged; echo "$w-begin"; sh %s; echo "$w-end $?"; exit\n' "$script" >"$BATS_FILE_TMPDIR/typed"
	output=$(timeout 60 "$top/tests/bats/port.py" console 1026 "judged-end" <"$BATS_FILE_TMPDIR/typed" | tr -d '\r')
	status=${output##*judged-end }
	output=$(sed -n '/^judged-begin$/,/^judged-end /{//!p}' <<<"$output")
	[[ ! $output ]] || echo "$output"
	return "${status%%[!0-9]*}"
}

# prepared NAME [SCRIPT]: a container's root at $field/NAME in the guest, as SCRIPT, which is run there, has made it.
prepared()
{
	guest "rm -rf $field/$1 && cp -a $field/base $field/$1 && cd $field/$1 && { ${2:-:}
	}"
}

# hostile NAME FILTER [OPTION...] -- COMMAND...: a container on that root, its request changed by a jq filter.
hostile()
{
	local name=$1 filter=$2

	shift 2
	hostile_request "$name" "$filter" "$@" >"$BATS_TEST_TMPDIR/request"
	agentctl --timeout 60s run --request "$BATS_TEST_TMPDIR/request"
}

hostile_request()
{
	local name=$1 filter=$2

	shift 2
	agentctl run --id "$name" --rootfs "$field/$name" --print "$@" | jq -c "$filter"
}

# In setup_file there is no test yet.
folder() { echo "${BATS_TEST_TMPDIR:-$BATS_FILE_TMPDIR}"; }

# attacker_request NAME FILTER -- COMMAND...: the request for a container on the usual root, in $BATS_TEST_TMPDIR/NAME.
attacker_request()
{
	local name=$1 filter=$2

	shift 2
	# shellcheck disable=SC2046
	agentctl run --id "$name" $(root_options) --print "$@" | jq -c "$filter" >"$(folder)/$name"
}

# attacker NAME FILTER -- COMMAND...: runs it in the background, until it is `removed`.
attacker()
{
	attacker_request "$@"
	agentctl --timeout 60s run --request "$(folder)/$1" --keep --detach
}

removed() { agentctl RemoveContainer "{\"container_id\": \"$1\"}" >/dev/null; }

# inside NAME [OPTION...] -- COMMAND...: an exec, whose id is e$executed.
inside()
{
	local name=$1

	shift
	executed=$(mktemp -u XXXXXXXXXX) # also in subshells, where a count would be lost
	agentctl --timeout 60s exec --id "$name" --exec-id "e$executed" "$@"
}

# stopped NAME: tells its first process, which waits for /tmp/stop, to end. At that moment all of the container's processes are
# killed, and the one that has told it may be among them.
stopped() { inside "$1" -- touch /tmp/stop || [[ $? -eq 137 ]]; }

# output_of NAME [EXEC]: what its first process, or that exec, writes until it ends, and then its status.
output_of()
{
	local data

	while data=$(agentctl ReadStdout "{\"container_id\": \"$1\", \"exec_id\": \"${2:-}\", \"len\": 65536}" | jq -r .data) && [[ $data ]]; do
		base64 -d <<<"$data"
	done
	agentctl WaitProcess "{\"container_id\": \"$1\", \"exec_id\": \"${2:-}\"}"
}

# says NAME TEXT [EXEC]: waits until it has written a line with TEXT.
says()
{
	local data text=

	while [[ $text != *"$2"* ]]; do
		data=$(agentctl ReadStdout "{\"container_id\": \"$1\", \"exec_id\": \"${3:-}\", \"len\": 4096}" | jq -r .data)
		[[ $data ]] || return 1
		text+=$(base64 -d <<<"$data")
	done
}

# capability NAME...: a jq filter that gives a container these, beside what it has.
capability()
{
	printf '.OCI.Process.Capabilities |= map_values(. + %s)' "$(jq -cn '$ARGS.positional | map("CAP_" + .)' --args "$@")"
}

# bind SOURCE TARGET [OPTION...]: a mount, for a jq filter.
bind()
{
	jq -cn '{destination: $ARGS.positional[1], type: "bind", source: $ARGS.positional[0],
		options: (["rbind"] + $ARGS.positional[2:])}' --args "$@"
}

# The guest as no attack may change it: what can be written to, and what is mounted. A tool that can't do its part shows in it.
guest_picture()
{
	guest "cat /proc/sys/kernel/core_pattern; ls -ln /dev /dev/shm /tmp | grep -v ' pts\$'; find $field/outside /etc /bin | sort
		grep -r '' $field/outside | sort; ls -a /
		cut -d' ' -f4- /proc/1/mountinfo | grep -v -e /run/kata-containers/ -e /run/nacre-agent/ | sort; ls -ln /init"
}

remember_guest()
{
	guest_picture >"$BATS_TEST_TMPDIR/picture"
	none "unrecognized|No such file" "$(cat "$BATS_TEST_TMPDIR/picture")" || {
		cat "$BATS_TEST_TMPDIR/picture"
		return 1
	}
	grep -qx "$field/outside" "$BATS_TEST_TMPDIR/picture"
}

untouched()
{
	guest_picture | diff -u "$BATS_TEST_TMPDIR/picture" - || {
		echo "the guest has been changed"
		return 1
	}
}

# none PATTERN TEXT: no line of it matches.
none() { [[ $(grep -cE -- "$1" <<<"$2") -eq 0 ]]; }

# precondition TEXT: what shows that the attack was carried out.
precondition()
{
	preconditions+=${preconditions:+, }$1
}

setup() { preconditions=; }

# Each test's line. Those of several tests for one attack become one in tests/attacks/account.
teardown()
{
	local name=${BATS_TEST_DESCRIPTION%% *}

	if [[ ! ${BATS_TEST_COMPLETED:-} ]]; then
		preconditions="NOT BLOCKED by: $BATS_TEST_DESCRIPTION"
	elif [[ ! $preconditions ]]; then
		preconditions="NOT SHOWN by: $BATS_TEST_DESCRIPTION"
	fi
	[[ ! ${NACRE_ATTACKS:-} ]] || echo "$name $preconditions" >>"$NACRE_ATTACKS"
	[[ $preconditions != "NOT "* ]]
}
