#!/usr/bin/env bats
# What a container could get of the processes that the agent makes in it, and through them.

load attacks

# The sandbox's first container, so its pid namespace is the one that others can have: the attacker in the pod.
setup_file()
{
	VM_CPUS=2 attacks_start
	attacker pod "$(capability SYS_PTRACE DAC_READ_SEARCH)" -- sleep 100000
}

teardown_file() { agent_stop; }

# First, while the numbers of processes are low: they go round below it.
@test "A07 an exec goes to the container that was meant, or nowhere, when its first process's number is another's" {
	local pid other
	# Those below 300 are never given again.
	guest 'for i in $(seq 400); do (:); done'
	attacker dead . -- sleep 100000
	pid=$(guest 'for p in $(pidof sleep); do grep -q /nacre-tests/dead /proc/$p/cgroup && echo $p; done; true')
	((pid > 300))
	agentctl SignalProcess '{"container_id": "dead", "signal": 9}' >/dev/null
	agentctl WaitProcess '{"container_id": "dead"}' >/dev/null
	# Numbers are given in turn: soon a process of the guest's root has it.
	other=$(guest "echo $((pid + 100)) >/proc/sys/kernel/pid_max
		for i in \$(seq 2000); do sleep 100000 </dev/null >/dev/null 2>&1 & [ \$! = $pid ] && { echo \$!; break; }; kill \$!; wait \$! 2>/dev/null; done
		echo 32768 >/proc/sys/kernel/pid_max")
	[[ $other == "$pid" ]]
	run inside dead -- ls /init
	echo "$output"
	[[ $status -eq 125 && $output == *"isn't running"* ]]
	removed dead
	guest "kill $pid" || true
	precondition "number $pid of the container's first process was a process of the guest's root"
}

secret=(hidden-by the-neighbour)

# neighbour: a container that has the secret in its environment, for as long as the test wants it.
neighbour()
{
	attacker neighbour ".OCI.Process.Env += [\"SECRET=${secret[0]}${secret[1]}\"]" -- sleep 100000
}

# watched CAPABILITIES EXECS: an observer in a container, while so many execs are made there; its findings are $findings, and
# seen, early, traced, refused and searched are what it counted.
watched()
{
	local filter=$1 count=$2 request line

	attacker watched "$filter | .OCI.Process.Env += [\"OWN=part-of-the-exec\"]" -- \
		/attacks/observe new /tmp/stop /bin/busybox OWN=part-of-the-exec "${secret[@]}"
	says watched ready
	request=$(agentctl exec --id watched --exec-id EXEC --print -- true |
		jq -c '.process.Env += ["OWN=part-of-the-exec"]')
	for ((i = 0; i < count; i++)); do
		echo "e ExecProcess ${request/EXEC/x$i}"
		echo "w WaitProcess {\"container_id\": \"watched\", \"exec_id\": \"x$i\"}"
	done | agentctl script >"$BATS_TEST_TMPDIR/execs"
	[[ $(grep -c '^w {"status":0}' "$BATS_TEST_TMPDIR/execs") -eq $count ]]
	stopped watched
	findings=$(output_of watched)
	echo "$findings"
	line=$(grep '^seen' <<<"$findings")
	read -r _ seen _ early _ traced _ refused _ searched <<<"$line"
	findings=$(grep -v -e '^seen' -e '^{' -e '^ready' <<<"$findings" || true)
	removed watched
}

@test "A12 an exec's process can't be traced before it is the workload, and has nothing of the agent's" {
	neighbour
	watched . "$(rounds 100 1000)"
	removed neighbour
	[[ ! $findings ]]
	((seen >= 50 && early > 0 && refused > 0))
	precondition "$seen of $(rounds 100 1000) execs seen, $early before their execve, $refused refused tracing"
}

@test "A34 with CAP_SYS_PTRACE there is nothing to be got of a process but its own" {
	neighbour
	watched "$(capability SYS_PTRACE)" "$(rounds 100 1000)"
	removed neighbour
	[[ ! $findings ]]
	((early > 0 && traced > 0 && searched > 0))
	precondition "$traced of $(rounds 100 1000) execs stopped, $early before their execve, $searched with their memory searched"
}

@test "A34 a container that is created and not started shows its neighbour in the pod nothing" {
	neighbour
	attacker_request shown '.sandbox_pidns = true | .OCI.Process.Env += ["OWN=part-of-it"]' -- true
	agentctl CreateContainer "$(cat "$BATS_TEST_TMPDIR/shown")" >/dev/null
	local pid
	pid=$(inside pod -- sh -c 'for p in /proc/[0-9]*; do [ "$(readlink $p/exe)" = /init ] && echo ${p#/proc/}; done; true')
	findings=$(inside pod -- /attacks/observe pid "$pid" /bin/busybox OWN=part-of-it "${secret[@]}")
	echo "$findings"
	[[ $findings == "seen 1 early 1 traced 1 refused 0 searched "[01] ]]
	removed shown
	removed neighbour
	precondition "a process in front of its execve stopped and searched at rest"
}

@test "A34 a user namespace is made where no container sees who makes it" {
	inside pod --detach -- /attacks/observe new /tmp/stop /bin/busybox OWN=nothing "${secret[@]}"
	local observer=e$executed
	says pod ready "$observer"
	attacker_request mapped '.sandbox_pidns = true | .OCI.Linux.Namespaces += [{Type: "user"}] |
		.OCI.Linux.UIDMappings = [{HostID: 0, ContainerID: 0, Size: 65536}] |
		.OCI.Linux.GIDMappings = [{HostID: 0, ContainerID: 0, Size: 65536}]' -- true
	local made count=$(rounds 20 200)
	for ((i = 0; i < count; i++)); do
		echo "c CreateContainer $(cat "$BATS_TEST_TMPDIR/mapped")"
		echo 'r RemoveContainer {"container_id": "mapped"}'
	done | agentctl script >"$BATS_TEST_TMPDIR/made" || sort "$BATS_TEST_TMPDIR/made" | uniq -c
	made=$(grep -c '^c {}' "$BATS_TEST_TMPDIR/made")
	inside pod -- touch /tmp/stop
	findings=$(output_of pod "$observer")
	echo "$findings"
	none '^(ESCAPE|RIGHTS|MEMORY)' "$findings"
	[[ $made -eq $count && $findings =~ "seen "([0-9]+) && ${BASH_REMATCH[1]} -gt 0 ]]
	precondition "$made containers with user namespaces made, ${BASH_REMATCH[1]} processes seen"
}

@test "A06 a false list of capabilities in the container changes nothing in an exec" {
	local expected got
	attacker false "$(capability SYS_ADMIN)" -- sleep 100000
	expected=$(inside false -- sh -c 'grep ^Cap /proc/self/status')
	inside false -- sh -c 'mount -t tmpfs tmpfs /proc/sys/kernel 2>/dev/null || mount -t tmpfs tmpfs /proc/sys
		mkdir -p /proc/sys/kernel; echo 3 >/proc/sys/kernel/cap_last_cap'
	is 3 inside false -- cat /proc/sys/kernel/cap_last_cap
	is "$expected" inside false -- sh -c 'grep ^Cap /proc/self/status'
	inside false -- sh -c 'mkdir /status; mount -t proc proc /status; mount -t tmpfs tmpfs /proc'
	got=$(inside false -- sh -c 'grep ^Cap /status/self/status')
	[[ $got == "$expected" && $(inside false -- ls /proc) == "" ]]
	removed false
	precondition "the container's cap_last_cap said 3, then its /proc was hidden"
}

@test "A08 no working directory leads out, not by another process's descriptors, nor while two execs race" {
	local cwd tried=0 request
	request=$(agentctl exec --id pod --exec-id EXEC --print -- sh -c 'pwd; [ ! -e init ] && [ ! -e ../../../../init ]')
	for cwd in /proc/1/root /proc/1/cwd /proc/self/root /proc/self/cwd /proc/thread-self/root /proc/self/fd/{0..20} \
		/proc/1/root/../../.. /proc/1/fd/0/.. /proc/1/task/1/root /proc/self/map_files; do
		jq -c ".process.Cwd = \"$cwd\" | .exec_id = \"d$tried\"" <<<"$request" >"$BATS_TEST_TMPDIR/cwd"
		run agentctl exec --request "$BATS_TEST_TMPDIR/cwd"
		[[ $status -eq 125 || ($status -eq 0 && $output == /*) ]]
		tried=$((tried + 1))
	done
	# The process of a new container sees itself in its procfs, with what it was made with still open.
	for cwd in /proc/self/fd/{3..31} /proc/1/fd/3/.. /proc/1/task/1/root /proc/self/root /proc/self/cwd /proc/thread-self/root; do
		run container_with ".OCI.Process.Cwd = \"$cwd\"" sh -c 'pwd; [ ! -e init ] && [ ! -e ../../../../init ]'
		echo "$cwd: $status $output"
		[[ $status -eq 125 && $output == *cwd* ]]
		tried=$((tried + 1))
	done
	# Two at once, each with what the other one could have open.
	for ((i = 0; i < $(rounds 50 500); i++)); do
		echo "&a$i ExecProcess $(jq -c ".process.Cwd = \"/proc/$((i + 30))/root\" | .exec_id = \"a$i\"" <<<"$request")"
		echo "&b$i ExecProcess $(jq -c ".process.Cwd = \"/proc/$((i + 31))/fd/$((i % 9 + 3))\" | .exec_id = \"b$i\"" <<<"$request")"
		echo "wait a$i"
	done | agentctl script >"$BATS_TEST_TMPDIR/raced" || true
	[[ $(grep -c '^[ab]' "$BATS_TEST_TMPDIR/raced") -ge 50 ]]
	none '^[ab][0-9]+ \{\}' "$(cat "$BATS_TEST_TMPDIR/raced")"
	precondition "$tried directories, and $(wc -l <"$BATS_TEST_TMPDIR/raced") racing execs"
}

@test "A13 the agent's program can't be written to, as an entrypoint or by /proc/PID/exe" {
	local before
	before=$(guest 'sha256sum /init; ls -ln /init')
	# As an entrypoint: what is started is the agent's program, or nothing.
	run container_with '.OCI.Process.Args = ["/proc/self/exe"]'
	echo "$output"
	# The program of a process that waits in front of its execve, from a neighbour in the pod.
	attacker_request program '.sandbox_pidns = true' -- true
	agentctl CreateContainer "$(cat "$BATS_TEST_TMPDIR/program")" >/dev/null
	run inside pod -- sh -c 'for p in /proc/[0-9]*; do [ "$(readlink $p/exe)" = /init ] || continue; exec 9<$p/exe
		echo found; echo x >>$p/exe; echo x >/proc/self/fd/9; chmod 777 $p/exe; chown 1:1 $p/exe; touch $p/exe; done; true'
	echo "$output"
	[[ $output == *found* && $(grep -c -e "Read-only file system" -e "Text file busy" -e "not permitted" <<<"$output") -eq 5 ]]
	removed program
	[[ $(guest 'sha256sum /init; ls -ln /init') == "$before" ]]
	precondition "a process whose program is the agent's was found; five ways to change it were refused"
}

# container_with FILTER [COMMAND...]: runs one, for a while at most.
container_with()
{
	local filter=$1

	shift
	agentctl run --id with $(root_options) --print -- "${@:-true}" | jq -c "$filter" >"$BATS_TEST_TMPDIR/with"
	timeout 60 agentctl --timeout 20s run --request "$BATS_TEST_TMPDIR/with"
}

@test "A18 lengths of a request never wrap: long arguments, many of them, many mounts" {
	local long
	long=$(head -c 100000 /dev/zero | tr '\0' x)
	jq -Rc --argjson r "$(agentctl run --id with $(root_options) --print -- true)" '. as $long | $r
		| .OCI.Process.Args = ["sh", "-c", "echo $# ${#1} $(env | grep -c ^E) $(grep -c /m/ /proc/mounts) $(cat /proc/self/uid_map | wc -l)", "sh", $long]
		+ [range(66000) | "a"] | .OCI.Process.Env += [range(66000) | "E\(.)="] |
		.OCI.Mounts += [range(300) | {destination: "/m/\(.)", type: "tmpfs", source: "tmpfs"}]' <<<"$long" >"$BATS_TEST_TMPDIR/with"
	is "66001 100000 66000 300 1" agentctl run --request "$BATS_TEST_TMPDIR/with"
	# A message that is too long for the reports is cut, and is one line.
	run container_with ".OCI.Process.Cwd = \"/$(head -c 4000 /dev/zero | tr '\0' y)\""
	[[ $status -eq 125 && ${#output} -lt 1024 && ${#lines[@]} -eq 1 ]]
	precondition "66001 arguments, one of 100000 bytes, 66000 variables and 300 mounts arrived"
}

@test "A19 nothing is inheritable unless it is asked for, and nothing ambient" {
	local sets='sed -n "s/^Cap\(Inh\|Amb\):\t//p" /proc/self/status'
	attacker caps . -- sleep 100000
	is "0000000000000000 0000000000000000" inside caps -- sh -c "echo \$($sets)"
	agentctl exec --id caps --exec-id with --print -- sh -c "echo \$($sets)" |
		jq -c '.process.Capabilities = {Bounding: ["CAP_CHOWN"], Effective: ["CAP_CHOWN"], Permitted: ["CAP_CHOWN"]}' \
			>"$BATS_TEST_TMPDIR/exec"
	is "0000000000000000 0000000000000000" agentctl exec --request "$BATS_TEST_TMPDIR/exec"
	jq -c '.exec_id = "inh" | .process.Capabilities.Inheritable = ["CAP_CHOWN"]' "$BATS_TEST_TMPDIR/exec" >"$BATS_TEST_TMPDIR/inh"
	is "0000000000000001 0000000000000000" agentctl exec --request "$BATS_TEST_TMPDIR/inh"
	removed caps
	precondition "execs without capabilities, with them, and with an inheritable one, which had just that"
}

@test "A21 a workload has the descriptors 0, 1 and 2, and a created container no others of the agent's" {
	local open pid
	run container_with '.OCI.Process.Args = ["/attacks/fds"]'
	[[ $status -eq 0 && $(cut -d' ' -f1 <<<"$output") == $'0\n1\n2' ]]
	attacker fds . -- sleep 100000
	run inside fds -- /attacks/fds
	[[ $status -eq 0 && $(cut -d' ' -f1 <<<"$output") == $'0\n1\n2' ]]
	removed fds
	# In front of its execve: the same, and the agent's socket.
	attacker_request waiting . -- true
	agentctl CreateContainer "$(cat "$BATS_TEST_TMPDIR/waiting")" >/dev/null
	open=$(guest 'for p in /proc/[0-9]*; do grep -q /nacre-tests/waiting $p/cgroup && ls -l $p/fd | sed "s/.* \([0-9]* -> [a-z]*\).*/\1/;/^total/d" | sort; done; true')
	echo "$open"
	[[ $(grep -c . <<<"$open") -eq 4 && $(grep -c "socket" <<<"$open") -eq 1 ]]
	removed waiting
	precondition "listed by the workload, by an exec, and by the guest in front of the execve"
}

@test "A26 an exec is who its numbers say, and has no groups but those" {
	local ids='sed -n "s/^\(Uid\|Gid\|Groups\):\t*//p" /proc/self/status'
	attacker user . -- sleep 100000
	agentctl exec --id user --exec-id numbers --print -- sh -c "echo \$($ids)" |
		jq -c '.process.User = {UID: 1234, GID: 4321, AdditionalGids: [7, 99999]}' >"$BATS_TEST_TMPDIR/exec"
	is "1234 1234 1234 1234 4321 4321 4321 4321 7 99999" agentctl exec --request "$BATS_TEST_TMPDIR/exec"
	jq -c '.exec_id = "none" | .process.User = {UID: 1234, GID: 4321}' "$BATS_TEST_TMPDIR/exec" >"$BATS_TEST_TMPDIR/none"
	is "1234 1234 1234 1234 4321 4321 4321 4321" agentctl exec --request "$BATS_TEST_TMPDIR/none"
	removed user
	precondition "real, effective, saved and file system ids and groups as the kernel shows them"
}

@test "A30 a user's home is found by number: names that are numbers are nobody" {
	prepared names 'printf "1000:x:0:0::/by-name:/bin/sh\nroot:x:1000:1000::/by-number:/bin/sh\n" >etc/passwd
		printf "1000:x:0:\n" >etc/group'
	is "/by-number 1000 1000" hostile names '.OCI.Process.User = {UID: 1000, GID: 1000}' -- sh -c 'echo $HOME $(id -u) $(id -g)'
	precondition "a passwd in which the user 1000 is named root, and root is named 1000"
}

@test "W6 a neighbour that traces a container's process doesn't hold up its removal" {
	local pid state request
	attacker traced '.sandbox_pidns = true' -- sleep 300001
	pid=$(inside pod -- sh -c 'for p in /proc/[0-9]*; do tr "\0" " " <$p/cmdline | grep -q "^sleep 300001" && echo ${p#/proc/}; done; true')
	inside pod --detach -- /attacks/trace "$pid"
	says pod traced "e$executed"
	timeout 20 agentctl RemoveContainer '{"container_id": "traced"}'
	# It is dead, and the neighbour's until that has gone.
	state=$(inside pod -- sed -n 's/^State:\t//p' "/proc/$pid/status")
	[[ $state == Z* ]]
	grep -q 'somebody traces it' "$AGENT_DIR/console.log"
	[[ $(guest 'ls -d /sys/fs/cgroup/nacre-tests/traced /run/kata-containers/traced 2>/dev/null; true') == "" ]]
	# Its name is free, and the exit that comes when the tracer has gone is nobody's.
	attacker traced '.sandbox_pidns = true' -- sleep 300002
	agentctl SignalProcess "{\"container_id\": \"pod\", \"exec_id\": \"e$executed\", \"signal\": 9}" >/dev/null
	agentctl WaitProcess "{\"container_id\": \"pod\", \"exec_id\": \"e$executed\"}" >/dev/null
	inside pod -- sh -c 'while [ -e "/proc/$1" ]; do :; done' sh "$pid"
	removed traced
	precondition "the traced process was a zombie when RemoveContainer was answered"
}
