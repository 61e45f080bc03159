#!/usr/bin/env bats
# A guest whose command line asks for nothing: what only a debugging one has isn't there.

load attacks

# No judge here: its shell is what must not be there.
setup_file() { agent_start; }
teardown_file() { agent_stop; }

@test "A11 without its parameter there is no debug console, and the agent makes no links in the shared folder" {
	local port shared=/run/kata-containers/shared/containers
	for port in 1025 1026 1234; do
		run timeout 20 "$top/tests/bats/port.py" console "$port" </dev/null
		[[ $status -ne 0 && $output == *"nobody listens on port $port"* ]]
	done
	# It is there on the port that the command line does name.
	run timeout 20 "$top/tests/bats/port.py" calls 1024 </dev/null &
	agentctl CopyFile "$(jq -cn --arg p "$shared/file" '{path: $p, file_mode: 33188, dir_mode: 493, file_size: 2, data: "eHg="}')" >/dev/null
	attacker sharer ".OCI.Mounts += [$(bind $shared /shared)]" -- sleep 100000
	is "xx" inside sharer -- cat /shared/file
	is "" inside sharer -- sh -c 'find /shared -type l'
	removed sharer
	precondition "nobody listens on 1025, 1026 and 1234, where the agent answers on 1024; a copied file is in the shared folder, no link"
}
