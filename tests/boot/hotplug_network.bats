#!/usr/bin/env bats
# Network interfaces which QEMU plugs in and out while the guest runs, used through the calls of the Kata agent protocol. Behind
# the first is QEMU's own network, with nothing outside (restrict), whose gateway answers pings.

export NACRE_TEST_PLACE=vm
load ../bats/helpers

setup_file()
{
	# The bridge as Kata's runtimes make it (see boots.bats).
	VM_MACHINE=q35 VM_IMAGE=$build/initramfs-full.cpio VM_APPEND="agent.hotplug_timeout=60" vm_start \
		-netdev user,id=net1,restrict=on,ipv4=on,ipv6=on -netdev hubport,id=net2,hubid=0 -netdev hubport,id=net3,hubid=0 \
		-device pcie-root-port,id=port1,addr=0x10,chassis=1 -device pcie-root-port,id=port2,addr=0x12,chassis=2 \
		-device pci-bridge,id=bridge1,addr=0x11,chassis_nr=1,shpc=off,io-reserve=4k,mem-reserve=1m,pref64-reserve=1m
	export AGENT_ADDRESS AGENT_DIR
	agentctl --timeout 60s wait-ready
	agentctl CreateSandbox '{"sandbox_id": "sandbox"}'
	watch
}

teardown_file() { agent_stop; }

# plug NETDEV BUS ADDRESS MAC, unplug NETDEV: returns when the guest has let it go.
plug()
{
	qmp "$AGENT_DIR/qmp.sock" "{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"virtio-net-pci\", \"id\": \"dev$1\",
		\"netdev\": \"$1\", \"bus\": \"$2\", \"addr\": \"$3\", \"mac\": \"$4\"}}"
}

unplug()
{
	qmp "$AGENT_DIR/qmp.sock" "{\"execute\": \"device_del\", \"arguments\": {\"id\": \"dev$1\"}}" DEVICE_DELETED
}

# interface NAME FILTER: of what is listed.
interface() { agentctl ListInterfaces | jq -rc --arg name "$1" ".Interfaces[] | select(.name == \$name) | $2"; }
names() { agentctl ListInterfaces | jq -r '[.Interfaces[].name | select(. != "lo")] | sort | join(" ")'; }
# Whether one gets an answer: of several, as an IPv6 address isn't used until nobody else on the network has said that it is
# theirs.
pings() { in_guest "ping -c ${2:-1} -W 20 $1"; }
update() { agentctl UpdateInterface "{\"interface\": {$1}}" >"$BATS_TEST_TMPDIR/answer"; }

@test "an interface is asked for, then plugged in: behind a root port, by its place" {
	local answer
	is "" names
	mkfifo "$BATS_TEST_TMPDIR/script" "$BATS_TEST_TMPDIR/answers"
	agentctl script <"$BATS_TEST_TMPDIR/script" >"$BATS_TEST_TMPDIR/answers" 3>&- &
	exec 5>"$BATS_TEST_TMPDIR/script" 6<"$BATS_TEST_TMPDIR/answers"
	echo '&first UpdateInterface {"interface": {"name": "outside", "devicePath": "10/00", "hwAddr": "02:00:5e:00:53:01", "mtu": 1400,
		"IPAddresses": [{"address": "10.0.2.15", "mask": "24"}, {"family": "v6", "address": "fec0::15", "mask": "64"}]}}' | tr -d '\n' >&5
	printf '\ncheck Health.Check {}\n' >&5
	# By then the call has begun to wait; and nobody else has to.
	read -r -t 60 answer <&6
	[[ $answer == "check "*SERVING* ]]
	plug net1 port1 0x0 02:00:5e:00:53:01
	read -r -t 60 answer <&6
	exec 5>&- 6<&-
	[[ $answer == "first "*'"name":"outside"'* ]]
	is outside names
	is '["02:00:5E:00:53:01","1400"]' interface outside '[.hwAddr, .mtu]'
	pings 10.0.2.2
	pings fec0::2 5
}

@test "an interface that is there already: behind a bridge, with another hardware address and a name that somebody has" {
	plug net2 bridge1 0x3 02:00:5e:00:53:02
	update '"name": "first", "devicePath": "11/03", "hwAddr": "02:00:5e:00:53:22", "IPAddresses": [{"address": "192.0.2.2", "mask": "24"}]'
	is "first outside" names
	is '["02:00:5E:00:53:22"]' interface first '[.hwAddr]'
	# The place decides, not the name: without a hardware address as well.
	plug net3 port2 0x0 02:00:5e:00:53:03
	update '"name": "first", "devicePath": "12/00"'
	is '["02:00:5E:00:53:03"]' interface first '[.hwAddr]'
	# The other one got the name that the new one had, its address, and is up still.
	is 1 eval "names | grep -cx 'eth[0-9] first outside'"
	is 02:00:5E:00:53:22 interface "$(names | cut -d ' ' -f 1)" .hwAddr
	run -0 in_guest "ip address show $(names | cut -d ' ' -f 1)"
	[[ $output == *",UP"* && $output == *192.0.2.2/24* ]]
}

@test "by the hardware address alone" {
	update '"name": "second", "hwAddr": "02:00:5e:00:53:22"'
	is "first outside second" names
}

@test "routes: the default one reaches what no address is in the network of" {
	agentctl UpdateRoutes '{"routes": {"Routes": [{"gateway": "10.0.2.2", "device": "outside", "source": "10.0.2.15"},
		{"dest": "198.51.100.0/24", "gateway": "192.0.2.9", "device": "second"}]}}' >"$BATS_TEST_TMPDIR/answer"
	is '{"gateway":"10.0.2.2","source":"10.0.2.15"}' \
		eval "agentctl ListRoutes | jq -c '.Routes[] | select(.dest == \"0.0.0.0\") | {gateway, source}'"
	is "10.0.2.15" eval "in_guest 'ip route get 203.0.113.1' | sed -n 's/.* src \([0-9.]*\).*/\1/p'"
	is second eval "in_guest 'ip route get 198.51.100.7' | sed -n 's/.* dev \([a-z]*\).*/\1/p'"
}

@test "a neighbour: packets go to its hardware address, which nobody was asked for" {
	agentctl AddARPNeighbors '{"neighbors": {"ARPNeighbors": [{"toIPAddress": {"address": "192.0.2.77"}, "device": "second",
		"lladdr": "02:00:5e:00:53:77"}]}}'
	run -0 in_guest "cat /proc/net/arp"
	[[ $output == *192.0.2.77*0x6*02:00:5e:00:53:77*second* ]]
}

@test "packet filters: what is restored holds, is saved again, and what is wrong is told" {
	local rules=$'*filter\n:OUTPUT ACCEPT\n-A OUTPUT -d 10.0.2.2/32 -p icmp -m comment --comment "no pings" -j REJECT\nCOMMIT\n'
	set_rules() { agentctl SetIPTables "$(jq -nc --argjson ipv6 "$1" --arg data "$2" '{is_ipv6: $ipv6, data: $data | @base64}')"; }
	get_rules() { agentctl GetIPTables "{\"is_ipv6\": $1}" | jq -r '.data | @base64d'; }
	set_rules false "$rules"
	run -0 get_rules false
	[[ $output == *'-A OUTPUT -d 10.0.2.2/32 -p icmp -m comment --comment "no pings" -j REJECT'* ]]
	run ! pings 10.0.2.2
	set_rules false $'*filter\n:OUTPUT ACCEPT\nCOMMIT\n'
	pings 10.0.2.2
	set_rules true "${rules//10.0.2.2\/32/fec0::2}"
	run -0 get_rules true
	[[ $output == *"-A OUTPUT -d fec0::2/128"*"-j REJECT"* ]]
	run -0 get_rules false
	[[ $output != *REJECT* ]]
	fails 1 "line: 2" set_rules false $'*filter\n-A OUTPUT -j NOWHERE\nCOMMIT\n'
	[[ $stderr == *INTERNAL*iptables-restore* ]]
}

@test "interfaces are unplugged, and gone from the list; their place can be taken again" {
	unplug net2
	is "first outside" names
	unplug net3
	is "outside" names
	fails 1 "Link not found (second)" update '"name": "second", "hwAddr": "02:00:5e:00:53:22"'
	plug net3 bridge1 0x3 02:00:5e:00:53:04
	update '"name": "third", "devicePath": "11/03"'
	is "outside third" names
	is 02:00:5E:00:53:04 interface third .hwAddr
}
