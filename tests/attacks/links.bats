#!/usr/bin/env bats
# What a hostile image, volume or specification could get outside of its root, by links, mounts and races.

load attacks

setup_file() { VM_CPUS=2 attacks_start; }
teardown_file() { agent_stop; }

outside=$field/outside
up=../../../../../../../../../..
no_dev='.OCI.Mounts |= map(select(.destination | startswith("/dev") | not))'

# added MOUNT...: a jq filter that appends them.
added()
{
	local mount result=.

	for mount; do
		result+=" | .OCI.Mounts += [$mount]"
	done
	echo "$result"
}

tmpfs() { echo "{destination: \"$1\", type: \"tmpfs\", source: \"tmpfs\"}"; }

# racing TARGET LINK: a neighbour, who has the volume $field/volume, exchanges these two names in it.
racing()
{
	attacker racer "$(added "$(bind $field/volume /volume)")" -- /attacks/swap "/volume/$1" "/volume/$2" /tmp/stop
	says racer ready
}

# raced: stops that; prints how often they were exchanged.
raced()
{
	stopped racer
	output_of racer | sed -n 's/^exchanged //p'
	removed racer
}

# created COUNT FILTER [COMMAND...]: so many containers with this filter, and away with them; prints how many could be made. In
# each of those the command, which is only run where it is given, has to succeed.
created()
{
	local count=$1 filter=$2 request

	shift 2
	request=$(attacker_request victim "$filter" -- "${@:-true}" && cat "$BATS_TEST_TMPDIR/victim")
	for ((i = 0; i < count; i++)); do
		echo "c CreateContainer $request"
		((!$#)) || printf '%s {"container_id": "victim"}\n' "s StartContainer" "w WaitProcess"
		echo 'r RemoveContainer {"container_id": "victim"}'
	done | agentctl script >"$BATS_TEST_TMPDIR/created" || true
	[[ $(grep -c '^c ' "$BATS_TEST_TMPDIR/created") -eq $count ]] || return 1
	((!$#)) || [[ $(grep -c '^c {}' "$BATS_TEST_TMPDIR/created") -eq $(grep -c '^w {"status":0}' "$BATS_TEST_TMPDIR/created") ]] || return 1
	grep -c '^c {}' "$BATS_TEST_TMPDIR/created" || true
}

@test "A10 links in an image at the targets of mounts lead to places in its root" {
	prepared a10 "rm -rf etc && ln -s / etc && ln -s $up$outside data && ln -s $outside/file plain && mkdir -p run"
	remember_guest
	run hostile a10 "$(added "$(bind $field/base/bin/busybox /etc/hosts)" "$(tmpfs /data/x)" "$(bind $field/base/bin/busybox /plain)")" -- \
		sh -c 'grep -c " $1/x " /proc/mounts; ls /hosts $1/file' sh "$outside"
	echo "$output"
	[[ $status -eq 0 && $output == *"$outside/file"* && $output == *"/hosts"* ]]
	[[ $(guest "ls -d $field/a10$outside/x") ]]
	untouched
	precondition "three mounts through links, two of them to the guest's $outside, are in the container"
}

@test "A14 nothing is mounted over procfs, not by a name that begins like it" {
	local target count=0
	prepared a14 'ln -s /proc/self/task task; ln -s /proc/sys procsys; ln -s /proc/sys proc.d; mkdir deep; ln -s ../proc/self deep/self'
	fails 125 "inside /proc" hostile a14 "$(added "$(tmpfs /proc)")" -- true
	fails 125 "no procfs" hostile a14 "$(added "$(bind /tmp /proc)")" -- true
	for target in /proc/self/attr /proc/sys /proc/1/x /proc//self/./attr /task /procsys /proc.d /deep/self/task /proc/self/mem; do
		fails 125 "inside /proc" hostile a14 "$(added "$(bind /tmp "$target")")" -- true
		fails 125 "inside /proc" hostile a14 "$(added "$(tmpfs "$target")")" -- true
		count=$((count + 2))
	done
	guest "echo faked >$field/uptime"
	is faked hostile a14 "$(added "$(bind $field/uptime /proc/uptime)")" -- cat /proc/uptime
	precondition "$count mounts inside of /proc refused, and /proc/uptime, which may be bound, is"
}

@test "A15 links in the place of /proc and /sys are no targets" {
	local count
	prepared a15 "rm -rf proc sys; ln -s $outside proc; mkdir sys"
	remember_guest
	fails 125 "no symlink" hostile a15 . -- true
	prepared a15 "rm -rf sys; ln -s /tmp sys"
	fails 125 "no symlink" hostile a15 . -- true
	prepared a15 "rm -rf proc; mkdir real; ln -s real/../real/proc proc; mkdir real/proc"
	fails 125 "no symlink" hostile a15 . -- true
	# A neighbour who shares the volume on which they lie.
	guest "rm -rf $field/volume; mkdir -p $field/volume/proc $field/volume/sys; ln -s $up$outside $field/volume/link"
	racing proc link
	count=$(created "$(rounds 60 1000)" "$(added "$(bind $field/volume /volume)" '{destination: "/volume/proc", type: "proc", source: "proc"}')")
	local swapped
	swapped=$(raced)
	untouched
	echo "$count made, $swapped exchanged"
	((count > 0 && count < $(rounds 60 1000) && swapped > 1000))
	precondition "three images refused; of $(rounds 60 1000) with a racing link $count were made, the link was put there $swapped times"
}

@test "A16 a target that is exchanged for a link gets no mount outside" {
	local count swapped total
	total=$(rounds 150 10000)
	guest "rm -rf $field/volume; mkdir -p $field/volume/target/x $outside/x; ln -s $up$outside $field/volume/link; echo real >$outside/x/real"
	remember_guest
	racing target link
	# What is mounted is to be in the container, by whatever name the folder has then.
	count=$(created "$total" "$(added "$(bind $field/volume /volume)" "$(tmpfs /volume/target/x)")" grep -q '/x tmpfs' /proc/mounts)
	swapped=$(raced)
	untouched
	[[ $(guest "cat $outside/x/real; rm -r $outside/x") == real ]]
	echo "$count made, $swapped exchanged"
	((count > 0 && swapped > 1000))
	precondition "of $total containers $count were made while the link was put there $swapped times"
}

@test "A17 folders that are made on the way to a target are made in the root" {
	local count swapped total
	total=$(rounds 150 10000)
	guest "rm -rf $field/volume; mkdir -p $field/volume/target; ln -s $up$outside $field/volume/link"
	remember_guest
	racing target link
	count=$(created "$total" "$(added "$(bind $field/volume /volume)" "$(tmpfs /volume/target/made/deep)" \
		"$(bind $field/base/bin/busybox /volume/target/file/made)")")
	swapped=$(raced)
	untouched
	# It went both ways: they are in the folder, and below the container's own root.
	[[ $(guest "ls -d $field/volume/target/made $field/volume/link/made 2>/dev/null") ]]
	echo "$count made, $swapped exchanged"
	((count > 0 && swapped > 1000))
	precondition "of $total containers $count were made while the link was put there $swapped times"
}

@test "A22 what is masked doesn't depend on the container's /dev/null" {
	local count swapped total
	total=$(rounds 60 1000)
	prepared a22 "rm -rf dev; mkdir dev; ln -s /proc/sys/kernel/core_pattern dev/null"
	remember_guest
	# As an image, with no /dev of its own: what is in the place of a device is refused.
	fails 125 "/dev/null" hostile a22 "$no_dev" -- true
	# As a volume on /dev: the mask is the guest's null device.
	guest "rm -rf $field/volume; mkdir -p $field/volume; ln -s /proc/sys/kernel/core_pattern $field/volume/null"
	is "0 1:3" hostile a22 "$no_dev | $(added "$(bind $field/volume /dev)")" -- \
		sh -c 'echo $(wc -c </proc/timer_list) $(stat -c %t:%T /proc/timer_list)'
	# And while it is exchanged with a real one.
	guest "mknod $field/volume/real c 1 3"
	racing null real
	count=$(created "$total" "$no_dev | $(added "$(bind $field/volume /dev)")")
	swapped=$(raced)
	untouched
	((count == total && swapped > 1000))
	precondition "a link to core_pattern as /dev/null, in the image, on a volume, and put there $swapped times while $total were made"
}

@test "A23 /dev/console is attached where nothing can be exchanged, and shows the pty alone" {
	local target
	prepared a23 "rm -rf dev; mkdir -p dev/pts; ln -s $up$outside/console dev/console"
	remember_guest
	fails 125 "/dev/console" hostile a23 "$no_dev | .OCI.Process.Terminal = true" --tty -- true
	# To what is there, so that it could be mounted on.
	prepared a23 "rm -rf dev; mkdir -p dev/pts; ln -s ../bin/busybox dev/console"
	fails 125 "/dev/console" hostile a23 "$no_dev | .OCI.Process.Terminal = true" --tty -- true
	prepared a23 "rm -rf dev; mkdir -p dev; mkdir dev/console"
	fails 125 "/dev/console" hostile a23 "$no_dev | .OCI.Process.Terminal = true" --tty -- true
	prepared a23 "mkdir -p dev; ln -s $up$outside dev/pts"
	run hostile a23 '.OCI.Process.Terminal = true' --tty -- sh -c 'stat -c %t /dev/console; tty'
	echo "$output"
	[[ $status -eq 0 && $output == *88* && $output == */dev/pts/* ]]
	# A multiplexer that isn't one.
	prepared a23 'rm -rf dev; mkdir -p dev/pts; mknod dev/pts/ptmx c 1 3; mknod dev/null c 1 3; for d in "zero 5" "full 7" "random 8" "urandom 9"; do
		set -- $d; mknod dev/$1 c 1 $2; done; mknod dev/tty c 5 0'
	# The guest's is taken then: a terminal, of no name here.
	run hostile a23 "$no_dev | .OCI.Process.Terminal = true" --tty -- sh -c 'stat -L -c %t /proc/self/fd/0'
	echo "$output"
	[[ $status -eq 0 && $output == 88* ]]
	untouched
	precondition "links and folders as /dev/console and /dev/pts, the null device as ptmx; a real one shows a pty (major 0x88)"
}

@test "A24 what a container mounts over its procfs redirects nothing that is written for it" {
	local pid
	attacker covering "$(capability SYS_ADMIN) | .OCI.Linux.RootfsPropagation = \"rshared\" | .OCI.Process.OOMScoreAdj = 321" -- sleep 100000
	remember_guest
	inside covering -- sh -c 'mkdir /false /false/self /false/thread-self /false/sys /false/sys/kernel; mount -t tmpfs tmpfs /false
		for i in self thread-self 1; do mkdir -p /false/$i/attr /false/$i/fd; for f in oom_score_adj attr/exec attr/current uid_map; do echo mine >/false/$i/$f; done; done
		mount --bind /false /proc'
	is mine inside covering -- cat /proc/self/oom_score_adj
	inside covering --detach -- sleep 200000
	pid=$(guest 'for p in $(pidof sleep); do tr "\0" " " </proc/$p/cmdline | grep -q "sleep 200000" && echo $p; done; true')
	is 321 guest "cat /proc/$pid/oom_score_adj"
	[[ $(inside covering -- sh -c 'cat /proc/*/oom_score_adj | sort -u') == mine ]]
	# Sysctls of a container whose /proc is covered by a mount of its specification: only a procfs may be there.
	is 4711 hostile_sysctl
	removed covering
	untouched
	precondition "the container's /proc is a false one, and the exec made then has its real score, 321"
}

hostile_sysctl()
{
	prepared a24
	hostile a24 '.OCI.Linux.Sysctl = {"kernel.msgmax": "4711"}' -- cat /proc/sys/kernel/msgmax
}

@test "A25 /dev as a link out of the root gets neither node nor link there" {
	local to made=0
	for to in "$outside" "$up$outside" /tmp ../../dev; do
		prepared a25 "rm -rf dev && ln -s $to dev"
		[[ $made -gt 0 ]] || remember_guest
		run hostile a25 . -- true
		run hostile a25 "$no_dev" -- sh -c 'ls -L /dev/; readlink /dev'
		echo "$output"
		[[ $status -ne 0 || $output == *null* ]]
		made=$((made + 1))
	done
	untouched
	[[ $(guest "ls $field/a25/dev/ $field/a25$outside 2>/dev/null; true") != *sda* ]]
	precondition "$made links as /dev, with mounts there and without"
}

@test "A27 nothing is written through links in a root, not even what a container always has" {
	prepared a27 "rm -rf etc; mkdir etc; for f in passwd group resolv.conf hosts hostname mtab; do ln -s $up$outside/\$f etc/\$f; done; rm -rf home; ln -s $outside home"
	remember_guest
	run hostile a27 ".OCI.Process.User = {UID: 1000} | .OCI.Process.Cwd = \"/home/deep/down\" | $(added "$(bind $field/base/bin/busybox /etc/hosts)")" -- readlink /proc/self/cwd
	echo "$output"
	[[ $status -eq 0 && $output == "$outside/deep/down" ]]
	untouched
	precondition "the working directory $outside/deep/down was made through a link: in the root"
}

@test "A28 links that lead round, up and to each other" {
	prepared a28 "ln -s a b; ln -s b a; ln -s $up etc/up; ln -s up/up/up$outside etc/far; mkdir -p x/y; ln -s ../../../../$outside x/y/z"
	remember_guest
	fails 125 loop hostile a28 "$(added "$(tmpfs /a)")" -- true
	run hostile a28 "$(added "$(tmpfs /etc/up/here)" "$(tmpfs /x/y/z/there)")" -- sh -c 'grep -c "/here \|/there " /proc/mounts'
	[[ $status -eq 0 && $output == 2 ]]
	run hostile a28 "$(added "$(tmpfs /etc/far)")" -- true
	untouched
	precondition "a loop is refused, two mounts through links that lead up are in the container"
}
