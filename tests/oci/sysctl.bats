#!/usr/bin/env bats
# OCI config-linux.md "Sysctl".

load helpers

setup_file() { place_start; }
teardown_file() { place_stop; }

@test "those of the container's own namespaces are written, and nobody else sees them" {
	local before
	before=$(in_place "cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_forward /proc/sys/fs/mqueue/msg_max")
	is "12345 1 7 example" boxed '.linux.sysctl = {"kernel.msgmax": "12345", "net.ipv4.ip_forward": "1", "fs.mqueue.msg_max": "7", "kernel.domainname": "example"}' \
		sh -c 'cd /proc/sys && echo $(cat kernel/msgmax net/ipv4/ip_forward fs/mqueue/msg_max kernel/domainname)'
	is "$before" in_place "cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_forward /proc/sys/fs/mqueue/msg_max"
}

@test "others are refused, and so is what only looks like a name" {
	local key
	for key in kernel.core_pattern kernel.hostname vm.swappiness kernel.msgmaxx kernel; do
		fails 125 "sysctl \"$key\" is not in a separate kernel namespace" boxed ".linux.sysctl = {\"$key\": \"1\"}" true
	done
	for key in net.ipv4/ip_forward net..ipv4 net.ipv4.; do
		fails 125 "isn't a name" boxed ".linux.sysctl = {\"$key\": \"1\"}" true
	done
	fails 125 'sysctl "kernel.msgmax" needs a namespace of its own' boxed '.linux.namespaces |= map(select(.type != "ipc")) | .linux.sysctl = {"kernel.msgmax": "1"}' true
	fails 125 'sysctl "net.ipv4.ip_forward" needs a namespace of its own' boxed '.linux.namespaces |= map(select(.type != "network")) | .linux.sysctl = {"net.ipv4.ip_forward": "1"}' true
	fails 125 "write sysctl net/ipv4/ip_forward: Invalid argument" boxed '.linux.sysctl = {"net.ipv4.ip_forward": "x"}' true
	is "" left
}
