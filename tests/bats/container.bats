#!/usr/bin/env bats
# Containers: created from an OCI spec, started, waited for, removed.

load helpers

setup_file() { agent_start; }
teardown_file() { agent_stop; }

@test "output, errors and exit status are the command's" {
	run --separate-stderr container -- sh -c 'echo out; echo err >&2; exit 7'
	[[ $status -eq 7 && $output == out && $stderr == err ]]
}

@test "a command ended by a signal has 128 and the signal" {
	run container -- sh -c 'sh -c "kill -9 \$\$"; exit $?'
	[[ $status -eq 137 ]]
}

@test "a command that isn't there fails at creation, with the words that everyone knows" {
	fails 125 'NOT_FOUND: exec: "nosuch": executable file not found in $PATH' container -- nosuch
	fails 125 'NOT_FOUND: exec: "/no/such": no such file or directory' container -- /no/such
}

@test "a command that can't be executed fails at creation" {
	fails 125 'PERMISSION_DENIED: exec: "/etc/passwd": permission denied' container -- /etc/passwd
	fails 125 'PERMISSION_DENIED: exec: "/etc": is a directory' container -- /etc
}

@test "nothing is left of a container that couldn't be created: its id is free" {
	fails 125 NOT_FOUND container -- nosuch
	is yes container -- echo yes
}

@test "an id is used once, and has a shape" {
	resident
	fails 125 ALREADY_EXISTS agentctl run --id "$id" $(root_options) -- true
	fails 125 INVALID_ARGUMENT agentctl run --id '../x' $(root_options) -- true
	fails 125 INVALID_ARGUMENT agentctl run --id x $(root_options) -- true
	remove
}

@test "a container waits for StartContainer, and starts once" {
	request -- echo started >"$BATS_TEST_TMPDIR/request"
	run agentctl script <<-END
		create CreateContainer $(cat "$BATS_TEST_TMPDIR/request")
	END
	run agentctl script <<-END
		start StartContainer {"container_id": "c$BATS_TEST_NUMBER"}
		read ReadStdout {"container_id": "c$BATS_TEST_NUMBER", "len": 100}
		ended WaitProcess {"container_id": "c$BATS_TEST_NUMBER"}
		again StartContainer {"container_id": "c$BATS_TEST_NUMBER"}
		remove RemoveContainer {"container_id": "c$BATS_TEST_NUMBER"}
	END
	[[ $output == *"read {\"data\":\"$(echo started | base64)\"}"* ]]
	[[ $output == *'ended {"status":0}'* ]]
	[[ $output == *"again FAILED_PRECONDITION"* ]]
	[[ $output == *'remove {}'* ]]
}

@test "an exit is told once" {
	run agentctl run --id tell $(root_options) --keep -- true
	fails 1 NOT_FOUND agentctl WaitProcess '{"container_id": "tell"}'
	agentctl RemoveContainer '{"container_id": "tell"}'
	fails 1 INVALID_ARGUMENT agentctl WaitProcess '{"container_id": "tell"}'
}

@test "environment, working directory, user and groups are the spec's" {
	is "x=1 /tmp" edited '.OCI.Process.Env += ["x=1"] | .OCI.Process.Cwd = "/tmp"' -- sh -c 'echo x=$x $(pwd)'
	is "1234 5678 5678 42" edited '.OCI.Process.User = {UID: 1234, GID: 5678, AdditionalGids: [42]}' -- \
		sh -c 'echo $(id -u) $(id -g) $(id -G)'
}

@test "HOME comes from the container's own passwd, by number" {
	is /root container -- sh -c 'echo $HOME'
}

@test "a working directory that is missing is made" {
	is /made/here edited '.OCI.Process.Cwd = "/made/here"' -- pwd
}

@test "capabilities are exactly the spec's" {
	is "CapEff 00000000a80425fb CapBnd 00000000a80425fb CapInh 0000000000000000" container -- sh -c \
		'grep -E "^Cap(Eff|Bnd|Inh)" /proc/self/status | sort -r | awk "{print substr(\$1, 1, 6), \$2}" | xargs | awk "{print \$3, \$4, \$5, \$6, \$1, \$2}"'
	is 0000000000000000 edited '.OCI.Process.Capabilities = {}' -- sh -c 'awk "/^CapBnd/ {print \$2}" /proc/self/status'
}

@test "whoever isn't root has the ambient capabilities, and no others" {
	local show='grep -E "^Cap(Prm|Eff|Amb)" /proc/self/status | sort | awk "{print \$2}" | xargs'
	local user='.OCI.Process.User = {UID: 1000, GID: 1000}'
	is "0000000000000000 0000000000000000 0000000000000000" edited "$user" -- sh -c "$show"
	is "0000000000000400 0000000000000400 0000000000000400" edited "$user |
		.OCI.Process.Capabilities |= (.Inheritable = [\"CAP_NET_BIND_SERVICE\"] | .Ambient = .Inheritable)" -- sh -c "$show"
}

@test "no_new_privs, oom score and rlimits are the spec's" {
	is "1 500 64" edited '.OCI.Process.NoNewPrivileges = true | .OCI.Process.OOMScoreAdj = 500 |
		.OCI.Process.Rlimits = [{Type: "RLIMIT_NOFILE", Soft: 64, Hard: 128}]' -- sh -c \
		'echo $(awk "/^NoNewPrivs/ {print \$2}" /proc/self/status) $(cat /proc/self/oom_score_adj) $(ulimit -n)'
	is 0 container -- cat /proc/self/oom_score_adj
}

@test "a seccomp profile is in force" {
	local profile='{DefaultAction: "SCMP_ACT_ALLOW", Syscalls: [{Names: ["mkdir", "mkdirat", "no_such_call"],
		Action: "SCMP_ACT_ERRNO", errnoret: 1}]}'
	run edited ".OCI.Linux.Seccomp = $profile" -- mkdir /tmp/x
	[[ $status -eq 1 && $output == *"Operation not permitted"* ]]
	run edited ".OCI.Linux.Seccomp = $profile | .OCI.Process.NoNewPrivileges = true" -- mkdir /tmp/x
	[[ $status -eq 1 && $output == *"Operation not permitted"* ]]
}

@test "a read-only root can't be written" {
	run edited '.OCI.Root.Readonly = true' -- touch /x
	[[ $status -eq 1 && $output == *"Read-only file system"* ]]
}

@test "masked and read-only paths hide and keep" {
	is "" container -- cat /proc/timer_list
	run container -- sh -c 'echo 1 > /proc/sys/kernel/panic'
	[[ $status -ne 0 && $output == *"Read-only file system"* ]]
	is 0 edited '.OCI.Linux.MaskedPaths += ["/etc"]' -- sh -c 'ls -A /etc | wc -l'
}

@test "mounts of the spec are made in order, with their options" {
	run edited '.OCI.Mounts += [{destination: "/mnt/deep/down", type: "tmpfs", source: "tmpfs",
		options: ["size=1m", "noexec", "mode=700"]}]' -- sh -c 'grep /mnt/deep/down /proc/mounts; stat -c %a /mnt/deep/down'
	[[ ${lines[0]} == *noexec* && ${lines[0]} == *size=1024k* && ${lines[1]} == 700 ]]
}

@test "the devices of a container are there, and no others can be opened" {
	run container -- sh -c 'exec 2>&1; for d in null zero full random urandom tty; do [ -c /dev/$d ] || echo no $d; done
		ls -d /dev/fd /dev/stdin /dev/ptmx /dev/shm /dev/pts | wc -l
		mknod /tmp/disk b 254 0; mknod /tmp/kmsg c 1 11; head -c 1 /tmp/disk; head -c 1 /tmp/kmsg; echo $?'
	[[ ${lines[0]} == 5 ]]
	[[ $output == *"/tmp/disk: Operation not permitted"* && $output == *"/tmp/kmsg: Operation not permitted"* ]]
}

@test "nothing but stdin, stdout and stderr is open" {
	is $'0\n1\n2' container -- sh -c 'ls /proc/1/fd; true'
}

@test "what the agent doesn't know in a spec is named, and ends nothing" {
	# But for capabilities: those are left out.
	is "" edited '.OCI.Process.Capabilities.Bounding = ["CAP_NONSENSE"]' -- true
	fails 125 RLIMIT_NONSENSE edited '.OCI.Process.Rlimits = [{Type: "RLIMIT_NONSENSE"}]' -- true
	fails 125 SCMP_ACT_NONSENSE edited '.OCI.Linux.Seccomp = {DefaultAction: "SCMP_ACT_NONSENSE"}' -- true
	fails 125 nonsense edited '.OCI.Linux.Namespaces += [{Type: "nonsense"}]' -- true
	fails 125 INVALID_ARGUMENT edited 'del(.OCI)' -- true
	is '{"status":"SERVING"}' agentctl Health.Check
}

@test "a root with links that lead out leads nowhere" {
	[[ $place == local ]] || skip "needs a root that the test can prepare"
	local outside=$BATS_TEST_TMPDIR/outside
	mkdir "$outside"
	cp -a "$AGENT_DIR/rootfs" "$BATS_TEST_TMPDIR/root"
	ln -s "$outside" "$BATS_TEST_TMPDIR/root/data"
	ln -s "../../../../../../../..$outside" "$BATS_TEST_TMPDIR/root/up"
	agentctl run --id links --rootfs "$BATS_TEST_TMPDIR/root" --print -- true |
		jq -c '.OCI.Mounts += [{destination: "/data/x", type: "tmpfs", source: "tmpfs"},
			{destination: "/up/y", type: "tmpfs", source: "tmpfs"}]' >"$BATS_TEST_TMPDIR/request"
	agentctl run --request "$BATS_TEST_TMPDIR/request" || true
	[[ -z $(ls -A "$outside") ]]
}

@test "a SIGKILL that a removal overtakes has been carried out" {
	resident
	run agentctl script <<-END
		$(for i in {1..6}; do echo "&kill$i SignalProcess {\"container_id\": \"$id\", \"signal\": 9}"; done)
		remove RemoveContainer {"container_id": "$id"}
	END
	echo "$output"
	[[ $status -eq 0 && $(grep -cE '^(kill[1-6]|remove) \{\}$' <<<"$output") -eq 7 ]]
}

@test "removal ends everything of a container, also what ignores signals" {
	resident
	execute --detach -- sh -c 'trap "" TERM INT HUP; while :; do sleep 1000; done'
	is '{}' remove
	fails 1 INVALID_ARGUMENT agentctl SignalProcess "{\"container_id\": \"$id\", \"signal\": 0}"
}
