#!/usr/bin/env bats
# The guest itself: what it costs to start and to keep, and that nothing piles up in it. Figures are printed beside their
# aims; what fails is order and counts.

load ../bats/helpers

setup_file()
{
	export NACRE_TEST_PLACE=vm
	place=vm
}

teardown() { agent_stop; }

say() { echo "# $*" >&3; }

# watcher: a container that sees the guest's processes, for looking only; its id is $id.
watcher()
{
	id=watcher
	agentctl run --id $id --image /dev/vda --keep --detach --print -- sleep 100000 |
		jq -c '.OCI.Mounts += [{destination: "/guest", type: "bind", source: "/proc", options: ["rbind"]}]
			| .OCI.Process.Capabilities |= map_values(. + ["CAP_SYS_PTRACE"])' >"$BATS_TEST_TMPDIR/watcher"
	agentctl run --id $id --request "$BATS_TEST_TMPDIR/watcher" --keep --detach
}

# Open descriptors of supervisor and agent, and zombies. A connection that has just been closed may still be going away
# in the guest: the look itself waits for the number to be the one that it is told, if it is told one.
count()
{
	execute -- sh -c 'cd /guest
		agent() { for p in [0-9]*; do [ "$(cat $p/comm 2>/dev/null)" = nacre-agent ] && echo $p; done; }
		count() { echo $(ls 1/fd | wc -l) $(ls $(agent)/fd | wc -l) $(cat [0-9]*/stat 2>/dev/null | grep -c ") Z "); }
		tries=0
		while [ -n "$1" ] && [ "$(count)" != "$1" ] && [ $tries -lt 2000 ]; do tries=$((tries + 1)); done
		count' sh "${1:-}"
}

@test "after 1,000 execs there is no zombie, and no descriptor more than after 10" {
	local times=1000 few many

	[[ ! $quick ]] || times=100
	agent_start
	watcher
	for ((i = 0; i < 10; i++)); do execute -- true; done
	few=$(count)
	for ((i = 0; i < times; i++)); do execute -- true; done
	many=$(count "$few")
	say "descriptors of supervisor and agent, zombies: $few after 10 execs, $many after $times more"
	[[ $few == *" 0" && $many == "$few" ]]
}

@test "what supervisor and agent keep for themselves" {
	agent_start
	watcher
	local private
	private=$(execute -- sh -c 'cd /guest; for p in [0-9]*; do case $(cat $p/comm 2>/dev/null) in nacre*)
		awk "/^Private_/ {sum += \$2} END {print sum}" $p/smaps_rollup ;; esac; done')
	# shellcheck disable=SC2086
	set -- $private
	say "private memory, idle: supervisor $1 KiB, agent $2 KiB, together $(($1 + $2)) KiB (aim: under 700)"
	[[ $# -eq 2 && $1 -gt 0 && $2 -gt 0 ]]
}

@test "the size of the agent" {
	agent_start
	say "stripped nacre-agent: $(stat -c %s "$build/nacre-agent") bytes (aim: under $((400 << 10)))"
	say "kernel: $(stat -c %s "$build/vmlinuz-microvm") bytes (aim: under $((4 << 20)))"
	! nm "$build/nacre-agent" 2>/dev/null | grep -q .
}

@test "a guest of 64 MiB boots and runs a container" {
	export AGENT_ADDRESS AGENT_DIR
	VM_APPEND="" vm_start 64
	agentctl --timeout 60s wait-ready
	agentctl CreateSandbox '{"sandbox_id": "s"}'
	local total
	total=$(container -- awk '/^MemTotal/ {print $2}' /proc/meminfo)
	say "MemTotal of a 64 MiB guest: $total kB (aim: $((53 << 10)) or more)"
	[[ $total -gt 0 ]]
}

@test "from PID 1 to a listening agent" {
	[[ $(uname -m) == x86_64 ]] || skip "counts instructions by the TSC"
	export AGENT_ADDRESS AGENT_DIR
	gcc -static -O2 -o "$BATS_TEST_TMPDIR/stamp" "$BATS_TEST_DIRNAME/stamp.c"
	sed "s|^file /init .*|file /init 0755 $BATS_TEST_TMPDIR/stamp\nfile /init.real 0755 \$(build)/nacre-agent|" \
		"$top/rootfs/initramfs.list" >"$BATS_TEST_TMPDIR/list"
	(cd "$top" && rootfs/make-cpio --set build="$build" --set busybox=n "$BATS_TEST_TMPDIR/list" "$BATS_TEST_TMPDIR/image.cpio")
	# The later -initrd wins. With noapictimer the virtual clock doesn't stand still while the kernel calibrates.
	VM_APPEND=noapictimer vm_start 256 -initrd "$BATS_TEST_TMPDIR/image.cpio" -icount shift=0,sleep=off
	agentctl --timeout 100s wait-ready
	local from to
	from=$(awk '/^stamp/ {print $2 + 0 ? $2 : ""}' "$AGENT_DIR/console.log" | tr -d '\r')
	to=$(jq -rR 'fromjson? | select(.msg | startswith("listening")) | .ts' "$AGENT_DIR/console.log")
	to=$(date -d "$to" +%s%N)
	say "instructions from PID 1 to a listening agent: $((to - from)) (aim: under 2000000)"
	[[ $from -gt 0 && $to -gt $from ]]
}
