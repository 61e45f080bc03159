#!/usr/bin/env bats
# nacre.Guest/AttachStream: streams over connections that come and go; and reads that name offsets.

load helpers

# Nothing says which port streams have: the agent has a default one.
setup_file() { VM_STREAMS='' agent_start; }
teardown_file() { agent_stop; }
setup()
{
	says=$BATS_TEST_TMPDIR/says
	resident
}
teardown() { remove; }

# attach EXEC [OPTION...]: the output of an exec to ours, or with --stream stdin ours to it; what it says of itself is in $says.
attach()
{
	local exec=$1

	shift
	timeout 120 agentctl attach --id "$id" --exec-id "$exec" "$@" 2>"$says"
}

# said N: "1 attachments, 3 bytes, 5 skipped".
said() { cut -d ' ' -f "$1" "$says"; }

# named EXEC [MORE]: the process, as requests name it.
named() { echo "{\"container_id\": \"$id\", \"exec_id\": \"$1\"${2:+, $2}}"; }

# behind_calls OFFSET: where a connection is to begin that follows calls which have got so much. A proxy names offsets in them, and so
# the last bytes are kept until somebody acknowledges them; without one it is there that it begins anyway.
behind_calls() { [[ $place == vm ]] && echo "$1" || echo 0; }

# data TEXT: the answer to a read.
data() { echo "{\"data\":\"$(printf %s "$1" | base64 -w 0)\"}"; }

# read_at OFFSET EXEC LENGTH: ReadStdout that names an offset.
read_at() { agentctl --metadata nacre-offset="$1" ReadStdout "$(named "$2" "\"len\": $3")"; }

write() { agentctl WriteStdin "$(named "$1" "\"data\": \"$(printf %s "$2" | base64)\"")"; }

hex() { printf %s "$1" | od -An -v -tx1 | tr -d ' \n'; }

little() { printf "%0$(($2 * 2))x" "$1" | fold -w 2 | tac | tr -d '\n'; } # NUMBER BYTES

# What goes over a connection, in hexadecimal.
record() { little ${#1} 4; hex "$1"; }
offset() { little "$1" 8; }
end=00000000

# asked EXEC STREAM CONNECTION [OFFSET]: an AttachStream request.
asked() { echo "nacre.Guest/AttachStream $(named "$1" "\"stream\": \"$2\", \"port\": @$3, \"offset\": ${4:-0}")"; }

# answered OFFSET [ENDED]
answered() { echo "{\"offset\":\"$1\",\"ended\":${2:-false}}"; }

# script_says OUTPUT: a script for agentctl from our stdin prints exactly this.
script_says()
{
	local wanted=$1

	run --separate-stderr timeout 60 agentctl script
	diff <(echo "$wanted") <(echo "$output")
}

@test "a thousand connections, one after the other, lose no line and double none" {
	local lines=$((quick ? 20000 : 100000))

	execute --detach -- seq $lines
	cmp <(seq $lines) <(attach e1 --cut 500)
	[[ $(said 1) -gt $((quick ? 150 : 1000)) && $(said 5) -eq 0 ]]
	echo "# $(cat "$says")" >&3
	is '{"status":0}' agentctl WaitProcess "$(named e1)"
}

@test "stdin through cat, and back, over connections that are cut: nothing is lost or doubled" {
	local blob=$BATS_TEST_TMPDIR/blob

	head -c $((quick ? 4 << 20 : 64 << 20)) /dev/urandom >"$blob"
	execute --detach -- cat
	attach e1 --stream stdin --cut 1000000 <"$blob" 3>&- &
	[[ $(says=$says.out attach e1 --cut 300000 | sha256sum) == "$(sha256sum <"$blob")" ]]
	wait $!
	[[ $(said 3) -eq $(stat -c %s "$blob") && $(said 1) -gt 3 ]]
	echo "# stdin: $(cat "$says"); stdout: $(cat "$says.out")" >&3
	is '{"status":0}' agentctl WaitProcess "$(named e1)"
}

@test "stderr is a stream of its own" {
	execute --detach -- sh -c 'echo out; echo err >&2; exit 4'
	is err attach e1 --stream stderr
	is out attach e1
	is '{"status":4}' agentctl WaitProcess "$(named e1)"
}

@test "a terminal's input and output, and its end" {
	execute --tty --detach -- sh -c 'stty -echo; echo ready; cat; echo done'
	is "$(data $'ready\r\n')" agentctl ReadStdout "$(named e1 '"len": 100')"
	attach e1 --stream stdin --cut 3 <<<typed
	# For connections it is over, and no second end can reach the next reader.
	script_says "again $(answered 6 true)" <<-END
		connect a
		again $(asked e1 STDIN a)
	END
	is $'typed\r\ndone\r' attach e1 --offset "$(behind_calls 7)"
	script_says "no NOT_FOUND: the process has no such stream" <<<"no nacre.Guest/AttachStream $(named e1 '"stream": "STDERR"')"
}

@test "calls go on behind what a connection has acknowledged, and a connection behind what calls have got" {
	execute --detach --stdin -- cat
	script_says "in {\"len\":11}
call $(data 0123)
first $(answered 4)
a $(record 456789a)
taken FAILED_PRECONDITION: a connection is attached to the stream
again $(answered 4)
check {\"status\":\"SERVING\"}
call $(data 4)
behind $(answered 5)
c $(record 56789a)
later $(answered 9)
d $(record 9a)" <<-END
		in WriteStdin $(named e1 "\"data\": \"$(printf 0123456789a | base64)\"")
		call ReadStdout $(named e1 '"len": 4')
		connect a
		first $(asked e1 STDOUT a "$(behind_calls 4)")
		receive a 11
		taken ReadStdout $(named e1 '"len": 4')
		drop a
		connect b
		again $(asked e1 STDOUT b)
		drop b
		check Health.Check
		call ReadStdout $(named e1 '"len": 1')
		connect c
		behind $(asked e1 STDOUT c 5)
		receive c 10
		send c $(offset 7)
		connect d
		later $(asked e1 STDOUT d 9)
		receive d 6
	END
}

@test "the last connection wins, and calls that wait are sent away" {
	execute --detach --stdin -- cat
	run --separate-stderr timeout 60 agentctl script <<-END
		&waiting ReadStdout $(named e1 '"len": 9')
		connect a
		first $(asked e1 STDOUT a)
		wait waiting
		in WriteStdin $(named e1 "\"data\": \"$(printf new | base64)\"")
		receive a 7
		connect b
		second $(asked e1 STDOUT b)
		receive b 7
		receive a 1
	END
	# The call and what took its stream are answered at the same time.
	[[ $output == *"waiting FAILED_PRECONDITION: a connection is attached to the stream"* ]]
	diff - <(grep -v ^waiting <<<"$output") <<-END
		first $(answered 0)
		in {"len":3}
		a $(record new)
		second $(answered 0)
		b $(record new)
		a 
	END
}

@test "what can't be attached" {
	execute --detach -- sh -c 'echo out; exec sleep 1000'
	execute --io connections -- sh -c 'echo up; exec sleep 1000' >"$BATS_TEST_TMPDIR/up" 3>&- &
	timeout 20 grep -qm 1 up <(tail -n +1 -F "$BATS_TEST_TMPDIR/up" 2>/dev/null)
	script_says "nobody INVALID_ARGUMENT: Invalid container id: there is no container 'nobody'
exec NOT_FOUND: process not found: container $id has no exec 'none'
nowhere FAILED_PRECONDITION: no connection has come from port 7
fourth NOT_FOUND: the process has no such stream
own FAILED_PRECONDITION: the stream has a connection of its own
absent NOT_FOUND: the process has no such stream
beyond FAILED_PRECONDITION: the offset is beyond what has been sent
fine $(answered 0)" <<-END
		nobody nacre.Guest/AttachStream {"container_id": "nobody"}
		exec nacre.Guest/AttachStream $(named none)
		nowhere nacre.Guest/AttachStream $(named e1 '"stream": "STDOUT", "port": 7')
		fourth nacre.Guest/AttachStream $(named e1 '"stream": 3')
		connect a
		own $(asked e2 STDOUT a)
		absent $(asked e2 STDIN a)
		beyond $(asked e1 STDOUT a 5)
		fine $(asked e1 STDOUT a)
	END
	remove
	wait $! || true
	resident
}

@test "a connection that breaks the rules is cut, and nothing is lost by it" {
	execute --detach --stdin -- cat
	script_says "in {\"len\":4}
a $(answered 0)
a $(record kept)
a 
b $(answered 0)
b $(record kept)
b 
c $(answered 4)
c $(offset 6)
c 
d $(answered 6)
d $(offset 8)" <<-END
		in WriteStdin $(named e1 "\"data\": \"$(printf kept | base64)\"")
		connect a
		a $(asked e1 STDOUT a)
		receive a 8
		send a $(offset 5)
		receive a 1
		connect b
		b $(asked e1 STDOUT b)
		receive b 8
		send b $(offset 18446744073709551615)
		receive b 1
		connect c
		c $(asked e1 STDIN c)
		send c $(record hi)$(little 65537 4)
		receive c 8
		receive c 1
		connect d
		d $(asked e1 STDIN d)
		send d $(record ho)
		receive d 8
	END
	agentctl CloseStdin "$(named e1)"
	is kepthiho attach e1
}

@test "a reader that takes nothing holds its stream, and no other" {
	execute --detach -- sh -c 'echo said >&2; yes 1234567 | head -c 300000; echo over >&2'
	script_says "a $(answered 0)
err $(data $'said\n')" <<-END
		connect a
		a $(asked e1 STDOUT a)
		err ReadStderr $(named e1 '"len": 100')
	END
	is quick execute -- echo quick
	# Nobody has acknowledged anything, and what has been sent is kept.
	fails 1 "" agentctl --timeout 500ms ReadStderr "$(named e1 '"len": 100')"
	[[ ${stderr^^} == *DEADLINE* ]]
	cmp <(yes 1234567 | head -c 300000) <(attach e1)
	is over attach e1 --stream stderr --offset 5
	is '{"status":0}' agentctl WaitProcess "$(named e1)"
}

@test "stdin is the connection's alone, but for its end" {
	execute --detach --stdin -- cat
	script_says "first {\"len\":3}
a $(answered 3)
refused FAILED_PRECONDITION: a connection is attached to the stream
a $(offset 7)
closed {}
a 
b $(answered 7 true)
b 
late INTERNAL: Cannot get writer" <<-END
		first WriteStdin $(named e1 "\"data\": \"$(printf one | base64)\"")
		connect a
		a $(asked e1 STDIN a)
		refused WriteStdin $(named e1 "\"data\": \"$(printf no | base64)\"")
		send a $(record -two)
		receive a 8
		closed CloseStdin $(named e1)
		receive a 1
		connect b
		b $(asked e1 STDIN b)
		receive b 1
		late WriteStdin $(named e1 "\"data\": \"$(printf no | base64)\"")
	END
	is one-two attach e1
}

@test "an exit is told at once, and what wasn't acknowledged before is still there" {
	execute --detach -- sh -c 'echo last; exit 3'
	script_says "a $(answered 0)
a $(record $'last\n')
exit {\"status\":3}
a $end
b $(answered 2)
b $(record $'st\n')$end
b 
err $(answered 0 true)
c NOT_FOUND: process not found: container $id has no exec 'e1'" <<-END
		connect a
		a $(asked e1 STDOUT a)
		receive a 9
		exit WaitProcess $(named e1)
		receive a 4
		drop a
		connect b
		b $(asked e1 STDOUT b 2)
		receive b 11
		send b $(offset 5)
		receive b 1
		connect e
		err $(asked e1 STDERR e)
		connect c
		c $(asked e1 STDOUT c)
	END
}

# What nobody has read is kept for half a minute after the exit has been told.
@test "what somebody is attached to is kept as long as that takes" {
	[[ ${NACRE_TEST_FULL:-} ]] || skip "40 s: make test-full"
	execute --detach -- echo slow
	is '{"status":0}' agentctl WaitProcess "$(named e1)"
	script_says "a $(answered 0)
a $(record $'slow\n')$end
b $(answered 3)" < <(
		printf '%s\n' "connect a" "a $(asked e1 STDOUT a)" "receive a 13"
		sleep 40
		printf '%s\n' "connect b" "b $(asked e1 STDOUT b 3)"
	)
}

@test "a grandchild that keeps the stream doesn't keep its end" {
	execute --detach -- sh -c 'sleep 1000 & echo mine'
	is '{"status":0}' agentctl WaitProcess "$(named e1)"
	is mine attach e1
}

@test "removing the container ends its connections" {
	execute --detach -- sh -c 'echo out; sleep 1000'
	script_says "out $(answered 0)
out $(record $'out\n')
in $(answered 0)
gone {}
out 
in " <<-END
		connect out
		out $(asked e1 STDOUT out)
		receive out 8
		connect in
		in $(asked e1 STDIN in)
		gone RemoveContainer {"container_id": "$id"}
		receive out 1
		receive in 1
	END
	resident
}

@test "a released process keeps its connections" {
	execute --detach --stdin -- cat
	script_says "in $(answered 0)
released {}
in $(offset 2)" <<-END
		connect in
		in $(asked e1 STDIN in)
		released nacre.Guest/ReleaseProcess $(named e1)
		send in $(record hi)
		receive in 8
	END
}

@test "reads that name offsets are answered again, until a later one says that they have come" {
	execute --detach --stdin -- cat
	agentctl WriteStdin "$(named e1 "\"data\": \"$(printf 0123456789 | base64)\"")"
	is "$(data 0123)" read_at 0 e1 4
	is "$(data 012)" read_at 0 e1 3
	is "$(data 23)" read_at 2 e1 6
	fails 1 "FAILED_PRECONDITION: no byte is kept at offset 1: they are there from 2" read_at 1 e1 6
	fails 1 "FAILED_PRECONDITION: no byte is kept at offset 11" read_at 11 e1 6
	# One that names none goes on behind what is acknowledged, for good; and so does a connection.
	is "$(data 23)" agentctl ReadStdout "$(named e1 '"len": 2')"
	is "$(data 456)" read_at 4 e1 3
	agentctl CloseStdin "$(named e1)"
	is 6789 attach e1 --offset 6
}

@test "the end of a stream has an offset" {
	execute --detach -- printf abc
	is "$(data abc)" read_at 0 e1 9
	is "$(data abc)" read_at 0 e1 9
	is '{"status":0}' agentctl WaitProcess "$(named e1)"
	is "$(data c)" read_at 2 e1 9
	is "$(data '')" read_at 3 e1 9
	fails 1 "FAILED_PRECONDITION: no byte is kept at offset 2" read_at 2 e1 9
	is "$(data '')" agentctl ReadStdout "$(named e1 '"len": 2')"
}

@test "offsets that are none" {
	execute --detach -- sleep 1000
	for bad in '' x -1 +1 ' 1' 1x 18446744073709551615 18446744073709551616 0x1; do
		fails 1 "INVALID_ARGUMENT: nacre-offset: '$bad' is no offset" read_at "$bad" e1 1
	done
}

@test "a terminal's offsets are ReadStdout's" {
	execute --tty --detach -- printf abc
	fails 1 "FAILED_PRECONDITION: a terminal's offsets are ReadStdout's" \
		agentctl --metadata nacre-offset=0 ReadStderr "$(named e1 '"len": 9')"
	is "$(data abc)" read_at 0 e1 9
}
