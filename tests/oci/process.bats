#!/usr/bin/env bats
# OCI config.md "Process", "POSIX process", "Linux Process", "User"; config-linux.md "Personality".

load helpers

setup_file()
{
	place_start
	# Commands that can't be executed.
	in_place "cd $oci/root && mkdir -p folder.d && printf 'text' >text && printf '#!/none/sh\n' >script && printf '#!\n' >bare &&
		{ printf '\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\363\0' && dd if=/dev/zero bs=44 count=1 2>/dev/null; } >foreign && cp bin/busybox plain &&
		printf '#!/folder.d\n' >script2 && chmod 755 text script bare foreign script2 && chmod 644 plain && ln -s loop loop"
}
teardown_file() { place_stop; }

# status NAME: a line of /proc/self/status.
status_line() { echo "sed -n 's/^$1:[[:space:]]*//p' /proc/self/status"; }

@test "arguments, environment and working directory are as given" {
	is "[a b] [] [\$x] /tmp A=1 B= C=a=b" boxed '.process.env = ["A=1", "B=", "C=a=b", "PATH=/bin:/usr/bin", "HOME=/h"] | .process.cwd = "/tmp"' \
		sh -c 'echo "[$1] [$2] [$3] $(pwd) $(env | grep "^[ABC]=" | sort | xargs)"' - "a b" "" '$x'
	is /made/for/it boxed '.process.cwd = "/made/for/it"' pwd
	in_place "rm -r $oci/root/made"
	fails 125 'cwd "relative" must be an absolute path' boxed '.process.cwd = "relative"' true
	fails 126 "chdir to cwd \"/shut/in\": Permission denied" boxed '.process.user.uid = 5 | .process.cwd = "/shut/in" | del(.process.capabilities) | .mounts += [{destination: "/shut", type: "tmpfs", source: "m", options: ["mode=700"]}]' true
}

@test "what can't be executed is an error of the creation, with the command, the reason and 126 or 127" {
	fails 127 'exec: "none": executable file not found in $PATH' boxed . none
	fails 127 'exec: "/none": no such file or directory' boxed . /none
	fails 126 'exec: "/folder.d": is a directory' boxed . /folder.d
	fails 126 'exec: "/plain": permission denied' boxed . /plain
	fails 126 'exec: "/dev/null": permission denied' boxed . /dev/null
	fails 126 'exec: "/text": exec format error' boxed . /text
	fails 126 'exec: "/foreign": exec format error' boxed . /foreign
	fails 126 'exec: "/bare": exec format error' boxed . /bare
	fails 127 'exec: "/script": interpreter /none/sh: no such file or directory' boxed . /script
	fails 126 'exec: "/script2": interpreter /folder.d: is a directory' boxed . /script2
	fails 127 'exec: "/loop":' boxed . /loop
	fails 127 "Filename too long" boxed . "/$(printf 'x%.0s' {1..300})"
	# The same of an exec.
	bundle
	box run --detach --bundle "$bundle" "$id"
	fails 127 'exec: "none": executable file not found in $PATH' box exec "$id" none
	fails 126 'exec: "/folder.d": is a directory' box exec "$id" /folder.d
	fails 126 'exec: "/text": exec format error' box exec "$id" /text
	fails 127 'exec: "/script": interpreter /none/sh' box exec "$id" /script
	box delete --force "$id"
	is "" left
}

@test "user and groups by number, umask" {
	is "1234 5678 7 8 5678 0022" boxed '.process.user = {uid: 1234, gid: 5678, additionalGids: [7, 8]}' \
		sh -c "echo \$(id -u) \$(id -g) \$($(status_line Groups)) \$(id -G | tr ' ' '\n' | grep 5678) \$(umask)"
	is "" boxed '.process.user = {uid: 1, gid: 2}' sh -c "$(status_line Groups) | tr -d ' '"
	is 0077 boxed '.process.user.umask = 63' sh -c umask
	is 0000 boxed '.process.user.umask = 0' sh -c umask
	fails 125 "umask 01777 is out of range" boxed '.process.user.umask = 1023' true
	bundle
	box run --detach --bundle "$bundle" "$id"
	in_place "echo '{\"user\": {\"uid\": 3, \"gid\": 4, \"umask\": 7, \"additionalGids\": [9]}, \"args\": [\"sh\", \"-c\", \"id -u; id -g; id -G; umask\"], \"cwd\": \"/\", \"env\": [\"PATH=/bin:/usr/bin\"]}' >$bundle/process"
	is "3 4 4 9 0007" xargs <<<"$(box exec --process "$bundle/process" "$id")"
	box delete --force "$id"
}

@test "five sets of capabilities" {
	# After an execve as a plain user: what is ambient is permitted and effective.
	is "0000000000000003 0000000000000001 0000000000000001 000000000000000f 0000000000000001" boxed '.process.user.uid = 5 | .process.capabilities = {
		inheritable: ["CAP_CHOWN", "CAP_DAC_OVERRIDE"], permitted: ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"],
		effective: ["CAP_CHOWN", "CAP_DAC_OVERRIDE"], bounding: ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER"], ambient: ["CAP_CHOWN"]}' \
		sh -c 'echo $(sed -n "s/^Cap...:[[:space:]]*//p" /proc/self/status)'
	# As root: the bounding set with the inheritable one.
	is "0000000000000000 0000000000000021 0000000000000021 0000000000000021 0000000000000000" boxed '.process.capabilities = (["CAP_CHOWN", "CAP_KILL"] | {bounding: ., permitted: ., effective: .})' \
		sh -c 'echo $(sed -n "s/^Cap...:[[:space:]]*//p" /proc/self/status)'
	is 0000000000000000 boxed 'del(.process.capabilities)' sh -c "$(status_line CapBnd)"
}

@test "capabilities that can't be given are left out, with a warning" {
	local sets='(["CAP_CHOWN", "CAP_NONE", "OTHER"] | {bounding: ., permitted: ., effective: .})'

	run -0 --separate-stderr boxed ".process.capabilities = $sets + {ambient: [\"CAP_CHOWN\"]}" sh -c "$(status_line CapEff)"
	[[ $output == 0000000000000001 ]]
	[[ ${#stderr_lines[@]} -eq 4 && $stderr == *"bounding capabilities that can't be given are left out: CAP_NONE, OTHER"* ]]
	[[ $stderr == *"ambient capabilities that can't be given are left out: CAP_CHOWN"* ]]
	run -0 --separate-stderr boxed '.process.capabilities.bounding += [range(1000) | "CAP_\(.)"]' true
	[[ ${#stderr_lines[@]} -eq 1 && $stderr == *"CAP_0, CAP_1, "*", and more" ]]
}

@test "an execve that fails all the same is an error of the start, with 126 or 127" {
	# late STATUS TEXT SCRIPT: what the script does meanwhile, and what comes of it.
	late()
	{
		in_place "printf '#!/bin/sh\n' >$oci/root/late && chmod 755 $oci/root/late"
		bundle '.process.args = ["/late"]'
		box create --bundle "$bundle" "$id"
		in_place "$3"
		fails "$1" "$2" box start "$id"
		until_status "$id" stopped
		box delete "$id"
	}

	late 127 'exec: "/late": No such file or directory' "rm $oci/root/late"
	late 126 'exec: "/late": Exec format error' "echo text >$oci/root/late"
	late 126 'exec: "/late": Permission denied' "chmod 644 $oci/root/late"
	in_place "rm $oci/root/late"
	# The same of an exec.
	bundle '.process.args = ["sleep", "1000"]'
	box run --detach --bundle "$bundle" "$id"
	in_place "printf '{\"args\": [\"true\", \"%0200000d\"], \"cwd\": \"/\", \"user\": {\"uid\": 0, \"gid\": 0}, \"env\": [\"PATH=/bin\"]}' 0 >$bundle/process"
	fails 126 'exec: "true": Argument list too long' box exec --process "$bundle/process" "$id"
	box delete --force "$id"
	is "" left
}

@test "no_new_privs, oom_score_adj" {
	is "1 500" boxed '.process.noNewPrivileges = true | .process.oomScoreAdj = 500' sh -c "echo \$($(status_line NoNewPrivs)) \$(cat /proc/self/oom_score_adj)"
	is "0 0" boxed '.process.oomScoreAdj = 0' sh -c "echo \$($(status_line NoNewPrivs)) \$(cat /proc/self/oom_score_adj)"
	# What isn't asked for stays the caller's.
	bundle '.process.args = ["cat", "/proc/self/oom_score_adj"]'
	is 123 in_place "echo 123 >/proc/self/oom_score_adj; nacre-box --root $oci/state run --bundle $bundle $id"
	fails 125 "is out of range" boxed '.process.oomScoreAdj = 1001' true
}

@test "rlimits, soft and hard" {
	is "1048576 unlimited 0 0 64 128" boxed '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 64, hard: 128}, {type: "RLIMIT_CORE", soft: 0, hard: 0}, {type: "RLIMIT_FSIZE", soft: 1048576, hard: 18446744073709551615}]' \
		sh -c 'echo $(sed -n "s/^Max open files *\([0-9]*\) *\([0-9]*\).*/\1 \2/p; s/^Max core file size *\([0-9]*\) *\([0-9]*\).*/\1 \2/p; s/^Max file size *\([0-9]*\) *\([a-z]*\).*/\1 \2/p" /proc/self/limits)'
	fails 125 "RLIMIT_NOFILE is there twice" boxed '.process.rlimits = [range(2) | {type: "RLIMIT_NOFILE", soft: 1, hard: 1}]' true
	fails 125 'unknown rlimit "RLIMIT_NONE"' boxed '.process.rlimits = [{type: "RLIMIT_NONE", soft: 1, hard: 1}]' true
	fails 125 "the soft limit is above the hard one" boxed '.process.rlimits = [{type: "RLIMIT_CORE", soft: 2, hard: 1}]' true
}

# Fields of /proc/self/stat behind the name: nice is the 17th, the priority the 38th, the policy the 39th.
scheduler='set -- $(sed "s/.*) //" /proc/1/stat); echo ${17} ${38} ${39}'

@test "the scheduler" {
	is "5 0 3" boxed '.process.scheduler = {policy: "SCHED_BATCH", nice: 5}' sh -c "$scheduler"
	is "7 0 0" boxed '.process.scheduler = {policy: "SCHED_OTHER", nice: 7, flags: ["SCHED_FLAG_RESET_ON_FORK"]}' sh -c "$scheduler"
	is "0 0 5" boxed '.process.scheduler = {policy: "SCHED_IDLE"}' sh -c "$scheduler"
	is "0 0 0" boxed . sh -c "$scheduler"
	fails 125 'unknown scheduling policy "SCHED_NONE"' boxed '.process.scheduler = {policy: "SCHED_NONE"}' true
	fails 125 'unknown scheduling flag "X"' boxed '.process.scheduler = {policy: "SCHED_OTHER", flags: ["X"]}' true
	fails 125 "nice value 20 is out of range" boxed '.process.scheduler = {policy: "SCHED_OTHER", nice: 20}' true
	fails 125 "set the scheduler (policy 1, priority 100, nice 0): Invalid argument" boxed '.process.scheduler = {policy: "SCHED_FIFO", priority: 100}' true
	if [[ $place == vm ]]; then
		is "0 10 1" boxed '.process.scheduler = {policy: "SCHED_FIFO", priority: 10}' sh -c "$scheduler"
		is "0 10 2" boxed '.process.scheduler = {policy: "SCHED_RR", priority: 10}' sh -c "$scheduler"
	fi
}

@test "the io priority" {
	is "best-effort: prio 6" boxed '.process.ioPriority = {class: "IOPRIO_CLASS_BE", priority: 6}' ionice
	is "idle" boxed '.process.ioPriority = {class: "IOPRIO_CLASS_IDLE", priority: 0}' sh -c 'ionice | cut -d: -f1'
	is "realtime: prio 3" boxed '.process.ioPriority = {class: "IOPRIO_CLASS_RT", priority: 3}' ionice
	fails 125 'unknown io priority class "X"' boxed '.process.ioPriority = {class: "X", priority: 3}' true
	fails 125 "io priority 8 is out of range" boxed '.process.ioPriority = {class: "IOPRIO_CLASS_BE", priority: 8}' true
}

@test "the personality, also of an exec" {
	is x86_64 boxed '.linux.personality = {domain: "LINUX"}' uname -m
	bundle '.linux.personality = {domain: "LINUX32"}'
	box run --detach --bundle "$bundle" "$id"
	is i686 box exec "$id" uname -m
	is 00000008 box exec "$id" sh -c 'cat /proc/self/personality'
	box delete --force "$id"
	fails 125 'unknown personality "OTHER"' boxed '.linux.personality = {domain: "OTHER"}' true
	fails 125 "a personality has no flags" boxed '.linux.personality = {domain: "LINUX", flags: ["X"]}' true
}

@test "the processors of an exec" {
	bundle
	box run --detach --bundle "$bundle" "$id"
	in_place "echo '{\"execCPUAffinity\": {\"initial\": \"0\", \"final\": \"0-0\"}, \"args\": [\"sed\", \"-n\", \"s/^Cpus_allowed_list:.//p\", \"/proc/self/status\"], \"cwd\": \"/\", \"env\": [\"PATH=/bin:/usr/bin\"]}' >$bundle/process
		sed 's/0-0/0,x/' $bundle/process >$bundle/bad"
	is 0 box exec --process "$bundle/process" "$id"
	fails 125 '"0,x" is no list of processors' box exec --process "$bundle/bad" "$id"
	box delete --force "$id"
}

@test "only 0, 1, 2 and those that are asked for are open" {
	is "0 1 2" boxed . sh -c 'for n in $(seq 0 100); do test -e /proc/self/fd/$n && echo $n; done | xargs'
	bundle '.process.args = ["sh", "-c", "cat <&4; for n in 3 5 6; do test -e /proc/self/fd/$n && echo $n; done; true"]'
	is "handed 3" xargs <<<"$(in_place "echo handed >$bundle/handed; nacre-box --root $oci/state run --preserve-fds 2 --bundle $bundle $id 3</dev/null 4<$bundle/handed 5</dev/null")"
	fails 1 "descriptor 3: Bad file descriptor" in_place "nacre-box --root $oci/state run --preserve-fds 9 --bundle $bundle $id"
	is "" left
}

@test "labels of security modules that aren't there" {
	[[ $(in_place "cat /sys/module/apparmor/parameters/enabled 2>/dev/null") == Y ]] && skip "this place has AppArmor"
	fails 125 'AppArmor profile "some": this guest has no AppArmor' boxed '.process.apparmorProfile = "some"' true
	is "" boxed '.process.apparmorProfile = "unconfined"' true
	fails 125 "this guest has no SELinux" boxed '.process.selinuxLabel = "a_u:a_r:a_t:s0"' true
	fails 125 "this guest has no SELinux" boxed '.linux.mountLabel = "a_u:a_r:a_t:s0"' true
	is "" left
}
