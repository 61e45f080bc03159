#!/usr/bin/env bats
# Interfaces, routes and neighbours. An agent on this machine has a network of its own, in which there is only lo; a virtual
# machine has two interfaces, which go nowhere. tests/boot/hotplug_network.bats has more of them, which come and go.

load helpers

setup_file()
{
	VM_ARGUMENTS=(-netdev hubport,hubid=0,id=n1 -netdev hubport,hubid=1,id=n2
		-device virtio-net-device,netdev=n1,mac=02:00:5e:00:53:11 -device virtio-net-device,netdev=n2,mac=02:00:5e:00:53:12)
	AGENT_NAMESPACES=--net agent_start
	watch
	# Whatever it was before, it is up now.
	agentctl UpdateInterface '{"interface": {"name": "lo", "device": "lo"}}'
}

teardown_file()
{
	agent_stop
}

# update JSON, routes JSON...: UpdateInterface with this interface, UpdateRoutes with these routes.
update() { agentctl UpdateInterface "{\"interface\": {$1}}"; }
routes()
{
	local IFS=,

	agentctl UpdateRoutes "{\"routes\": {\"Routes\": [$*]}}"
}
neighbors()
{
	local IFS=,

	agentctl AddARPNeighbors "{\"neighbors\": {\"ARPNeighbors\": [$*]}}"
}

# interface NAME FILTER, route DEST FILTER: of what is listed, by jq.
interface() { agentctl ListInterfaces | jq -rc --arg name "$1" ".Interfaces[] | select(.name == \$name) | $2"; }
route() { agentctl ListRoutes | jq -rc --arg dest "$1" ".Routes[] | select(.dest == \$dest) | $2"; }

@test "an interface that isn't there is Link not found, which runtimes wait for to go away" {
	fails 1 "Link not found (eth77)" update '"name": "eth77", "device": "eth77", "hwAddr": "02:00:5e:00:53:77"'
	[[ $stderr == *INTERNAL* ]]
	fails 1 "Link not found (eth77)" routes '{"dest": "192.0.2.0/24", "device": "eth77"}'
	fails 1 "Link not found (eth77)" neighbors '{"toIPAddress": {"address": "192.0.2.7"}, "device": "eth77"}'
}

@test "an interface that is never plugged in is waited for, as long as the agent is told to (agent.hotplug_timeout)" {
	fails 1 "Timeout after 3s waiting for uevent of 1f/1f" update '"name": "eth77", "devicePath": "1f/1f"'
}

@test "a request without its subject, or with one that can't be, is an invalid argument" {
	local address part

	fails 1 INVALID_ARGUMENT agentctl UpdateInterface
	fails 1 INVALID_ARGUMENT agentctl UpdateRoutes
	fails 1 INVALID_ARGUMENT agentctl AddARPNeighbors
	for part in '"name": ""' '"name": "a/b"' '"name": "longer-than-a-name"' '"name": "eth77", "hwAddr": "nonsense"' \
		'"name": "eth77", "mtu": 4294967296' '"name": "eth77", "devicePath": "02/../03"' \
		'"name": "eth77", "IPAddresses": [{"address": "192.0.2.1", "mask": "33"}]' \
		'"name": "eth77", "IPAddresses": [{"address": "192.0.2", "mask": "24"}]' \
		'"name": "eth77", "IPAddresses": [{"address": "192.0.2.1", "mask": "255.255.255.0"}]'; do
		fails 1 INVALID_ARGUMENT update "$part"
	done
	for part in '"dest": "192.0.2.0/33"' '"dest": "x"' '"gateway": "192.0.2"' '"scope": 256' '"source": "192.0.2.1/x"' \
		'"dest": "192.0.2.0/24", "gateway": "2001:db8::1"' '"dest": "192.0.2.0/24", "source": "2001:db8::1"'; do
		fails 1 INVALID_ARGUMENT routes "{\"device\": \"lo\", $part}"
	done
	address='"toIPAddress": {"address": "192.0.2.7"}'
	for part in '"lladdr": ""' '"toIPAddress": {"address": "192.0.2.7/24"}' "$address, \"lladdr\": \"02:00\"" \
		"$address, \"state\": -1" "$address, \"state\": 65536" "$address, \"state\": 1, \"lladdr\": \"x\""; do
		fails 1 INVALID_ARGUMENT neighbors "{\"device\": \"lo\", $part}"
	done
	fails 1 INVALID_ARGUMENT neighbors "{\"device\": \"a/b\", $address}"
}

@test "the answer to UpdateInterface is its own request" {
	is '["lo","16000","any",8]' eval 'update "\"name\": \"lo\", \"mtu\": 16000, \"type\": \"any\", \"raw_flags\": 8" |
		jq -c "[.name, .mtu, .type, .raw_flags]"'
	is 16000 interface lo .mtu
}

@test "addresses are added, again and again, and the others stay" {
	local family='"IPAddresses": [{"address": "192.0.2.1", "mask": "24"}, {"family": "v6", "address": "2001:db8::1", "mask": "64"}]'

	update '"name": "lo", "IPAddresses": [{"address": "198.18.0.1", "mask": "32"}]'
	update "\"name\": \"lo\", $family"
	update "\"name\": \"lo\", $family"
	is '["192.0.2.1","24","v4"]' interface lo '.IPAddresses[] | select(.address == "192.0.2.1") | [.address, .mask, .family]'
	is '["2001:db8::1","64","v6"]' interface lo '.IPAddresses[] | select(.address == "2001:db8::1") | [.address, .mask, .family]'
	is 32 interface lo '.IPAddresses[] | select(.address == "198.18.0.1") | .mask'
	is 00:00:00:00:00:00 interface lo .hwAddr
}

@test "without IPv6 its addresses are passed over" {
	[[ $place == local ]] || skip "would change the guest of the other tests"
	switch() { in_guest "echo $1 | tee /proc/sys/net/ipv6/conf/all/disable_ipv6 >/proc/sys/net/ipv6/conf/default/disable_ipv6"; }
	switch 1
	update '"name": "lo", "IPAddresses": [{"address": "2001:db8::66", "mask": "64"}, {"address": "192.0.2.66", "mask": "24"}]'
	switch 0
	is '["192.0.2.66"]' interface lo '[.IPAddresses[].address | select(endswith("66"))]'
}

@test "routes are added, those without a gateway first, and the answer is the table" {
	update '"name": "lo", "IPAddresses": [{"address": "192.0.2.1", "mask": "24"}, {"address": "2001:db8::1", "mask": "64"}]'
	for _ in 1 2; do
		run -0 routes '{"dest": "198.51.100.0/24", "gateway": "192.0.2.9", "device": "lo", "mtu": 1400}' \
			'{"dest": "203.0.113.0/24", "device": "lo", "scope": 253, "source": "192.0.2.1"}' \
			'{"dest": "", "gateway": "192.0.2.8", "device": "lo"}' \
			'{"dest": "2001:db8:1::/64", "family": "v6", "device": "lo"}'
		[[ $output == *198.51.100.0/24* && $output == *203.0.113.0/24* && $output == *192.0.2.8* ]]
	done
	is '["192.0.2.9","lo",1400]' route 198.51.100.0/24 '[.gateway, .device, .mtu]'
	# A bare address as the source is the one that packets get.
	is '[253,"192.0.2.1"]' route 203.0.113.0/24 '[.scope, .source]'
	is '["192.0.2.8"]' route 0.0.0.0 '[.gateway]'
	is '["v6","lo"]' route 2001:db8:1::/64 '[.family, .device]'
	# As it was listed it can be given again.
	routes '{"dest": "0.0.0.0", "gateway": "192.0.2.7", "device": "lo"}' >"$BATS_TEST_TMPDIR/out"
	is '["192.0.2.7"]' route 0.0.0.0 '[.gateway]'
}

@test "a source that the guest hasn't is left out; a gateway that can't be reached is an error" {
	routes '{"dest": "198.18.7.0/24", "device": "lo", "source": "198.18.99.99"}' >"$BATS_TEST_TMPDIR/out"
	is '["lo",""]' route 198.18.7.0/24 '[.device, .source]'
	fails 1 "add a route to 198.51.100.0/24 over lo" routes \
		'{"dest": "198.51.100.0/24", "gateway": "192.168.77.1", "device": "lo"}'
}

@test "only the main table is listed" {
	is 0 eval 'agentctl ListRoutes | jq "[.Routes[] | select(.dest | startswith(\"127.\"))] | length"'
}

@test "neighbours of both families, permanent where no state is told" {
	is '{}' neighbors '{"toIPAddress": {"family": "v6", "address": "2001:db8::77"}, "device": "lo", "lladdr": "02:00:5e:00:53:02", "state": 128}'
	[[ $place == vm ]] || skip "an interface with neighbours is needed to see them"
	update '"name": "eth0", "IPAddresses": [{"address": "192.0.2.129", "mask": "25"}, {"address": "2001:db8:7::1", "mask": "64"}]'
	is '{}' neighbors '{"toIPAddress": {"address": "192.0.2.177"}, "device": "eth0", "lladdr": "02:00:5e:00:53:01"}' \
		'{"toIPAddress": {"family": "v6", "address": "2001:db8:7::77"}, "device": "eth0", "lladdr": "02:00:5e:00:53:02", "flags": 128}'
	# Again, in its place.
	is '{}' neighbors '{"toIPAddress": {"address": "192.0.2.177"}, "device": "eth0", "lladdr": "02:00:5e:00:53:03"}'
	# busybox prints times between them.
	run -0 in_guest "ip -4 neigh show dev eth0"
	[[ $output == "192.0.2.177 lladdr 02:00:5e:00:53:03 "*PERMANENT* && $output != *:53:01* ]]
	run -0 in_guest "ip -6 neigh show dev eth0"
	[[ $output == *"2001:db8:7::77 lladdr 02:00:5e:00:53:02 router "*PERMANENT* ]]
}

@test "an interface is found by its hardware address, whatever it is called, and takes the name of another" {
	[[ $place == vm ]] || skip "real interfaces are needed"
	local names='[.Interfaces[] | select(.hwAddr | startswith("02:00:5E:00:53:1")) | .name + " " + .hwAddr[15:]] | sort | join(", ")'
	is "eth0 11, eth1 12" eval "agentctl ListInterfaces | jq -r '$names'"
	update '"name": "eth1", "hwAddr": "02:00:5e:00:53:11", "mtu": 1400, "raw_flags": 128'
	is "eth0 12, eth1 11" eval "agentctl ListInterfaces | jq -r '$names'"
	is 1400 interface eth1 .mtu
	run -0 in_guest "ip link show eth1"
	[[ $output == *NOARP*UP* ]]
	# ARP is back without the flag.
	update '"name": "eth1", "hwAddr": "02:00:5e:00:53:11"'
	run -0 in_guest "ip link show eth1"
	[[ $output != *NOARP* && $output == *UP* ]]
	# A hardware address that nobody has is given to the one with the name.
	update '"name": "eth0", "hwAddr": "02:00:5e:00:53:13"'
	is 02:00:5E:00:53:13 interface eth0 .hwAddr
	# What the kernel refuses leaves it up.
	fails 1 "set the MTU of eth0 to 70000" update '"name": "eth0", "mtu": 70000'
	run -0 in_guest "ip link show eth0"
	[[ $output == *",UP"* ]]
}
