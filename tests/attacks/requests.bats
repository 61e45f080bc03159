#!/usr/bin/env bats
# Hostile or senseless input of the host's runtime, and of what a container puts in its way.

load attacks

setup_file() { attacks_start; }
teardown_file() { agent_stop; }

shared=/run/kata-containers/shared/containers
outside=$field/outside

# copy PATH MODE TEXT [FIELDS]
copy()
{
	agentctl CopyFile "$(jq -cn --arg p "$1" --argjson m "$2" --arg t "$3" '{path: $p, file_mode: $m, dir_mode: 511,
		file_size: ($t | length), data: ($t | @base64), uid: 4711, gid: 4711} + '"${4:-{\}}")"
}

agent_pid() { guest 'for p in /proc/[0-9]*; do [ "$(cut -d" " -f4 $p/stat)" = 1 ] && [ "$(readlink $p/exe)" = /init ] && echo ${p#/proc/}; done; true'; }

@test "A03 CopyFile doesn't leave the shared folder, by links of a container, and of its own" {
	local path
	guest "echo kept >$outside/passwd; chmod 600 $outside/passwd"
	attacker planter ".OCI.Mounts += [$(bind $shared /shared)]" -- sleep 100000
	remember_guest
	for path in passwd dir/passwd; do
		inside planter -- sh -c "cd /shared; rm -rf x d f.tmp dir; ln -s $outside x; ln -s ../../../../../../../../$outside d; ln -s $outside/passwd f.tmp; ln -s / dir"
		copy "$shared/x/$path" $((8#100666)) changed
		copy "$shared/d/new" $((8#100666)) changed
		copy "$shared/dir/new" $((8#040777)) ""
		run copy "$shared/f" $((8#100666)) changed '{offset: 2, file_size: 9}'
		copy "$shared/x" $((8#100666)) "a file now"
		copy "$shared/d" $((8#040777)) ""
		copy "$shared/link" $((8#120777)) "$outside"
		copy "$shared/link/deep/passwd" $((8#100666)) changed
		run copy "$shared/link/passwd" $((8#100666)) changed '{offset: 1, file_size: 100}'
	done
	for path in ../x x/../../../x /x ./x "" x/./y x//y; do
		fails 1 INVALID_ARGUMENT copy "$shared/$path" $((8#100666)) changed
	done
	[[ $(guest "cat $outside/passwd; stat -c '%a %u' $outside/passwd; ls $outside") == $'kept\n600 0\npasswd' ]]
	# What went by the links is in the folder.
	guest "grep -rl changed $shared"
	[[ $(guest "grep -rl changed $shared") == *passwd* ]]
	untouched
	removed planter
	guest "rm $outside/passwd"
	precondition "the files that went through the links are below the shared folder, 7 paths refused"
}

@test "A09 a file of a cgroup that never answers holds up neither signals nor removal" {
	local begun ended
	attacker blocked . -- sleep 100000
	guest 'mknod /run/never p; mount --bind /run/never /sys/fs/cgroup/nacre-tests/blocked/memory.stat'
	agentctl script >"$BATS_TEST_TMPDIR/answers" <<-'END' &
		&stats StatsContainer {"container_id": "blocked"}
		check Health.Check
		killed SignalProcess {"container_id": "blocked", "signal": 9}
		ended WaitProcess {"container_id": "blocked"}
		close
	END
	begun=$(date +%s%N)
	wait $! || true # the call that waited was cut
	ended=$(date +%s%N)
	cat "$BATS_TEST_TMPDIR/answers"
	[[ $(grep -n . "$BATS_TEST_TMPDIR/answers") == *'killed {}'*'ended {"status":137}'* ]]
	none '^stats \{"' "$(sed '/^ended/q' "$BATS_TEST_TMPDIR/answers")"
	(((ended - begun) / 1000000 < 1000))
	guest 'umount /sys/fs/cgroup/nacre-tests/blocked/memory.stat; rm /run/never'
	removed blocked
	precondition "StatsContainer waited for memory.stat; check, kill and wait took $(((ended - begun) / 1000000)) ms"
}

@test "A29 sysctls name one file of the container's own, whatever key and value say" {
	local key count=0 pattern
	pattern=$(guest 'cat /proc/sys/kernel/core_pattern')
	for key in kernel.core_pattern kernel.hostname net/ipv4/ip_forward net..x net.ipv4.ip_forward/ vm.swappiness \
		net.ipv4.../../kernel/core_pattern $'net.x\nkernel.core_pattern' fs.mqueue.../core kernel/core_pattern kernel..core_pattern \
		kernel.msgmax/../core_pattern; do
		jq -cn --arg key "$key" '{($key): "|/bin/false"}' >"$BATS_TEST_TMPDIR/sysctl"
		attacker_request sysctl ".OCI.Linux.Sysctl = $(cat "$BATS_TEST_TMPDIR/sysctl")" -- true
		fails 125 sysctl agentctl run --request "$BATS_TEST_TMPDIR/sysctl"
		count=$((count + 1))
	done
	attacker_request sysctl '.OCI.Linux.Sysctl = {"kernel.msgmax": "1111\nkernel.core_pattern=x", "kernel.msgmni": "222+kernel.core_pattern=|/x"}' -- true
	run agentctl run --request "$BATS_TEST_TMPDIR/sysctl"
	echo "$output"
	attacker_request sysctl '.OCI.Linux.Sysctl = {"kernel.msgmax": "4711"}' -- cat /proc/sys/kernel/msgmax
	is 4711 agentctl run --request "$BATS_TEST_TMPDIR/sysctl"
	[[ $(guest 'cat /proc/sys/kernel/core_pattern') == "$pattern" ]]
	precondition "$count keys refused, two values with more in them changed nothing else, kernel.msgmax was set"
}

@test "A31 hooks are never programs of a container's root" {
	prepared a31 "printf '#!/bin/sh\necho ran >$outside/hooked; echo ran >/hooked\n' >hook; chmod 755 hook; cp hook bin/hook"
	remember_guest
	# It could run.
	is ran hostile a31 . -- sh -c '/hook 2>/dev/null; cat /hooked'
	guest "rm -f $field/a31/hooked"
	local kind path tried=0
	# By its name in the container, by the guest's for that, and as a file that a container has put into the shared folder.
	guest "cp $field/a31/hook $shared/hook"
	for kind in Prestart CreateRuntime CreateContainer Poststart Poststop; do
		for path in /hook ../hook hook /run/kata-containers/a31/rootfs/hook $shared/hook; do
			run hostile a31 ".OCI.Hooks = {$kind: [{Path: \"$path\", Args: [\"hook\"], Timeout: 5}]}" -- true
			echo "$kind $path: $status $output"
			[[ $(guest "ls $field/a31/hooked $outside/hooked 2>/dev/null; true") == "" ]]
			[[ $path != /run/* || $status -eq 0 || $output == *"not the guest's own"* ]]
			tried=$((tried + 1))
		done
	done
	guest "rm $shared/hook"
	untouched
	precondition "a program that works in the container was named by $tried hooks, and ran for none"
}

@test "W2 masked folders are empty" {
	prepared w2 'mkdir -p secret/deep; echo hidden >secret/deep/file; ln -s secret link'
	is "hidden" hostile w2 . -- cat /secret/deep/file
	is "" hostile w2 '.OCI.Linux.MaskedPaths += ["/secret"]' -- ls -A /secret
	run hostile w2 '.OCI.Linux.MaskedPaths += ["/link"]' -- sh -c 'ls -A /secret; touch /secret/new'
	[[ $output == *"Read-only"* || $output == *"No space"* ]]
	precondition "the folder shows its file without the mask; by a link too it is masked"
}

@test "W3 an AppArmor profile that isn't applied is told of, and so are capabilities that can't be ambient" {
	attacker_request labelled '.OCI.Process.ApparmorProfile = "nothing-like-it"' -- true
	agentctl run --request "$BATS_TEST_TMPDIR/labelled"
	grep -q 'this guest has no AppArmor, profile .*nothing-like-it' "$AGENT_DIR/console.log"
	attacker_request labelled '.OCI.Process.SelinuxLabel = "u:r:t:s0"' -- true
	fails 125 SELinux agentctl run --request "$BATS_TEST_TMPDIR/labelled"
	attacker_request labelled '.OCI.Process.Capabilities.Ambient = ["CAP_CHOWN"] | .OCI.Process.Capabilities.Inheritable = []' \
		-- sed -n 's/^CapAmb:.//p' /proc/self/status
	is 0000000000000000 agentctl run --request "$BATS_TEST_TMPDIR/labelled"
	grep -q "ambient capabilities that can't be given are left out: CAP_CHOWN" "$AGENT_DIR/console.log"
	precondition "profile and capability are in the log, a label is refused by name; without them the same container runs"
	attacker_request labelled . -- true
	agentctl run --request "$BATS_TEST_TMPDIR/labelled"
}

@test "W4 lengths in requests size nothing" {
	local pid before after
	pid=$(agent_pid)
	before=$(guest "sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' /proc/$pid/status")
	attacker long . -- sh -c 'echo short; sleep 100000'
	is '{"data":"c2hvcnQK"}' agentctl ReadStdout '{"container_id": "long", "len": 4294967295}'
	removed long
	# A termination log of 64 MiB: its first 4096 bytes.
	guest "dd if=/dev/zero bs=1M count=64 2>/dev/null | tr '\\0' x >$shared/huge"
	attacker long ".OCI.Annotations = {\"io.kubernetes.container.terminationMessagePath\": \"/log\"} |
		.OCI.Mounts += [$(bind $shared/huge /log)]" -- sleep 100000
	[[ $(agentctl GetDiagnosticData '{"log_type": "termination_log", "container_id": "long"}' | jq -r '.data | length') -eq 4096 ]]
	guest "rm $shared/huge"
	after=$(guest "sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' /proc/$pid/status")
	[[ $(agent_pid) == "$pid" ]]
	echo "$before $after"
	((after < before + 8192))
	removed long
	precondition "a read of 4 GiB answered with what there was, a log of 64 MiB with 4096 bytes; the agent's memory went from $before to $after KiB at most"
}

@test "W5 words that mean nothing are the request's fault, and the agent lives" {
	local filter pid count=0
	pid=$(agent_pid)
	# Of capabilities they give nothing: that is OCI's rule (docs/compatibility.md).
	attacker_request words '.OCI.Process.Capabilities = {Bounding: ["CAP_CHOWN", "CAP_NOTHING"], Ambient: ["NOTHING"]}' \
		-- sed -n 's/^Cap\(Bnd\|Amb\):[^0-9]*//p' /proc/self/status
	is $'0000000000000001\n0000000000000000' agentctl run --request "$BATS_TEST_TMPDIR/words"
	for filter in '.OCI.Process.Rlimits = [{Type: "RLIMIT_NOTHING", Hard: 1, Soft: 1}]' '.OCI.Linux.Seccomp = {DefaultAction: "SCMP_ACT_NOTHING"}' \
		'.OCI.Linux.Seccomp = {DefaultAction: "SCMP_ACT_ALLOW", Architectures: ["SCMP_ARCH_NOTHING"]}' \
		'.OCI.Linux.Namespaces += [{Type: "nothing"}]' '.OCI.Linux.RootfsPropagation = "nothing"' \
		'.OCI.Linux.Resources.Devices = [{Allow: true, Type: "x", Access: "rwm"}]'; do
		attacker_request words "$filter" -- true
		fails 125 INVALID_ARGUMENT agentctl run --request "$BATS_TEST_TMPDIR/words"
		count=$((count + 1))
	done
	[[ $pid && $(agent_pid) == "$pid" ]]
	precondition "$count words refused as INVALID_ARGUMENT, and unknown capabilities left out, by the same agent"
}

@test "W6 a removed container is gone, with its processes and cgroup, when the answer comes" {
	attacker many . -- sh -c 'trap "" TERM; for i in 1 2 3 4 5 6 7 8 9 10; do (trap "" TERM; sleep 100000) & done; echo up; wait'
	says many up
	[[ $(guest 'wc -l </sys/fs/cgroup/nacre-tests/many/cgroup.procs') -ge 11 ]]
	removed many
	[[ $(guest 'ls -d /sys/fs/cgroup/nacre-tests/many /run/kata-containers/many 2>/dev/null; grep -l /nacre-tests/many /proc/[0-9]*/cgroup 2>/dev/null; true') == "" ]]
	precondition "more than ten processes, deaf to SIGTERM, were in its cgroup"
}

@test "W7 a second CreateSandbox removes nothing" {
	guest "echo here >$shared/here"
	fails 1 ALREADY_EXISTS agentctl CreateSandbox '{"sandbox_id": "other", "hostname": "other"}'
	is here guest "cat $shared/here; rm $shared/here"
	[[ $(guest "ls $field/base/bin/busybox") ]]
	precondition "the shared folder's file and the sandbox's storage were still there"
}

@test "W9 a reader gets its end though a grandchild keeps the pipe open" {
	local begun
	attacker holder . -- sh -c 'sleep 100000 & echo said'
	begun=$(date +%s)
	is said sh -c 'agentctl ReadStdout "{\"container_id\": \"holder\", \"len\": 100}" | jq -r .data | base64 -d'
	agentctl WaitProcess '{"container_id": "holder"}' >/dev/null
	is '{"data":""}' timeout 20 agentctl ReadStdout '{"container_id": "holder", "len": 100}'
	# The first process is gone, and with its pid namespace the grandchild as well: so the same for an exec.
	removed holder
	attacker holder . -- sleep 100000
	inside holder --detach -- sh -c 'sleep 300000 & echo said'
	is said sh -c 'agentctl ReadStdout "{\"container_id\": \"holder\", \"exec_id\": \"e'"$executed"'\", \"len\": 100}" | jq -r .data | base64 -d'
	is '{"data":""}' timeout 20 agentctl ReadStdout "{\"container_id\": \"holder\", \"exec_id\": \"e$executed\", \"len\": 100}"
	[[ $(inside holder -- sh -c 'grep -l 300000 /proc/[0-9]*/cmdline') ]]
	removed holder
	precondition "the grandchild that has the pipe was alive when the end was read"
}
