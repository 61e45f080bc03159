#!/usr/bin/env bats
# The same sources give the same bytes: another folder, umask, time zone and order of files change nothing.
#
# What is built again here is what is compiled from this repository (agent, proxy, nacre), and every image. C libraries,
# busybox, tools and kernels come from the cache; NACRE_TEST_FULL builds those again as well, in a cache of its own.

bats_require_minimum_version 1.5.0

setup_file()
{
	export TOP OTHER=$BATS_FILE_TMPDIR/another/folder
	TOP=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	mkdir -p "$OTHER"
	# Made in another order than here, by who gives nothing to others.
	(umask 077 && cd "$TOP" && find . -path ./build -prune -o -path ./.git -prune -o -type f -print | sort -r |
		cpio -pd --quiet "$OTHER")
	if [[ ${NACRE_TEST_FULL:-} ]]; then
		local cache=${XDG_CACHE_HOME:-$HOME/.cache}/nacre
		export XDG_CACHE_HOME=$BATS_FILE_TMPDIR/cache
		mkdir -p "$XDG_CACHE_HOME/nacre"
		cp -a --reflink=auto "$cache/source" "$XDG_CACHE_HOME/nacre/"
		ln -s "$cache/apt" "$XDG_CACHE_HOME/nacre/"
	fi
	(umask 077 && cd "$OTHER" && TZ=Asia/Tokyo TMPDIR=$BATS_FILE_TMPDIR make -j"$(nproc)" programs images kata-image \
		${NACRE_TEST_FULL:+kernel} >"$BATS_FILE_TMPDIR/log" 2>&1 3>&-) || { tail -n 30 "$BATS_FILE_TMPDIR/log"; false; }
}

# same FILE...: of build, here and there.
same()
{
	local file

	for file; do
		cmp "$TOP/build/$file" "$OTHER/build/$file"
	done
}

@test "the programs" {
	same nacre-agent nacre-proxy nacre
}

@test "busybox and the tools (from the cache, but for the full run)" {
	same busybox-image busybox-full tools/mke2fs tools/e2fsck tools/resize2fs tools/xtables-legacy-multi tools/cdi-yaml
}

@test "the kernels (the full run alone)" {
	[[ ${NACRE_TEST_FULL:-} ]] || skip "builds of minutes: make test-full"
	same vmlinuz-microvm vmlinuz-full
	diff -r "$TOP/build/modules-full" "$OTHER/build/modules-full"
}

@test "initramfs images" { same initramfs.cpio initramfs-full.cpio; }
@test "erofs images and their hash trees" {
	same image-{microvm,full}.erofs image-{microvm,full}.erofs.verity
}
@test "ext4 images" { same image-{microvm,full}.ext4; }
@test "images for Kata Containers" { same kata-containers{,-initrd}.img{,.spdx}; }
@test "the lists of sources" {
	same {initramfs,initramfs-full}.cpio.spdx image-{microvm,full}.{erofs,ext4}.spdx
}
