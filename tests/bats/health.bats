#!/usr/bin/env bats
# Is the agent alive, which is it, and what can it do.

load helpers

setup_file() { agent_start --no-sandbox; }
teardown_file() { agent_stop; }

@test "Check says SERVING" {
	is '{"status":"SERVING"}' agentctl Health.Check
}

@test "Version tells the protocol's version and ours" {
	run agentctl Health.Version
	[[ $output == *'"grpc_version":"0.0.1"'* ]]
	[[ $output == *'"agent_version":"'[0-9]* ]]
}

@test "GetGuestDetails says what a runtime decides by" {
	run agentctl GetGuestDetails '{"mem_block_size": true, "mem_hotplug_probe": true}'
	[[ $status -eq 0 ]]
	[[ $(jq .agent_details.supports_seccomp <<<"$output") == true ]]
	[[ $(jq -c .agent_details.device_handlers <<<"$output") == '[]' ]]
	[[ $(jq -c '.agent_details.storage_handlers | contains(["mmioblk", "overlayfs", "virtio-fs"])' <<<"$output") == true ]]
	[[ $(jq .agent_details.init_daemon <<<"$output") == $([[ $place == vm ]] && echo true || echo false) ]]
}

@test "the clock of a guest can be set" {
	[[ $place == vm ]] || skip "it would set this machine's clock"
	agentctl SetGuestDateTime '{"Sec": 1000000000, "Usec": 5}'
	agentctl CreateSandbox '{"sandbox_id": "sandbox"}'
	is 2001 container -- date +%Y
	fails 1 INVALID_ARGUMENT agentctl SetGuestDateTime '{"Sec": 1, "Usec": 1000000}'
}

@test "entropy can be given, but not nothing" {
	is '{}' agentctl ReseedRandomDev '{"data": "c29tZSBieXRlcyBvZiBlbnRyb3B5"}'
	fails 1 INTERNAL agentctl ReseedRandomDev '{}'
}

@test "what this build leaves out says so" {
	fails 1 "NOT_FOUND: /grpc.AgentService/SetPolicy is not supported" agentctl SetPolicy '{"policy": "package agent_policy"}'
	fails 1 "INTERNAL: mem-agent is disabled" agentctl MemAgentMemcgSet '{"disabled": true}'
	fails 1 "INTERNAL: mem-agent is disabled" agentctl MemAgentCompactSet '{"compact_order": 9}'
}
