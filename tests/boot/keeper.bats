#!/usr/bin/env bats
# Keeper and worker of nacre-proxy: a worker that dies in front of a real guest is followed by another one; and what both have
# given up, as the kernel shows it.

export NACRE_TEST_PLACE=vm
load ../bats/helpers

setup_file()
{
	agent_start
}

teardown_file() { agent_stop; }

worker() { cat "${1:-$AGENT_DIR}/worker.pid"; }
keeper() { cat "${1:-$AGENT_DIR}/proxy.pid"; }

# followed PID [DIRECTORY]: waits until another worker is there.
followed()
{
	local tries
	for ((tries = 0; tries < 600; tries++)); do
		[[ $(worker "${2:-}") != "$1" && $(worker "${2:-}") ]] && return 0
		read -rt 0.1 <> <(:) || true
	done
	echo "no worker follows $1"
	return 1
}

# field PID NAME: of the kernel's status.
field() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }

proxy() { agentctl --address "unix://$AGENT_ADDRESS/proxy.sock" "nacre.Proxy/$1"; }

@test "a worker that is killed is followed by another one, and the machine goes on" {
	local former vmm signal idle lines answer
	resident
	vmm=$(cat "$AGENT_DIR/vmm.pid")
	lines=$(grep -c "another one follows" "$AGENT_DIR/proxy.log") || true
	for signal in KILL SEGV; do
		former=$(worker)
		# One that only waits is told, and doesn't hang.
		coproc CLIENT { agentctl script 3>&-; }
		idle=$CLIENT_PID
		echo "checked Health.Check" >&"${CLIENT[1]}"
		read -r _ <&"${CLIENT[0]}"
		kill "-$signal" "$former"
		followed "$former"
		echo "again Health.Check" >&"${CLIENT[1]}"
		read -rt 60 answer <&"${CLIENT[0]}"
		echo "the idle client: $answer"
		[[ $answer != *SERVING* ]]
		exec {CLIENT[1]}>&-
		wait "$idle" || true
		is "{}" proxy WaitReady
		is '{"status":"SERVING"}' agentctl Health.Check
		is "still here" execute -- echo still here
		is "new" container -- echo new
	done
	remove
	[[ $(cat "$AGENT_DIR/vmm.pid") == "$vmm" && $(field "$vmm" PPid) == "$(keeper)" ]]
	grep "signal 9 (Killed); another one follows" "$AGENT_DIR/proxy.log"
	grep "signal 11 (Segmentation fault); another one follows" "$AGENT_DIR/proxy.log"
	# One line each.
	[[ $(grep -c "another one follows" "$AGENT_DIR/proxy.log") -eq $((lines + 2)) ]]
}

@test "whoever connects while there is no worker waits" {
	local former
	former=$(worker)
	# The keeper can't start one while it is stopped.
	kill -STOP "$(keeper)"
	kill -KILL "$former"
	agentctl --timeout 60s Health.Check >"$BATS_TEST_TMPDIR/answer" 3>&- &
	kill -CONT "$(keeper)"
	wait $!
	is '{"status":"SERVING"}' cat "$BATS_TEST_TMPDIR/answer"
	followed "$former"
}

@test "keeper and worker have given up what they don't need, and the VMM hasn't" {
	local pid
	for pid in "$(keeper)" "$(worker)"; do
		[[ $(field "$pid" NoNewPrivs) == 1 && $(field "$pid" Seccomp) == 2 ]]
		grep -E "^Max core file size +0 +0" "/proc/$pid/limits"
		# Its root has nothing but the way to the run directory.
		[[ $(find "/proc/$pid/root/" -xdev | wc -l) -lt 12 ]]
		[[ -S /proc/$pid/root$AGENT_DIR/agent.sock && ! -e /proc/$pid/root/etc/passwd && ! -e /proc/$pid/root/proc/self ]]
	done
	[[ $(field "$(worker)" CapPrm) == 0000000000000000 && $(field "$(worker)" CapEff) == 0000000000000000 ]]
	# It has none of the keeper's descriptors.
	[[ $(readlink "/proc/$(keeper)"/fd/* | grep -cE 'proxy.pid|signalfd|pidfd') -ge 3 ]]
	[[ -z $(readlink "/proc/$(worker)"/fd/* | grep -E 'proxy.pid|signalfd|pidfd') ]]
	# SIGKILL for the VMM.
	[[ $(field "$(keeper)" CapPrm) == 0000000000000020 ]]
	[[ $(field "$(worker)" Seccomp_filters) -gt $(field "$(keeper)" Seccomp_filters) ]]
	pid=$(cat "$AGENT_DIR/vmm.pid")
	[[ $(field "$pid" CapPrm) == "$(field $$ CapPrm)" && $(readlink "/proc/$pid/ns/mnt") == "$(readlink /proc/$$/ns/mnt)" ]]
	# Behind `guarded` there is one filter.
	[[ $(field "$pid" Seccomp_filters) -eq $(($(field "$(keeper)" Seccomp_filters) - 1)) ]]
}

@test "a system call that no source names ends the worker, which is told" {
	local former
	former=$(worker)
	is "called" python3 "$BATS_TEST_DIRNAME/inject_call.py" "$former" 110 # getppid
	followed "$former"
	grep "system call 110 isn't one of its own; another one follows" "$AGENT_DIR/proxy.log"
	is '{"status":"SERVING"}' agentctl Health.Check
}

@test "with ten streams both have less than 600 KiB of their own" {
	local sum
	sum=$(timeout 60 python3 - "$AGENT_DIR" <<-'END'
		import socket, sys
		held = []
		for i in range(10):
		    held.append(socket.socket(socket.AF_UNIX))
		    held[i].connect(sys.argv[1] + "/vsock.sock")
		    held[i].sendall(b"CONNECT 1024\n")
		    assert held[i].recv(3) == b"OK "
		total = 0
		for name in "proxy.pid", "worker.pid":
		    pid = open(f"{sys.argv[1]}/{name}").read().strip()
		    for line in open(f"/proc/{pid}/status"):
		        if line.startswith(("RssAnon", "RssFile")):
		            total += int(line.split()[1])
		            print(name, line.strip(), file=sys.stderr)
		print(total)
	END
	)
	echo "# $sum KiB" >&3
	[[ $sum -lt 600 ]]
}

# ---- Without a machine -------------------------------------------------------------------------------------------

# alone DIRECTORY [OPTION...]: a proxy whose VMM tells who it is, and waits.
alone()
{
	local directory=$1
	shift
	# shellcheck disable=SC2016
	"${by[@]}" nacre-proxy --dir "$directory" --carrier "hybrid:$directory/vmm.sock" "$@" -- \
		sh -c 'id -u >"$0/vmm.user"; exec sleep 1000' "$directory" >"$directory.log" 2>&1 3>&- &
	timeout 60 grep -qm 1 . <(tail -F "$directory/vmm.user" 2>/dev/null)
}

# alone_ended DIRECTORY: it ends, and has left nothing.
alone_ended()
{
	kill "$(keeper "$1")"
	wait
	cat "$1.log"
	[[ ! -s $1.log ]]
	rm "$1/vmm.user"
	rmdir "$1"
}

@test "--user: proxy and VMM are another user's, with its groups" {
	local directory=$BATS_TEST_TMPDIR/run pid
	by=(guarded)
	chmod 711 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR"
	mkdir "$directory"
	chown nobody "$directory"
	chmod a+x "$BATS_RUN_TMPDIR"
	alone "$directory" --user nobody:65533
	[[ $(cat "$directory/vmm.user") == "$(id -u nobody)" ]]
	[[ $(stat -c "%U %g %a" "$directory/agent.sock") == "nobody 65533 600" ]]
	for pid in "$(keeper "$directory")" "$(worker "$directory")"; do
		[[ $(field "$pid" Uid) == "$(printf '%s\t%s\t%s\t%s' $(for _ in 1 2 3 4; do id -u nobody; done))" ]]
		[[ $(field "$pid" CapPrm) == 0000000000000000 ]]
		[[ $(field "$pid" Groups) != *" 0 "* ]]
	done
	# Root is still served, and another user isn't.
	is '{"connections":[]}' agentctl --address "unix://$directory/proxy.sock" nacre.Proxy/ListConnections
	alone_ended "$directory"
	fails 125 "there is no user 'nobody-here'" guarded nacre-proxy --dir "$BATS_TEST_TMPDIR" --carrier hybrid:x --user nobody-here
	fails 125 "there is no group 'nogroup-here'" guarded nacre-proxy --dir "$BATS_TEST_TMPDIR" --carrier hybrid:x --user 0:nogroup-here
}

@test "files out of reach: each way, for root and for another user" {
	local directory=$BATS_TEST_TMPDIR/run way user former
	chmod 711 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR"
	for user in root nobody; do
		by=(guarded setpriv --reuid "$user" --clear-groups)
		for way in auto landlock namespace off; do
			if [[ $way == landlock ]] && ! python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).syscall(444, 0, 0, 1) < 1)'; then
				echo "# no Landlock here" >&3
				continue
			fi
			if [[ $way == namespace ]] && ! "${by[@]}" unshare -Um true; then
				echo "# no user namespaces here" >&3
				continue
			fi
			mkdir "$directory"
			chown "$user" "$directory"
			alone "$directory" --confine "$way"
			former=$(worker "$directory")
			# Another worker can be had, which says so in a file.
			kill -KILL "$former"
			followed "$former" "$directory"
			if [[ $user == root || $way != namespace ]]; then
				is '{"connections":[]}' agentctl --address "unix://$directory/proxy.sock" nacre.Proxy/ListConnections
			fi
			case $way in
			namespace) [[ ! -e /proc/$former/root/etc ]] ;;
			off) [[ $(readlink "/proc/$(worker "$directory")/ns/mnt") == "$(readlink /proc/$$/ns/mnt)" ]] ;;
			esac
			: >"$directory.log"
			alone_ended "$directory"
		done
	done
}
