#!/usr/bin/env bats
# `nacre build-image`: what can be seen of an image without booting it (tests/boot/build_image.bats does that).

bats_require_minimum_version 1.5.0

setup()
{
	TOP=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	PATH=$TOP/build:$PATH
	mkdir "$BATS_TEST_TMPDIR/here"
	cd "$BATS_TEST_TMPDIR/here"
}

# refused TEXT OPTION...: ends with 125 and one line, and leaves no file.
refused()
{
	local text=$1

	shift
	run -125 --separate-stderr nacre build-image -o refused "$@"
	if [[ $stderr != "nacre: "*"$text"* || $stderr == *$'\n'* || $output || -n $(ls -A) ]]; then
		echo "$* printed: $output; said: $stderr (wanted: $text); left: $(ls -A)"
		return 1
	fi
}

@test "an image without options is the one that nacre run boots" {
	nacre build-image
	cmp initramfs.cpio "$TOP/build/initramfs.cpio"
	cmp initramfs.cpio.spdx "$TOP/build/initramfs.cpio.spdx"
}

@test "files are root's, with the mode that was asked for or that a program needs" {
	mkdir -p tree/sub
	echo one >tree/one
	echo two >tree/sub/two
	ln -s one tree/link
	chmod 600 tree/one
	chmod 700 tree/sub/two
	chown -R 1000:1000 tree 2>/dev/null || true
	nacre build-image -o x.cpio --add tree:/opt/tree --add tree/one:/a/b/one:4750
	cpio -tv --quiet <x.cpio | awk '$9 ~ /^(opt|a)(\/|$)/ {print $1, $3, $4, $9 $10 $11}' >listed
	diff listed - <<-'END'
		drwxr-xr-x root root a
		drwxr-xr-x root root a/b
		-rwsr-x--- root root a/b/one
		drwxr-xr-x root root opt
		drwxr-xr-x root root opt/tree
		lrwxrwxrwx root root opt/tree/link->one
		-rw-r--r-- root root opt/tree/one
		drwxr-xr-x root root opt/tree/sub
		-rwxr-xr-x root root opt/tree/sub/two
	END
}

@test "each kind holds the same files" {
	echo mine >mine
	for kind in cpio erofs ext4; do
		nacre build-image --kind $kind -o image --add mine:/opt/mine
		mkdir $kind
		case $kind in
		cpio) (cd cpio && cpio -id --quiet --no-absolute-filenames <../image) ;;
		erofs) fsck.erofs --extract=erofs image >/dev/null ;;
		ext4)
			debugfs -R "rdump / ext4" image 2>/dev/null
			rmdir ext4/lost+found
			debugfs -R "stat /tmp" image 2>/dev/null | grep -q "Mode: *01777 "
			chmod 1777 ext4/tmp # which rdump leaves out
			;;
		esac
		rm -rf $kind/dev
		(cd $kind && find . -mindepth 1 -printf '%P %M %l\n' | sort && find . -type f -exec sha256sum {} + | sort) >$kind.files
	done
	diff cpio.files erofs.files
	diff cpio.files ext4.files
	grep -q '^opt/mine -rw-r--r-- $' cpio.files
	grep -q "^$(sha256sum <"$TOP/build/nacre-agent" | cut -d ' ' -f 1)  ./init$" cpio.files
}

# field OFFSET TYPE SIZE: a number of the file image, or some, as od(1) prints them.
field() { od -An -j "$1" -t "$2" -N "$3" image | tr -s ' ' | sed 's/^ //'; }

@test "--kind kata: the root is the first partition, of the disk and of what an NVDIMM shows of it" {
	nacre build-image --kind kata --variant full -o image
	nacre build-image --kind cpio --variant full --set kata=y -o initrd
	# What is plugged in behind an NVDIMM has to start at 128 MiB.
	(($(stat -c %s image) % (128 << 20) == 0))
	local disk=0 memory=$((2 << 20)) start mbr
	for mbr in $disk $memory; do
		[[ $(field $((mbr + 510)) x1 2) == "55 aa" && $(field $((mbr + 450)) x1 1) == 83 ]]
		start=$((mbr + $(field $((mbr + 454)) u4 4) * 512))
		((start == 3 << 20 && start + $(field $((mbr + 458)) u4 4) * 512 == $(stat -c %s image)))
	done
	# Linux looks for this at an NVDIMM's first page but one; where its contents begin, and how they are mapped, stands in it.
	[[ $(dd if=image bs=1 skip=4096 count=15 status=none) == NVDIMM_PFN_INFO ]]
	[[ $(field $((4096 + 56)) u8 8) == "$memory" ]]
	dd if=image of=root bs=1M skip=3 count=64 status=none
	e2fsck -fn root
	# `data=ordered` is refused for a file system without one.
	dumpe2fs -h root 2>/dev/null | grep -q "^Filesystem features:.*has_journal"
	mkdir disk cpio
	(cd cpio && cpio -id --quiet --no-absolute-filenames <../initrd)
	debugfs -R "rdump / disk" root 2>/dev/null
	for tree in disk cpio; do
		[[ $(readlink $tree/sbin/init) == ../init && $(readlink $tree/usr/bin/kata-agent) == ../../init ]]
		cmp "$tree/init" "$TOP/build/nacre-agent"
	done
	cmp image "$TOP/build/kata-containers.img"
	cmp initrd "$TOP/build/kata-containers-initrd.img"
	[[ $(jq -r '.packages[] | select(.packageFileName == "image") | .checksums[0].checksumValue' image.spdx) == \
		$(sha256sum <image | cut -d ' ' -f 1) ]]
}

@test "whoever isn't root makes the same image" {
	((EUID == 0)) || skip "only root can become somebody else"
	mkdir -m 777 theirs
	chmod 711 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR" "${BATS_TEST_TMPDIR%/*}" .
	setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$TOP/build/nacre" ||
		skip "this folder is closed to others"
	for kind in cpio erofs ext4; do
		setpriv --reuid 65534 --regid 65534 --clear-groups nacre build-image --kind $kind -o theirs/image
		nacre build-image --kind $kind -o ours
		cmp theirs/image ours
	done
}

@test "--verity: the root hash holds, and not for a changed image" {
	# Fields as the kernel takes them: NAME,,,ro,0 SECTORS verity 1 DISK DISK 4096 4096 BLOCKS HASHSTART sha256 HASH SALT
	for kind in erofs ext4; do
		nacre build-image --kind $kind --verity -o image
		read -ra table <image.verity
		[[ ${table[*]:2:2} == "verity 1" && ${#table[@]} -eq 13 && ${table[1]} -eq $((table[8] * 8)) ]]
		veritysetup verify image image "${table[11]}" --hash-offset $((table[8] * 4096))
		printf x | dd of=image bs=1 seek=5000 conv=notrunc status=none
		run ! veritysetup verify image image "${table[11]}" --hash-offset $((table[8] * 4096))
	done
}

@test "the list of sources: files as they are, packages as Debian's lists have them" {
	nacre build-image --variant full --kind erofs --add "$TOP/README.md:/README.md"
	[[ $(jq -r '.packages[] | select(.SPDXID == "SPDXRef-image").checksums[0].checksumValue' image.erofs.spdx) == \
		$(sha256sum <image.erofs | cut -d ' ' -f 1) ]]
	fsck.erofs --extract=root image.erofs >/dev/null
	jq -r '.files[] | "\(.checksums[] | select(.algorithm == "SHA256").checksumValue)  \(.fileName)"' image.erofs.spdx >sums
	[[ $(wc -l <sums) -eq $(find root -type f | wc -l) ]]
	(cd root && sha256sum --quiet -c ../sums)
	# Each program, and the packages that it says it was made of.
	made_of()
	{
		jq -r --arg file "$1" '(.files[] | select(.fileName == $file).SPDXID) as $id |
			[.relationships[] | select(.spdxElementId == $id).relatedSpdxElement] as $from |
			[.packages[] | select(.SPDXID | IN($from[])).name] | sort | join(" ")' image.erofs.spdx
	}
	[[ $(made_of ./init) == "libcap-ng libseccomp musl nacre protobuf-c" ]]
	[[ $(made_of ./sbin/mke2fs) == "e2fsprogs musl" ]]
	[[ $(made_of ./sbin/xtables-legacy-multi) == "iptables musl" ]]
	[[ $(made_of ./bin/busybox) == "busybox musl" ]]
	[[ $(made_of ".$(find root/lib/modules -name 'xfs.ko' -printf '/lib/modules/%P')") == linux-source-6.1 ]]
	[[ -z $(made_of ./README.md) ]]
	# A source's version and the hash of its .dsc.
	local record
	record=$(cat "${XDG_CACHE_HOME:-$HOME/.cache}/nacre/source/$(readlink \
		"${XDG_CACHE_HOME:-$HOME/.cache}/nacre/source/e2fsprogs").control")
	jq -r '.packages[] | select(.packageFileName // "" | test("^e2fsprogs.*dsc$")) |
		"\(.checksums[0].checksumValue) \(.packageFileName) \(.versionInfo)"' image.erofs.spdx >dsc
	read -r hash name version <dsc
	grep -q "^ $hash [0-9]* $name$" <<<"$record"
	grep -qx "Version: $version" <<<"$record"
}

@test "what can't be built: 125, in one line, and nothing left" {
	refused "invalid choice: 'tar'" --kind tar
	refused "unrecognized arguments" --nonsense
	refused "a disk" --verity
	refused "behind a disk's end" --kind kata --verity
	refused "SRC:DST" --add x
	refused "No such file" --add /no/such:/x
	refused "not an absolute path" --add /etc/passwd:x
	refused "not an absolute path" --add /etc/passwd:/x/../../y
	refused "not an octal mode" --add /etc/passwd:/x:9
	refused "neither a file nor a folder" --add /dev/null:/null
	refused "is not a folder in the image" --add /etc/passwd:/init/x
	refused "a folder of the image" --add /etc/passwd:/etc
	refused "/no/such" --list /no/such
	refused "refused/no: No such file" --list <(echo 'file /x 0755 refused/no')
	refused "not a type of entry" --list <(echo 'pipe /x 0755')
	refused "not what file takes" --list <(echo 'file /x')
	refused "No such file" -o /no/such/folder/image
	refused "a device node" --kind erofs --list <(echo 'node /x 0600 c 1 3')
}
