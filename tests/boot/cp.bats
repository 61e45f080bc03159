#!/usr/bin/env bats
# `nacre cp`, into and out of one virtual machine.

bats_require_minimum_version 1.5.0

setup_file()
{
	local top
	top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	export PATH=$top/build:$PATH NACRE_RUNTIME_DIR=$BATS_FILE_TMPDIR/run NAME=cp-$$
	# The container has no tools of its own for it.
	nacre run -d --rm --name "$NAME" "$top/build/rootfs-busybox" -- \
		sh -c 'trap "exit 0" TERM; while :; do sleep 1000 & wait; done' 3>&-
	nacre exec "$NAME" rm /bin/tar /bin/stat
}

teardown_file()
{
	nacre exec "$NAME" kill -TERM 1
	timeout 60 tail --pid="$(cat "$NACRE_RUNTIME_DIR/$NAME/monitor.pid")" -f /dev/null
}

setup()
{
	cd "$BATS_TEST_TMPDIR"
	# What is copied: in each test in a folder of its own.
	there=/tmp/$BATS_TEST_NUMBER
	nacre exec "$NAME" sh -c "mkdir -p $there/tree/deep && echo file >$there/file && echo one >$there/tree/one &&
		echo two >$there/tree/deep/two && ln -s one $there/tree/link && chmod 640 $there/tree/one"
	mkdir -p tree/deep
	echo file >file
	echo one >tree/one
	echo two >tree/deep/two
	ln -s one tree/link
	chmod 640 tree/one
}

# fails STATUS TEXT COMMAND...: ends with this status and says TEXT.
fails()
{
	local expected=$1 text=$2

	shift 2
	run -"$expected" --separate-stderr "$@"
	if [[ $stderr != "nacre: "*"$text"* ]]; then
		echo "$* ended with $status and said: $stderr (wanted: $expected, $text)"
		return 1
	fi
}

# same_inside PATH: what is there in the container is our tree.
same_inside()
{
	[[ $(nacre exec "$NAME" sh -c "cd $1 && find . | sort && cat one deep/two && readlink link && busybox stat -c %a one") == \
		"$(cd tree && find . | sort && cat one deep/two && readlink link && echo 640)" ]]
}

same_here()
{
	diff -r --no-dereference tree "$1" && [[ $(stat -c %a "$1/one") == 640 ]]
}

@test "a file comes out: under a new name, over a file, into a directory" {
	nacre cp "$NAME:$there/file" new
	[[ $(cat new) == file ]]
	echo other >old
	nacre cp "$NAME:$there/file" old
	[[ $(cat old) == file ]]
	mkdir directory
	nacre cp "$NAME:$there/file" directory
	[[ $(cat directory/file) == file ]]
	# A link of ours that is named is followed.
	ln -s old mine
	nacre cp "$NAME:$there/tree/one" mine
	[[ -L mine && $(cat old) == one ]]
}

@test "a directory comes out: as a new one, into one, and its contents alone" {
	nacre cp "$NAME:$there/tree" new
	same_here new
	mkdir one all
	nacre cp "$NAME:$there/tree" one
	same_here one/tree
	nacre cp "$NAME:$there/tree/." all
	same_here all
	# Once more: what is there is replaced.
	nacre cp "$NAME:$there/tree/." all
	same_here all
	nacre cp "$NAME:$there/tree/." new2/
	same_here new2
}

@test "a file goes in: under a new name, over a file, into a directory" {
	echo ours >file
	nacre cp file "$NAME:$there/new"
	nacre cp file "$NAME:$there/file"
	nacre cp file "$NAME:$there/tree"
	nacre cp file "$NAME:$there/tree/link"
	run nacre exec "$NAME" sh -c "cd $there && cat new file tree/file tree/link tree/one && readlink tree/link"
	[[ $output == $'ours\nours\nours\nours\nours\none' ]]
	# A path begins at the container's root.
	nacre cp file "$NAME:tmp/relative"
	[[ $(nacre exec "$NAME" cat /tmp/relative) == ours ]]
}

@test "a directory goes in: as a new one, into one, and its contents alone" {
	nacre cp tree "$NAME:$there/new"
	same_inside "$there/new"
	nacre exec "$NAME" mkdir "$there/one" "$there/all"
	nacre cp tree "$NAME:$there/one/"
	same_inside "$there/one/tree"
	nacre cp tree/. "$NAME:$there/all"
	same_inside "$there/all"
	(cd tree && nacre cp . "$NAME:$there/all")
	same_inside "$there/all"
}

@test "links are copied, and with -L what they lead to" {
	nacre cp "$NAME:$there/tree/link" link
	[[ $(readlink link) == one ]]
	rm link
	nacre cp -L "$NAME:$there/tree/link" link
	[[ ! -L link && $(cat link) == one ]]
	mkdir into
	nacre cp -L "$NAME:$there/tree/link" into
	[[ $(cat into/link) == one ]]
	nacre cp tree/link "$NAME:$there/in"
	nacre cp --follow-link tree/link "$NAME:$there/in2"
	run nacre exec "$NAME" sh -c "cd $there && readlink in; cat in2; readlink in2"
	[[ $output == $'one\none' ]]
}

@test "what is copied becomes root's in there and ours out here, or keeps its owner with -a" {
	((EUID == 0)) || skip "only root can give files away"
	chown -h 1234:5678 tree/one
	nacre cp tree "$NAME:$there/root"
	nacre cp -a tree "$NAME:$there/kept"
	run nacre exec "$NAME" busybox stat -c %u:%g "$there/root/one" "$there/kept/one"
	[[ $output == $'0:0\n1234:5678' ]]
	nacre cp "$NAME:$there/kept" ours
	nacre cp --archive "$NAME:$there/kept" theirs
	[[ $(stat -c %u:%g ours/one) == 0:0 && $(stat -c %u:%g theirs/one) == 1234:5678 ]]
}

@test "- is a tar stream" {
	nacre cp "$NAME:$there/tree" - >stream
	[[ $(tar tf stream | sort) == $'tree/\ntree/deep/\ntree/deep/two\ntree/link\ntree/one' ]]
	nacre exec "$NAME" mkdir "$there/from"
	tar c -C tree . | nacre cp - "$NAME:$there/from"
	same_inside "$there/from"
	[[ $(nacre cp "$NAME:$there/file" - | tar xO) == file ]]
	fails 1 "no directory" nacre cp - "$NAME:$there/file" </dev/null
}

@test "a large tree arrives as it was" {
	mkdir large
	for ((i = 0; i < 300; i++)); do
		mkdir -p "large/$((i % 7))/$((i % 11))"
		head -c $((i * 317)) /dev/urandom >"large/$((i % 7))/$((i % 11))/$i"
	done
	head -c $((16 << 20)) /dev/urandom >large/blob
	printf -v long '%0200d' 7
	echo long >"large/$long"
	nacre cp large "$NAME:$there/"
	nacre cp "$NAME:$there/large" back
	diff -r large back
}

@test "odd names are names" {
	mkdir odd
	touch odd/-rf "odd/a b" $'odd/new\nline' 'odd/*' odd/ä
	nacre cp odd "$NAME:$there/"
	nacre cp "$NAME:$there/odd" back
	diff -r odd back
	nacre cp "$NAME:$there/odd/-rf" .
	[[ -e ./-rf ]]
	echo colon >./with:colon
	nacre cp ./with:colon "$NAME:$there/"
	[[ $(nacre exec "$NAME" cat "$there/with:colon") == colon ]]
}

@test "what can't be copied is 1, in one line, as docker has it" {
	fails 1 "no such file" nacre cp "$NAME:/no/such" .
	fails 1 "no such file" nacre cp nosuch "$NAME:/tmp"
	fails 1 "not a directory" nacre cp "$NAME:$there/file/" .
	fails 1 "no such directory" nacre cp "$NAME:$there/file" nosuch/
	fails 1 "can't become a directory" nacre cp "$NAME:$there/tree" file
	fails 1 "can't become a directory" nacre cp tree "$NAME:$there/file"
	fails 1 "no such directory" nacre cp file "$NAME:$there/nosuch/"
	fails 1 "nosuch" nacre cp file "$NAME:$there/nosuch/file"
	fails 1 "Read-only file system" nacre cp file "$NAME:/sys/"
	fails 1 "there is no container" nacre cp nosuch:/etc .
	fails 125 "NAME:PATH" nacre cp a b
	fails 125 "NAME:PATH" nacre cp "$NAME:/a" "$NAME:/b"
}

@test "a container's link leads nowhere else than in the container" {
	echo ours >/tmp/nacre-cp-$$
	nacre exec "$NAME" sh -c "ln -s /tmp $there/out; ln -s / $there/root"
	# Into a directory that a link names, and out of one: both are the container's.
	nacre cp file "$NAME:$there/out/through"
	[[ $(nacre exec "$NAME" cat /tmp/through) == file && ! -e /tmp/through ]]
	fails 1 "no such file" nacre cp "$NAME:$there/out/nacre-cp-$$" .
	rm /tmp/nacre-cp-$$
	fails 1 "no such file" nacre cp "$NAME:$there/root/init" .
}

@test "devices don't come out" {
	nacre exec "$NAME" sh -c "mknod $there/tree/null c 1 3; mkfifo $there/tree/fifo; chmod 6755 $there/tree/deep/two"
	run nacre cp "$NAME:$there/tree" here
	[[ $status -eq 0 && $output == *"left out: 2 "* && ! -e here/null && ! -e here/fifo ]]
	[[ $(stat -c %a here/deep/two) == 755 ]]
}
