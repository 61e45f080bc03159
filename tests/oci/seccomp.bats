#!/usr/bin/env bats
# OCI config-linux.md "Seccomp", "The Container Process State".

load helpers

setup_file() { place_start; }
teardown_file() { place_stop; }

# seccomp ACTION [MORE]: a filter that is about mkdir, with a rule's further members.
seccomp() { echo ".linux.seccomp = {defaultAction: \"SCMP_ACT_ALLOW\", syscalls: [{names: [\"mkdir\", \"mkdirat\"], action: \"$1\"${2:+, $2}}]}"; }

@test "every action" {
	fails 1 "Operation not permitted" boxed "$(seccomp SCMP_ACT_ERRNO)" mkdir /tmp/x
	fails 1 "File exists" boxed "$(seccomp SCMP_ACT_ERRNO "errnoRet: 17")" mkdir /tmp/x
	# Without a tracer that is ENOSYS.
	fails 1 "not implemented" boxed "$(seccomp SCMP_ACT_TRACE "errnoRet: 3")" mkdir /tmp/x
	is "" boxed "$(seccomp SCMP_ACT_LOG)" mkdir /tmp/x
	is "" boxed "$(seccomp SCMP_ACT_ALLOW)" mkdir /tmp/x
	# SIGSYS, from all of these.
	local action
	for action in KILL KILL_THREAD KILL_PROCESS TRAP; do
		is 159 boxed "$(seccomp SCMP_ACT_$action)" sh -c '(mkdir /tmp/x) 2>/dev/null; echo $?'
	done
	is 2 boxed "$(seccomp SCMP_ACT_ERRNO)" sed -n "s/^Seccomp:.//p" /proc/self/status
}

@test "the default, its errno, and arguments" {
	# Nothing but reading is left to it, not even an end: it has to be no process that stays.
	fails 132 "" boxed '.process.noNewPrivileges = true | .linux.seccomp = {defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 36, syscalls: [{names: ["read"], action: "SCMP_ACT_ALLOW"}]}' true
	fails 1 "" boxed '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["kill"], action: "SCMP_ACT_ERRNO", args: [{index: 1, value: 15, op: "SCMP_CMP_EQ"}]}]}' sh -c 'kill -TERM 1'
	is "" boxed '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["kill"], action: "SCMP_ACT_ERRNO", args: [{index: 1, value: 15, op: "SCMP_CMP_EQ"}]}]}' sh -c 'kill -CONT 1'
}

@test "every word of the specification is known, and no other" {
	is "" boxed '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", flags: ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
		architectures: (["X86", "X86_64", "X32", "ARM", "AARCH64", "MIPS", "MIPS64", "MIPS64N32", "MIPSEL", "MIPSEL64", "MIPSEL64N32", "PPC", "PPC64", "PPC64LE", "S390", "S390X", "PARISC", "PARISC64", "RISCV64", "LOONGARCH64", "M68K", "SH", "SHEB"] | map("SCMP_ARCH_" + .)),
		syscalls: [["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"][] | {names: ["mkdir", "no_such_call"], action: "SCMP_ACT_ERRNO", args: [{index: 5, value: 12345, valueTwo: 12345, op: ("SCMP_CMP_" + .)}]}]}' true
	fails 125 'unknown seccomp action "SCMP_ACT_NONE"' boxed "$(seccomp SCMP_ACT_NONE)" true
	fails 125 'unknown seccomp flag "X"' boxed "$(seccomp SCMP_ACT_ERRNO) | .linux.seccomp.flags = [\"X\"]" true
	fails 125 'unknown seccomp architecture "X"' boxed "$(seccomp SCMP_ACT_ERRNO) | .linux.seccomp.architectures = [\"X\"]" true
	fails 125 'unknown seccomp operator "X"' boxed "$(seccomp SCMP_ACT_ERRNO 'args: [{index: 0, value: 0, op: "X"}]')" true
	fails 125 "seccomp argument index 6 is out of range" boxed "$(seccomp SCMP_ACT_ERRNO 'args: [{index: 6, value: 0, op: "SCMP_CMP_EQ"}]')" true
	fails 125 "seccomp action SCMP_ACT_KILL takes no errno" boxed "$(seccomp SCMP_ACT_KILL "errnoRet: 1")" true
	fails 125 "seccomp errno 65536 is out of range" boxed "$(seccomp SCMP_ACT_ERRNO "errnoRet: 65536")" true
	fails 125 "SCMP_ACT_NOTIFY needs a listener" boxed "$(seccomp SCMP_ACT_NOTIFY)" true
	fails 125 "SCMP_ACT_NOTIFY can't be the default" boxed '.linux.seccomp = {defaultAction: "SCMP_ACT_NOTIFY", listenerPath: "/x"}' true
	fails 125 "nobody can be notified of sendmsg" boxed '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", listenerPath: "/x", syscalls: [{names: ["sendmsg"], action: "SCMP_ACT_NOTIFY"}]}' true
	is "" left
}

@test "a listener gets the descriptor and the state, before and after no_new_privs" {
	[[ $place == local ]] || skip "the guest has no program that answers notifications"
	local privileges
	for privileges in false true; do
		bundle "$(seccomp SCMP_ACT_NOTIFY) | .linux.seccomp.listenerPath = \"$oci/agent$privileges\" | .linux.seccomp.listenerMetadata = \"some \\\"data\\\"\"
			| .process.noNewPrivileges = $privileges | .process.args = [\"mkdir\", \"/tmp/x\"] | .annotations = {\"com.example\": \"1\"}"
		timeout 60 "$BATS_TEST_DIRNAME/seccomp_agent.py" "$oci/agent$privileges" >"$BATS_TEST_TMPDIR/agent" 3>&- &
		timeout 20 sh -c 'until test -S "$1"; do :; done' - "$oci/agent$privileges"
		fails 1 "Filename too long" box run --bundle "$bundle" --pid-file "$bundle/pid" "$id"
		is "1 [\"seccompFd\"] $(in_place "cat $bundle/pid") some \"data\" $id $bundle 1" \
			sh -c 'read -r count state <"$0"; echo "$count $(printf %s "$state" | jq -r "\"\(.fds) \(.pid) \(.metadata) \(.state.id) \(.state.bundle) \(.state.annotations[])\"")"' "$BATS_TEST_TMPDIR/agent"
		wait $!
	done
	# Nobody there: the creation fails, or the start.
	fails 125 "connect to the seccomp agent at $oci/nobody: No such file or directory" boxed "$(seccomp SCMP_ACT_NOTIFY) | .linux.seccomp.listenerPath = \"$oci/nobody\"" true
	fails 125 "connect to the seccomp agent at $oci/nobody" boxed "$(seccomp SCMP_ACT_NOTIFY) | .linux.seccomp.listenerPath = \"$oci/nobody\" | .process.noNewPrivileges = true" true
	is "" left
}

@test "a process that is added has a listener of its own, with its pid" {
	[[ $place == local ]] || skip "the guest has no program that answers notifications"
	local privileges
	for privileges in false true; do
		bundle "$(seccomp SCMP_ACT_NOTIFY) | .linux.seccomp.listenerPath = \"$oci/exec$privileges\" | .process.args = [\"sleep\", \"1000\"]"
		timeout 60 "$BATS_TEST_DIRNAME/seccomp_agent.py" "$oci/exec$privileges" 2 >"$BATS_TEST_TMPDIR/agent" 3>&- &
		timeout 20 sh -c 'until test -S "$1"; do :; done' - "$oci/exec$privileges"
		box run --detach --bundle "$bundle" "$id"
		in_place "echo '{\"args\": [\"mkdir\", \"/tmp/x\"], \"cwd\": \"/\", \"user\": {\"uid\": 0, \"gid\": 0}, \"env\": [\"PATH=/bin\"], \"noNewPrivileges\": $privileges}' >$bundle/process"
		fails 1 "Filename too long" box exec --process "$bundle/process" --pid-file "$bundle/pid" "$id"
		is "1 $(in_place "cat $bundle/pid") $id running" \
			sh -c 'sed 1d "$0" | { read -r count state; echo "$count $(printf %s "$state" | jq -r "\"\(.pid) \(.state.id) \(.state.status)\"")"; }' "$BATS_TEST_TMPDIR/agent"
		box delete --force "$id"
		wait $!
	done
	is "" left
}
