#!/usr/bin/env bats
# nacre-proxy's own service, proxy.sock, in front of a real guest.

export NACRE_TEST_PLACE=vm
load ../bats/helpers

setup_file() { agent_start; }
teardown_file() { agent_stop; }

proxy() { agentctl --address "unix://$AGENT_DIR/proxy.sock" "nacre.Proxy/$1"; }

@test "WaitReady answers once the agent takes connections" {
	is "{}" proxy WaitReady
}

@test "ListConnections tells each connection with its counters" {
	local agent pid
	coproc CLIENT { agentctl script 3>&-; }
	pid=$CLIENT_PID # bash forgets it when the client has ended
	echo "checked Health.Check" >&"${CLIENT[1]}"
	read -r _ <&"${CLIENT[0]}"
	agent=$(proxy ListConnections | jq -c '.connections[] | select(.origin == "AGENT")')
	echo "$agent"
	jq -e '.state == "OPEN" and .guest_port == 1024 and .host_port > 0 and .credit > 0 and .backlog == 0
		and (.to_guest | tonumber) > 10 and (.from_guest | tonumber) > 10' <<<"$agent"
	exec {CLIENT[1]}>&-
	wait "$pid"
}
