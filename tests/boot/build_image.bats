#!/usr/bin/env bats
# Guests from images of `nacre build-image`: what was put into them is there, and works.

export NACRE_TEST_PLACE=vm
load ../bats/helpers

teardown() { agent_stop; }

# start: a guest from $VM_IMAGE.
start()
{
	vm_start
	export AGENT_ADDRESS AGENT_DIR
	agentctl --timeout 60s wait-ready
	agentctl CreateSandbox '{"sandbox_id": "sandbox"}'
}

# guest COMMAND...: in a container which has the guest's own root at /guest, and may do much.
guest()
{
	edited '.OCI.Mounts += [{destination: "/guest", source: "/", type: "bind", options: ["rbind", "ro"]}] |
		.OCI.Process.Capabilities |= map_values(. + ["CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_CHROOT"])' \
		-- "$@"
}

@test "an image with files of one's own" {
	mkdir -p "$BATS_TEST_TMPDIR/tree/sub"
	echo of my own >"$BATS_TEST_TMPDIR/tree/sub/file"
	export VM_IMAGE=$BATS_TEST_TMPDIR/own.cpio
	nacre build-image -o "$VM_IMAGE" --add "$BATS_TEST_TMPDIR/tree:/opt/own" --add "$top/README.md:/etc/readme:0400"
	start
	is "of my own" guest cat /guest/opt/own/sub/file
	is "400 0:0" guest stat -c '%a %u:%g' /guest/etc/readme
}

@test "the full image: file systems, packet filters and modules, on the full kernel" {
	export VM_IMAGE=$build/initramfs-full.cpio VM_MACHINE=q35
	start
	# On the guest's tmpfs.
	is "clean" guest sh -c 'mount -t tmpfs tmpfs /guest/run && cd /guest && truncate -s 8M run/disk &&
		(chroot . mke2fs -q -t ext4 /run/disk && truncate -s 16M run/disk && chroot . resize2fs /run/disk &&
		chroot . e2fsck -fn /run/disk) >/dev/null 2>&1 && echo clean'
	is "-A INPUT -p tcp -m tcp --dport 80 -j DROP" guest chroot /guest sh -c 'iptables -A INPUT -p tcp --dport 80 -j DROP &&
		iptables-save | grep ^-A'
	is "-A OUTPUT -d fd00::/8 -j ACCEPT" guest chroot /guest sh -c 'printf "*filter\n-A OUTPUT -d fd00::/8 -j ACCEPT\nCOMMIT\n" |
		ip6tables-restore && ip6tables-save | grep ^-A'
	is "xfs" guest chroot /guest sh -c 'modprobe xfs && grep -o "^xfs" /proc/modules'
}
