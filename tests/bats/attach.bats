#!/usr/bin/env bats
# nacre.Guest/AttachStream: streams over connections that come and go, and reads that name offsets.

load helpers

setup_file() { agent_start; }
teardown_file() { agent_stop; }
setup() { resident; }
teardown() { remove; }

# attach EXEC [OPTION...]: the output of an exec to ours, or with --stream stdin ours to it; what it says of itself is in $says.
attach()
{
	local exec=$1

	shift
	timeout 120 agentctl attach --id "$id" --exec-id "$exec" "$@" 2>"$says"
}

said() { cut -d ' ' -f "$1" "$says"; }

named()
{
	echo "{\"container_id\": \"$id\", \"exec_id\": \"$1\"${2:+, $2}}"
}

text() { printf '{"data":"%s"}' "$(printf "$@" | base64 -w 0)"; }

says=$BATS_TEST_TMPDIR/says

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
