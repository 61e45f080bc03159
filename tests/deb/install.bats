#!/usr/bin/env bats
# `make install` and `make uninstall`.

bats_require_minimum_version 1.5.0

setup_file()
{
	export TOP
	TOP=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
}

@test "what is installed runs a container from where it is, and is taken away again" {
	local place=$BATS_TEST_TMPDIR/place root=$TOP/build/rootfs-busybox

	make -s -C "$TOP" install DESTDIR="$place" PREFIX=/opt/nacre >/dev/null
	export NACRE_RUNTIME_DIR=$BATS_TEST_TMPDIR/run
	# None of what it needs is beside it as in the build folder, and it looks nowhere else.
	run --separate-stderr "$place/opt/nacre/bin/nacre" run --rm --verbose "$root" -- echo installed
	[[ $status -eq 0 && $output == installed ]]
	[[ -s $place/opt/nacre/share/man/man1/nacre.1 && -s $place/opt/nacre/share/bash-completion/completions/nacre ]]
	# Nothing else is there, or was changed, than what goes again.
	[[ $(ls "$place") == opt ]]
	make -s -C "$TOP" uninstall DESTDIR="$place" PREFIX=/opt/nacre >/dev/null
	[[ -z $(find "$place" ! -type d) ]]
}

@test "an installed nacre builds images as well" {
	local place=$BATS_TEST_TMPDIR/place

	make -s -C "$TOP" install DESTDIR="$place" PREFIX=/usr >/dev/null
	"$place/usr/bin/nacre" build-image -o "$BATS_TEST_TMPDIR/image.cpio"
	cmp "$BATS_TEST_TMPDIR/image.cpio" "$TOP/build/initramfs.cpio"
}
