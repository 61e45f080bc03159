#!/usr/bin/env bats
# Calls that wait delay no other: the agent has one thread, and none of its calls ever blocks it.

load helpers

setup_file()
{
	local disk=$BATS_FILE_TMPDIR/slow.ext4

	VM_ARGUMENTS=()
	if [[ $place == vm ]]; then
		# A disk that takes a second and more for each read.
		truncate -s 16M "$disk"
		mke2fs -q -t ext4 "$disk"
		VM_ARGUMENTS=(-drive "id=slow,file=$disk,format=raw,if=none,throttling.iops-total=1"
			-device virtio-blk-device,drive=slow)
	fi
	agent_start
}
teardown_file() { agent_stop; }

# latencies WHEN: prints how long Checks take. What counts is that they are answered at all.
latencies()
{
	echo "# Health.Check, $1: $(agentctl latency 200)" >&3
}

# Twenty calls that wait for r$BATS_TEST_NUMBER, one after the other.
twenty()
{
	for i in 1 2 3 4 5 6 7; do
		echo "&wait$i WaitProcess {\"container_id\": \"$id\"}"
		echo "&read$i ReadStdout {\"container_id\": \"$id\", \"len\": 100}"
		((i == 7)) || echo "&oom$i GetOOMEvent"
	done
}

@test "twenty calls that wait, and a Check over the same connection" {
	resident
	run agentctl script <<-END
		$(twenty)
		check Health.Check {}
		stop SignalProcess {"container_id": "$id", "signal": 9}
		wait wait1
		wait wait7
		wait read1
		wait read7
		check2 Health.Check {}
		close
	END
	[[ ${lines[0]} == 'check {"status":"SERVING"}' ]]
	[[ $(grep -c 'wait[1-7] {"status":137}' <<<"$output") -eq 7 ]]
	[[ $(grep -c 'read[1-7] {"data":""}' <<<"$output") -eq 7 ]]
	# Those that wait for an OOM kill still do when the connection is closed, after the second check.
	[[ $(sed -n '/^check2/,$p' <<<"$output" | grep -c '^oom[1-6] ') -eq 6 ]]
	remove
}

@test "twenty calls that wait, and Checks over another connection" {
	resident
	latencies "nobody waits"
	mkfifo "$BATS_TEST_TMPDIR/calls"
	: >"$BATS_TEST_TMPDIR/answers"
	agentctl script <"$BATS_TEST_TMPDIR/calls" >"$BATS_TEST_TMPDIR/answers" 2>&1 3>&- &
	local script=$!
	exec 4>"$BATS_TEST_TMPDIR/calls"
	twenty >&4
	echo 'all Health.Check {}' >&4
	timeout 20 grep -qm 1 '^all' <(tail -n +1 -f "$BATS_TEST_TMPDIR/answers")
	latencies "twenty wait"
	# None of the twenty has been answered meanwhile.
	is 'all {"status":"SERVING"}' cat "$BATS_TEST_TMPDIR/answers"
	exec 4>&-
	kill $script
	remove
}

@test "a disk that answers slowly delays nobody" {
	[[ $place == vm ]] || skip "only QEMU has one"
	run agentctl script <<-END
		&slow CreateContainer $(request -- true | jq -c '.storages += [{driver: "mmioblk", source: "/dev/vdb",
			fstype: "ext4", options: ["ro"], mount_point: "/run/nacre/slow"}]')
		check Health.Check {}
		wait slow
		remove RemoveContainer {"container_id": "c$BATS_TEST_NUMBER"}
	END
	[[ ${lines[0]} == 'check {"status":"SERVING"}' && ${lines[1]} == 'slow {}' && ${lines[2]} == 'remove {}' ]]
	agentctl script >"$BATS_TEST_TMPDIR/answers" 3>&- <<-END &
		slow CreateContainer $(request -- true | jq -c '.container_id = "again" | .storages += [{driver: "mmioblk", source: "/dev/vdb",
			fstype: "ext4", options: ["ro"], mount_point: "/run/nacre/slow"}]')
		remove RemoveContainer {"container_id": "again"}
	END
	latencies "a mount waits for its disk"
	wait $!
}
