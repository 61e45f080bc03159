#!/usr/bin/env bats
# GetIPTables and SetIPTables: the guest's own iptables-save and iptables-restore. On this machine scripts in their place show
# what they are given; real ones are in tests/boot/hotplug_network.bats. The image for `nacre run` has none.

load helpers

setup_file()
{
	export tools=$BATS_FILE_TMPDIR/tools
	AGENT_NAMESPACES=--net agent_start
	[[ $place == local ]] || return 0
	# Nothing else is looked for there (/sbin is often the same).
	mkdir "$tools"
	in_guest "mount --bind $tools /usr/sbin; [ -L /sbin ] || mount --bind $tools /sbin"
}

teardown_file()
{
	agent_stop
}

setup() { [[ $place != local ]] || rm -f "$tools"/*; }

# tool NAME SCRIPT: in the guest.
tool()
{
	[[ $place == local ]] || skip "scripts in the place of the tools are for an agent here"
	printf '#!/bin/sh\n%s\n' "$2" >"$tools/$1"
	chmod 755 "$tools/$1"
}

data() { jq -r '.data | @base64d'; }

@test "an image without the tools answers which one is missing" {
	fails 1 "the guest image has no iptables-save (in /usr/sbin or /sbin)" agentctl GetIPTables
	[[ $stderr == *INTERNAL* ]]
	fails 1 "no ip6tables-save" agentctl GetIPTables '{"is_ipv6": true}'
	fails 1 "no iptables-restore" agentctl SetIPTables '{"data": "KmZpbHRlcgpDT01NSVQK"}'
	fails 1 "no ip6tables-restore" agentctl SetIPTables '{"is_ipv6": true, "data": "KmZpbHRlcgpDT01NSVQK"}'
}

@test "what the save tool prints is the answer" {
	tool iptables-save 'echo "*filter"; echo "arguments: $#"; cat; echo warning >&2'
	tool ip6tables-save 'echo six'
	is $'*filter\narguments: 0' eval "agentctl GetIPTables | data"
	is six eval "agentctl GetIPTables '{\"is_ipv6\": true}' | data"
}

@test "the restore tool reads the data, and waits for the lock" {
	tool iptables-restore 'echo "$@"; wc -c; '
	tool ip6tables-restore 'cat >&2; exit 1'
	is $'--wait 5\n15' eval "agentctl SetIPTables '{\"data\": \"KmZpbHRlcgpDT01NSVQK\"}' | data"
	fails 1 "ip6tables-restore: *filter COMMIT" agentctl SetIPTables '{"is_ipv6": true, "data": "KmZpbHRlcgpDT01NSVQK"}'
	[[ $stderr == *INTERNAL* ]]
}

@test "large tables in both directions; too large ones are an error" {
	tool iptables-restore 'wc -c'
	tool iptables-save 'head -c 3000000 /dev/zero'
	# One line of a script: it is too long for an argument.
	printf 'large SetIPTables {"data": "%s"}\n' "$(head -c 3000000 /dev/zero | base64 -w0)" >"$BATS_TEST_TMPDIR/script"
	is 3000000 eval "agentctl script <'$BATS_TEST_TMPDIR/script' | cut -d ' ' -f 2 | data"
	is 3000000 eval "agentctl GetIPTables | jq -r .data | base64 -d | wc -c"
	tool iptables-save 'head -c 5000000 /dev/zero'
	fails 1 RESOURCE_EXHAUSTED agentctl GetIPTables
}

@test "a tool that waits keeps nobody else, and ends with its call" {
	tool iptables-save 'echo $$ >/run/tool.new; mv /run/tool.new /run/tool; exec sleep 1000'
	local call
	agentctl --timeout 60s GetIPTables >/dev/null 2>&1 3>&- &
	call=$!
	in_guest 'timeout 20 sh -c "until [ -e /run/tool ]; do sleep 0.05; done"'
	agentctl Health.Check
	kill "$call"
	# A process in the same process namespace: ours.
	timeout 20 tail --pid="$(in_guest "cat /run/tool")" -f /dev/null
}
