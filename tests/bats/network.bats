#!/usr/bin/env bats
# UpdateInterface and UpdateRoutes. What changes something is for a virtual machine: here the agent is in this machine's
# own network.

load helpers

setup_file()
{
	agent_start
}

teardown_file()
{
	agent_stop
}

@test "an interface that isn't there is Link not found, which runtimes wait for to go away" {
	run agentctl UpdateInterface '{"interface": {"name": "eth77", "device": "eth77", "hwAddr": "02:00:5e:00:53:77"}}'
	[[ $status -ne 0 && $output == *INTERNAL*"Link not found (eth77)"* ]]
	run agentctl UpdateRoutes '{"routes": {"Routes": [{"dest": "192.0.2.0/24", "device": "eth77"}]}}'
	[[ $status -ne 0 && $output == *"Link not found (eth77)"* ]]
}

@test "a request without its subject, or with one that can't be, is an invalid argument" {
	run agentctl UpdateInterface '{}'
	[[ $status -ne 0 && $output == *INVALID_ARGUMENT* ]]
	run agentctl UpdateRoutes '{}'
	[[ $status -ne 0 && $output == *INVALID_ARGUMENT* ]]
	for interface in '"name": ""' '"name": "a/b"' '"name": "longer-than-a-name"' '"name": "eth77", "hwAddr": "nonsense"' \
		'"name": "eth77", "IPAddresses": [{"address": "192.0.2.1", "mask": "33"}]' \
		'"name": "eth77", "IPAddresses": [{"address": "192.0.2", "mask": "24"}]' \
		'"name": "eth77", "IPAddresses": [{"address": "192.0.2.1", "mask": "255.255.255.0"}]'; do
		run agentctl UpdateInterface "{\"interface\": {$interface}}"
		[[ $status -ne 0 && $output == *INVALID_ARGUMENT* ]]
	done
	for route in '"dest": "192.0.2.0/33"' '"dest": "x"' '"gateway": "192.0.2"' '"dest": "192.0.2.0/24", "gateway": "2001:db8::1"'; do
		run agentctl UpdateRoutes "{\"routes\": {\"Routes\": [{\"device\": \"eth77\", $route}]}}"
		[[ $status -ne 0 && $output == *INVALID_ARGUMENT* ]]
	done
}

@test "addresses and routes are set, again and again, and the answer is the table" {
	[[ $place == vm ]] || skip "would change this machine's own network"
	for i in 1 2; do
		agentctl UpdateInterface '{"interface": {"name": "lo", "device": "lo", "mtu": 16000,
			"IPAddresses": [{"address": "192.0.2.1", "mask": "24"}, {"family": "v6", "address": "2001:db8::1", "mask": "64"}]}}'
		run agentctl UpdateRoutes '{"routes": {"Routes": [{"dest": "198.51.100.0/24", "gateway": "192.0.2.9", "device": "lo"},
			{"dest": "203.0.113.0/24", "device": "lo", "scope": 253}, {"dest": "", "gateway": "192.0.2.8", "device": "lo"}]}}'
		[[ $status -eq 0 && $output == *198.51.100.0/24* && $output == *203.0.113.0/24* && $output == *192.0.2.8* ]]
	done
	run agentctl UpdateRoutes '{"routes": {"Routes": [{"dest": "198.51.100.0/24", "gateway": "192.168.77.1", "device": "lo"}]}}'
	[[ $status -ne 0 && $output == *"add a route to 198.51.100.0/24 over lo"* ]]
}
