#!/usr/bin/env bats
# `make tinyconfig`: what is left is enough for `nacre run`. The agent and the image are built and booted here on the usual
# kernel; the tiny kernel takes minutes to build, and NACRE_TEST_FULL does that as well.

bats_require_minimum_version 1.5.0

setup_file()
{
	export TOP TINY=$BATS_FILE_TMPDIR/tiny
	TOP=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	mkdir "$TINY"
	(cd "$TOP" && find . -path ./build -prune -o -path ./.git -prune -o -name '.config*' -prune -o -type f -print |
		cpio -pdm --quiet "$TINY")
	cd "$TINY"
	(make tinyconfig && make -j"$(nproc)" programs image) >"$BATS_FILE_TMPDIR/log" 2>&1 3>&- ||
		{ tail -n 30 "$BATS_FILE_TMPDIR/log"; false; }
}

# figure TEXT: printed by bats whatever becomes of the test.
figure() { echo "# $*" >&3; }

# tiny KERNEL COMMAND...: in a container, by the tiny programs.
tiny()
{
	local kernel=$1

	shift
	timeout 120 "$TINY/build/nacre" run --rm --name "tiny-$BATS_TEST_NUMBER-$$" --kernel "$kernel" "$TOP/build/rootfs-busybox" -- "$@"
}

@test "the tiny agent and image run a container" {
	run tiny "$TOP/build/vmlinuz-microvm" sh -c 'echo $((6 * 7)); exit 3'
	[[ $status -eq 3 && $output == 42 ]]
	figure "tiny: agent $(stat -c %s "$TINY/build/nacre-agent") bytes, image $(stat -c %s "$TINY/build/initramfs.cpio")" \
		"bytes (usual: $(stat -c %s "$TOP/build/initramfs.cpio"))"
	[[ $(stat -c %s "$TINY/build/initramfs.cpio") -lt $(stat -c %s "$TOP/build/initramfs.cpio") ]]
	run ! grep -q bin/busybox "$TINY/build/initramfs.cpio"
}

@test "the tiny kernel as well" {
	[[ ${NACRE_TEST_FULL:-} ]] || skip "a kernel of minutes: make test-full"
	# A cache of its own, so that the usual kernel's objects stay.
	local cache=${XDG_CACHE_HOME:-$HOME/.cache}/nacre own=$BATS_FILE_TMPDIR/cache
	mkdir -p "$own/nacre"
	ln -s "$cache"/{source,apt,sysroot} "$own/nacre/"
	(cd "$TINY" && XDG_CACHE_HOME=$own make build/vmlinuz-microvm) >"$BATS_FILE_TMPDIR/log" 2>&1 3>&- ||
		{ tail -n 30 "$BATS_FILE_TMPDIR/log"; false; }
	run tiny "$TINY/build/vmlinuz-microvm" awk '/^MemTotal/ {print $2}' /proc/meminfo
	[[ $status -eq 0 ]]
	figure "tiny: kernel $(stat -c %s "$TINY/build/vmlinuz-microvm") bytes, MemTotal of a 256 MiB guest $output KiB (usual kernel:" \
		"$(stat -c %s "$TOP/build/vmlinuz-microvm") bytes, $(tiny "$TOP/build/vmlinuz-microvm" awk '/^MemTotal/ {print $2}' /proc/meminfo) KiB)"
	[[ $(stat -c %s "$TINY/build/vmlinuz-microvm") -lt $(stat -c %s "$TOP/build/vmlinuz-microvm") ]]
}
