#!/usr/bin/env bats
# Both kernels on both machines, from each kind of image: `nacre run --machine --kernel --image`. What came of it is a table
# at the end of the output.

export NACRE_TEST_PLACE=vm
load ../bats/helpers

setup_file()
{
	export ROOT=$build/rootfs-busybox TABLE=$BATS_FILE_TMPDIR/table
	row kernel machine root result "seconds to an agent"
	# There is no other way to say it: nothing of that kernel could find a device.
	row microvm q35 any "n/a: no PCI in that kernel" -
}

teardown_file() { sed 's/^/# /' "$TABLE" >&3; }

teardown() { [[ -z ${AGENT_DIR:-} ]] || agent_stop; }

row() { printf '%-8s %-8s %-14s %-28s %s\n' "$@" >>"$TABLE"; }

# image_of KERNEL ROOT: the file. Whether it is checked depends on what lies beside it.
image_of()
{
	local variant=$1 suffix

	case $2 in
	initramfs)
		[[ $variant == full ]] && suffix=-full
		echo "$build/initramfs${suffix:-}.cpio"
		;;
	erofs+verity) echo "$build/image-$variant.erofs" ;;
	erofs)
		ln -sf "$build/image-$variant.erofs" "$BATS_TEST_TMPDIR/unchecked.erofs"
		echo "$BATS_TEST_TMPDIR/unchecked.erofs"
		;;
	ext4) echo "$build/image-$variant.ext4" ;;
	esac
}

# boot KERNEL MACHINE IMAGE -- COMMAND...: its output is ours; what nacre says of the times is in the file `said`.
boot()
{
	local kernel=$1 machine=$2 image=$3

	shift 3
	timeout 120 nacre run --rm --verbose --accel tcg --name "boots-$BATS_TEST_NUMBER-$$" --machine "$machine" \
		--kernel "$build/vmlinuz-$kernel" --image "$image" "$ROOT" "$@" 2>"$BATS_TEST_TMPDIR/said"
}

# Between the VM's start and the agent's answer.
seconds_to_agent()
{
	awk '/ VM .* started / {from = $2} / the agent answers$/ {print $2 - from}' "$BATS_TEST_TMPDIR/said"
}

# boots KERNEL MACHINE: from each kind of image the container runs, on this kernel and with this root, and the machine ends
# when it is told to.
boots()
{
	local kernel=$1 machine=$2 root words failed=0
	local -A word=([initramfs]='' [erofs]=root=/dev/vda [erofs+verity]='dm-mod.create=' [ext4]=rootfstype=ext4)

	for root in initramfs erofs erofs+verity ext4; do
		words=$(boot "$kernel" "$machine" "$(image_of "$kernel" $root)" -- cat /proc/sys/kernel/osrelease /proc/cmdline) || words=
		if [[ $words == *-nacre$([[ $kernel == full ]] && echo -full)$'\n'*"${word[$root]}"* ]] &&
			grep -q "the VM has ended" "$BATS_TEST_TMPDIR/said"; then
			row "$kernel" "$machine" $root "a container ran" "$(seconds_to_agent)"
		else
			row "$kernel" "$machine" $root "FAILED" -
			printf '%s on %s from %s printed: %s\n' "$kernel" "$machine" $root "$words"
			cat "$BATS_TEST_TMPDIR/said"
			failed=1
		fi
	done
	return $failed
}

@test "the microvm kernel boots on microvm" { boots microvm microvm; }
@test "the full kernel boots on microvm" { boots full microvm; }
@test "the full kernel boots on q35" { boots full q35; }

@test "one changed byte in an image with a hash, and the machine doesn't come up" {
	local image=$BATS_TEST_TMPDIR/changed.erofs
	cp "$build/image-microvm.erofs" "$image"
	# The first byte belongs to no file and to no table: erofs itself never misses it.
	printf x | dd of="$image" conv=notrunc status=none
	[[ $(boot microvm microvm "$image" -- echo ran) == ran ]]
	cp "$build/image-microvm.erofs.verity" "$image.verity"
	run boot microvm microvm "$image" -- echo ran
	[[ $status -eq 125 && $output != *ran* ]]
	grep "the VM ended by itself.*Kernel panic" "$BATS_TEST_TMPDIR/said" || { cat "$BATS_TEST_TMPDIR/said"; false; }
	row microvm microvm erofs+verity "refused: one byte changed" -
}

# plug ID BUS ADDRESS: the container's disk once more.
plug()
{
	qmp "$AGENT_DIR/qmp.sock" "{\"execute\": \"blockdev-add\", \"arguments\": {\"driver\": \"file\", \"node-name\": \"$1\",
		\"read-only\": true, \"filename\": \"$BATS_FILE_TMPDIR/root.erofs\"}}"
	qmp "$AGENT_DIR/qmp.sock" "{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"virtio-blk-pci\", \"id\": \"dev$1\",
		\"drive\": \"$1\", \"bus\": \"$2\", \"addr\": \"$3\"}}"
}

@test "a disk is found by its place on the PCI buses, plugged in before or after it is asked for" {
	local job
	# The bridge as Kata's runtimes make it: room for devices is reserved, as one with nothing behind it would get none.
	VM_MACHINE=q35 VM_APPEND="agent.hotplug_timeout=60" vm_start \
		-device pcie-root-port,id=port1,addr=0x10,chassis=1 -device pcie-root-port,id=port2,addr=0x12,chassis=2 \
		-device pci-bridge,id=bridge1,addr=0x11,chassis_nr=1,shpc=off,io-reserve=4k,mem-reserve=1m,pref64-reserve=1m
	export AGENT_ADDRESS AGENT_DIR
	agentctl --timeout 60s wait-ready
	agentctl CreateSandbox '{"sandbox_id": "sandbox"}'
	plug one port1 0x0
	[[ $(agentctl --timeout 100s run --id one --image 10/00 -- echo behind a port) == "behind a port" ]]
	plug two bridge1 0x3
	[[ $(agentctl --timeout 100s run --id two --image 11/03 -- echo behind a bridge) == "behind a bridge" ]]
	agentctl --timeout 100s run --id three --image 12/00 -- echo in time >"$BATS_TEST_TMPDIR/out" 3>&- &
	job=$!
	plug three port2 0x0
	wait $job
	[[ $(cat "$BATS_TEST_TMPDIR/out") == "in time" ]]
	fails 125 "no PCI path" agentctl run --id four --image 12/../00 -- true
}
