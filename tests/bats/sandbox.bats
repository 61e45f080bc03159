#!/usr/bin/env bats
# The sandbox: made once, shared by its containers, and the guest's end when it is destroyed.

load helpers

setup() { agent_start --no-sandbox; }
teardown() { agent_stop; }

# Each test has an agent of its own.
setup_file() { :; }

@test "a second CreateSandbox is refused, and the first one lives on" {
	agentctl CreateSandbox '{"sandbox_id": "one", "hostname": "first"}'
	fails 1 ALREADY_EXISTS agentctl CreateSandbox '{"sandbox_id": "two"}'
	is first container -- hostname
}

@test "containers share the sandbox's host name and its System V memory, not each other's processes" {
	agentctl CreateSandbox '{"sandbox_id": "one", "hostname": "pod"}'
	resident
	is pod container -- hostname
	run container -- ps
	[[ $output != *"sleep 1000"* ]]
	remove
}

@test "sandbox_pidns shares the first container's processes" {
	agentctl CreateSandbox '{"sandbox_id": "one", "hostname": "pod"}'
	resident
	run edited '.sandbox_pidns = true' -- ps
	[[ $output == *"sleep 1000"* ]]
	remove
}

@test "DestroySandbox ends containers, agent and guest" {
	agentctl CreateSandbox '{"sandbox_id": "one"}'
	resident
	is '{}' agentctl DestroySandbox
	agent_ended
}

@test "a kernel module that can't be loaded is an error" {
	fails 1 modprobe agentctl CreateSandbox '{"sandbox_id": "one", "kernel_modules": [{"name": "no-such-module"}]}'
	agentctl CreateSandbox '{"sandbox_id": "one"}'
}
