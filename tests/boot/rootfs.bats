#!/usr/bin/env bats
# What `nacre run` takes for ROOTFS: directories, OCI bundles, OCI image layouts, archives and images of file systems.

load containers

setup_file()
{
	own_directory
	export GOOD=$BATS_FILE_TMPDIR/good HOSTILE=$BATS_FILE_TMPDIR/hostile XDG_CACHE_HOME=$BATS_FILE_TMPDIR/cache
	python3 "$BATS_TEST_DIRNAME/make_images.py" good "$ROOT" "$GOOD"
	python3 "$BATS_TEST_DIRNAME/make_images.py" hostile "$HOSTILE"
}

setup()
{
	name=rootfs-$BATS_TEST_NUMBER-$$
	images=$XDG_CACHE_HOME/nacre/images
}

# nacre run with a name of its own, and nothing kept.
run_nacre()
{
	nacre run --rm --name "$name" "$@"
}

# refused ROOTFS TEXT: 125, one line which says TEXT, and nothing left behind: no run directory, nothing in the cache.
refused()
{
	local kept

	run -125 --separate-stderr run_nacre "$1"
	if [[ $stderr != "nacre: "*"$2"* || $stderr == *$'\n'* || $output ]]; then
		echo "$1 said: $stderr (wanted: $2)"
		return 1
	fi
	[[ ! -e $NACRE_RUNTIME_DIR/$name ]]
	kept=$(find "$images" -mindepth 1 -maxdepth 1 ! -name .lock ! -name 'sha256-*' 2>/dev/null || true)
	[[ ! $kept ]]
}

# What the merged image of make_images.py must look like, from inside.
merged='
	set -e
	[ "$(cat /etc/version)" = two ]; [ ! -e /etc/gone ]; [ "$(ls /srv/old)" = new ]
	[ "$(cat /opt/kept)" = kept ]; [ "$(cat /opt/through)" = "through a symlink" ]; [ -L /usr/lib64 ]
	[ "$(cat /srv/link)" = linked ]; [ "$(cat /srv/original)" = another ]
	[ "$(stat -c "%a %u:%g" /home/user)" = "700 1000:1000" ]; [ "$(stat -c %a /srv/set-user-id)" = 4755 ]
	[ "$(stat -c "%F %t:%T" /srv/null)" = "character special file 1:3" ]
	[ "$(cat /srv/long-*name)" = long ]; [ "$(cat /srv/*ml*ut)" = named ]
	[ ! -e /opt/.wh.nothing ]; [ -z "$(find / -xdev -name ".wh.*")" ]
	echo as it should be'

@test "an OCI image layout, a docker archive and an OCI archive are the same image" {
	for image in layout docker.tar oci.tar; do
		run -0 --separate-stderr run_nacre --user root --entrypoint sh "$GOOD/$image" -- -c "$merged"
		[[ $output == "as it should be" && ! $stderr ]]
	done
}

@test "the image's entrypoint, command, environment, directory and user are docker's" {
	run -0 run_nacre "$GOOD/layout"
	[[ $output == "entry one two" ]]
	run -0 run_nacre "$GOOD/layout" three
	[[ $output == "entry three" ]]
	# Another entrypoint takes the image's command away, and an empty one leaves the command line alone.
	run -0 run_nacre --entrypoint /bin/echo "$GOOD/layout"
	[[ ! $output ]]
	run -0 run_nacre --entrypoint '' "$GOOD/layout" -- sh -c 'echo $COLOUR $SHAPE; pwd; id -un; id -Gn'
	[[ $output == $'green round\n/work/here\nuser\nextra' || $output == $'green round\n/work/here\nuser\nuser extra' ]]
	run -0 run_nacre --entrypoint sh -e COLOUR=blue -w / -u root "$GOOD/layout" -- -c 'echo $COLOUR $SHAPE; pwd; id -u'
	[[ $output == $'blue round\n/\n0' ]]
	run -125 --separate-stderr run_nacre --entrypoint '' "$GOOD/layout"
	[[ $stderr == *"no command"* ]]
}

@test "LAYOUT:TAG chooses an image, and its index the platform" {
	run -0 run_nacre "$GOOD/many:one"
	[[ $output == one ]]
	run -0 run_nacre "$GOOD/many:two"
	[[ $output == two ]]
	refused "$GOOD/many" "chosen by $GOOD/many:TAG: one, two"
	refused "$GOOD/many:three" "no image with the tag 'three', but: one, two"
	run -0 run_nacre "$GOOD/docker.tar:test/image:1"
	[[ $output == "entry one two" ]]
	refused "$GOOD/docker.tar:other" "no image with the tag 'other', but: test/image:1"
	refused "$ROOT:tag" "a directory has no tags"
}

@test "an image is merged once, and kept under its digest" {
	rm -rf "$images"
	run -0 --separate-stderr run_nacre --verbose "$GOOD/layout"
	local first=("$images"/sha256-*)
	[[ ${#first[@]} -eq 1 && -s ${first[0]}/root.squashfs ]]
	local before
	before=$(stat -c '%i %Y' "${first[0]}/root.squashfs")
	# The same image from elsewhere, also where its layers are gone.
	cp -a "$GOOD/layout" "$BATS_TEST_TMPDIR/copy"
	find "$BATS_TEST_TMPDIR/copy/blobs" -type f -size +100k -delete
	run -0 run_nacre "$BATS_TEST_TMPDIR/copy"
	run -0 run_nacre "$GOOD/docker.tar"
	[[ $(stat -c '%i %Y' "${first[0]}/root.squashfs") == "$before" ]]
	rm -rf "$images"
	refused "$BATS_TEST_TMPDIR/copy" "No such file"
	# What somebody began, who died then, is removed.
	mkdir -p "$images/.new.dead"
	touch "$images/.new.dead/root.squashfs"
	run -0 run_nacre "$GOOD/many:one"
	[[ ! -e $images/.new.dead ]]
}

@test "two runs at once merge the same image in peace" {
	rm -rf "$images"
	nacre run --rm --name "$name-a" "$GOOD/layout" >"$BATS_TEST_TMPDIR/a" 3>&- &
	local first=$!
	run -0 nacre run --rm --name "$name-b" "$GOOD/layout"
	[[ $output == "entry one two" ]]
	wait $first
	[[ $(cat "$BATS_TEST_TMPDIR/a") == "entry one two" ]]
	[[ $(ls -A "$images" | grep -cv '^\.lock$') -eq 1 ]]
}

@test "a tar of a root file system, compressed or not; its names are names" {
	for archive in plain.tar plain.tar.gz plain.tar.xz plain.tar.zst; do
		run -0 run_nacre "$GOOD/$archive" -- cat /etc/.wh.kept
		[[ $output == "a file as any other" ]]
	done
	# Without a digest nothing is kept.
	rm -rf "$images"
	run -0 run_nacre "$GOOD/plain.tar" -- true
	[[ ! -e $images ]]
}

@test "images of file systems are used as they are, and never written" {
	mkfs.erofs --quiet "$BATS_TEST_TMPDIR/root.erofs" "$ROOT"
	mke2fs -q -t ext4 -d "$ROOT" "$BATS_TEST_TMPDIR/root.ext4" 8M
	mksquashfs "$ROOT" "$BATS_TEST_TMPDIR/root.squashfs" -quiet -no-progress
	for kind in erofs ext4 squashfs; do
		local image=$BATS_TEST_TMPDIR/root.$kind before
		before=$(sha256sum <"$image")
		chmod 444 "$image"
		run -0 run_nacre "$image" -- sh -c 'echo written >/etc/passwd; echo new >/new; cat /etc/passwd /new'
		[[ $output == $'written\nnew' ]]
		[[ $(sha256sum <"$image") == "$before" ]]
		run -1 --separate-stderr run_nacre --read-only "$image" -- sh -c 'echo >/new'
		[[ $stderr == *"Read-only file system"* ]]
	done
	mksquashfs "$ROOT" "$BATS_TEST_TMPDIR/zstd.squashfs" -quiet -no-progress -comp zstd
	run -125 --separate-stderr run_nacre "$BATS_TEST_TMPDIR/zstd.squashfs" -- true
	[[ $stderr == *"a squashfs by zstd, and nacre's kernels read gzip and lz4 only"* ]]
	run -0 run_nacre --user 12:34 "$BATS_TEST_TMPDIR/root.erofs" -- id -u
	[[ $output == 12 ]]
	run -125 --separate-stderr run_nacre --user nobody "$BATS_TEST_TMPDIR/root.erofs" -- id
	[[ $stderr == *"only numbers can be given"* ]]
}

# bundle JQ: an OCI bundle, its config.json changed by a jq program.
bundle()
{
	bundle=$BATS_TEST_TMPDIR/bundle
	mkdir -p "$bundle"
	[[ -e $bundle/rootfs ]] || cp -a "$ROOT" "$bundle/rootfs"
	jq "${1:-.}" >"$bundle/config.json" <<-'EOF'
		{"ociVersion": "1.0.2", "hostname": "bundled", "root": {"path": "rootfs", "readonly": true},
		 "process": {"user": {"uid": 1000, "gid": 1001, "additionalGids": [5]}, "cwd": "/tmp",
		   "args": ["sh", "-c", "id -u; id -g; hostname; pwd; echo $A; ulimit -n; grep -E 'CapBnd|NoNew' /proc/self/status"],
		   "env": ["PATH=/bin:/usr/bin", "A=bundle"], "noNewPrivileges": true,
		   "capabilities": {"bounding": ["CAP_KILL"], "effective": [], "permitted": []},
		   "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 99, "soft": 77},
		               {"type": "RLIMIT_CORE", "hard": 18446744073709551615, "soft": 0}]},
		 "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
		            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]}],
		 "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "uts"}, {"type": "ipc"},
		                          {"type": "network"}]}}
	EOF
}

@test "an OCI bundle: its process, as config.json has it" {
	bundle
	run -0 --separate-stderr run_nacre "$bundle"
	[[ $output == $'1000\n1001\nbundled\n/tmp\nbundle\n77\nCapBnd:\t0000000000000020\nNoNewPrivs:\t1' && ! $stderr ]]
	run -1 --separate-stderr run_nacre "$bundle" -- sh -c 'echo >/new'
	[[ $stderr == *"Read-only file system"* ]]
}

@test "the command line is put over a bundle" {
	bundle
	run -0 run_nacre -e A=mine -w / -u 0 "$bundle" -- sh -c 'echo $A; pwd; id -u; hostname'
	[[ $output == $'mine\n/\n0\nbundled' ]]
}

@test "what of a bundle can't be carried into a VM is refused, or said" {
	bundle '.hooks.prestart = [{"path": "/bin/true"}]'
	refused "$bundle" "hooks are programs of this machine"
	bundle '.linux.namespaces[0].path = "/proc/1/ns/pid"'
	refused "$bundle" "linux.namespaces[0].path"
	bundle '.process.args = "sh"'
	refused "$bundle" "process.args: no list"
	bundle '.process.user.uid = -1'
	refused "$bundle" "process.user.uid"
	bundle '.root.path = "/etc"'
	refused "$bundle" "root.path /etc isn't in the bundle"
	bundle 'del(.process)'
	refused "$bundle" "no process, root or linux"
	bundle '.linux.intelRdt.closID = "x" | .process.apparmorProfile = "docker-default" | .process.args = ["true"]'
	run -0 --separate-stderr run_nacre "$bundle"
	[[ $stderr == *"linux.intelRdt is not carried into the VM"* ]]
	[[ $stderr == *"process.apparmorProfile is not carried into the VM"* ]]
}

@test "a bundle's bind mounts are volumes" {
	mkdir "$BATS_TEST_TMPDIR/data"
	echo there >"$BATS_TEST_TMPDIR/data/file"
	bundle ".mounts += [{destination: \"/data\", type: \"bind\", source: \"$BATS_TEST_TMPDIR/data\", options: [\"rbind\", \"ro\"]}]
		| .process.args = [\"sh\", \"-c\", \"cat /data/file; echo >/data/new\"]"
	run -1 --separate-stderr run_nacre "$bundle"
	[[ $output == there && $stderr == *"Read-only file system"* ]]
}

@test "names in layers that lead out of the image are refused" {
	refused "$HOSTILE/parent" "'..' in it: ../escaped"
	refused "$HOSTILE/parent-inside" "'..' in it: a/../../escaped"
	refused "$HOSTILE/absolute" "absolute name: /tmp/escaped"
	refused "$HOSTILE/absolute.tar" "absolute name: /etc/escaped"
	refused "$HOSTILE/whiteout-parent" "whiteout of '..'"
	refused "$HOSTILE/whiteout-itself" "whiteout of '.'"
	refused "$HOSTILE/hard-link-outside" "'..' in it: ../../etc/passwd"
	refused "$HOSTILE/hard-link-absolute" "absolute name: /etc/passwd"
	refused "$HOSTILE/hard-link-nowhere" "hard link to etc/none, which isn't there"
	refused "$HOSTILE/below-a-file" "no directory"
	refused "$HOSTILE/symlink-loop" "loop of symlinks"
	refused "$HOSTILE/deep" "too long"
	run -127 run_nacre "$HOSTILE/symlink-outside" -- sh
	[[ ! -e /tmp/nacre-escaped ]]
}

@test "blobs are what their descriptors say, or refused" {
	refused "$HOSTILE/other-content" "another content than its digest says"
	refused "$HOSTILE/another-tar" "isn't what the image's configuration says"
	refused "$HOSTILE/truncated" "its descriptor says"
	refused "$HOSTILE/longer" "larger than the"
	refused "$HOSTILE/wrong-size" "its descriptor says"
	refused "$HOSTILE/missing" "No such file"
	refused "$HOSTILE/blob-is-a-link" "No such file"
	refused "$HOSTILE/digest-is-a-path" "no sha256 or sha512 digest"
	refused "$HOSTILE/truncated-gzip" "truncated gzip"
	refused "$HOSTILE/not-a-tar" "Unrecognized archive format"
	refused "$HOSTILE/truncated.tar" "Truncated"
	refused "$HOSTILE/nested-index" "nested more than"
	refused "$HOSTILE/other-platform" "no image for linux/"
	refused "$HOSTILE/no-archive" "neither a tar archive nor"
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	refused "$BATS_TEST_TMPDIR/fifo" "neither a directory nor a file"
	refused "$BATS_TEST_TMPDIR/none" "No such file"
}

@test "--share virtiofs: the directory itself, which is never changed" {
	run -0 run_nacre --share virtiofs "$ROOT" -- sh -c 'mount | grep -c virtiofs; echo x >/etc/new; rm /etc/passwd; ls /etc'
	[[ $output == *new* && $output != *passwd* ]]
	[[ -e $ROOT/etc/passwd && ! -e $ROOT/etc/new ]]
	run -125 --separate-stderr run_nacre --share virtiofs "$GOOD/layout"
	[[ $stderr == *"is no directory but an OCI image layout"* ]]
}

@test "of merged images those are kept that were used last, and those that are in use" {
	export XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache NACRE_CACHE_IMAGES=2
	images=$XDG_CACHE_HOME/nacre/images
	run_nacre --user root --entrypoint true "$GOOD/layout"
	local first
	first=$(ls "$images")
	run_nacre --entrypoint true "$GOOD/many:one"
	run_nacre --user root --entrypoint true "$GOOD/layout"
	is 2 eval 'ls "$images" | wc -l'
	run_nacre --entrypoint true "$GOOD/many:two"
	is 2 eval 'ls "$images" | wc -l'
	[[ -d $images/$first ]]
	nacre run -d --name "$name" --user root --entrypoint sleep "$GOOD/layout" -- 1000000
	NACRE_CACHE_IMAGES=1 nacre run --rm --name "$name-2" --entrypoint true "$GOOD/many:one"
	[[ -d $images/$first && $(ls "$images" | wc -l) -eq 2 ]]
	nacre rm -f "$name"
	NACRE_CACHE_IMAGES=1 nacre run --rm --name "$name-3" --entrypoint true "$GOOD/many:two"
	[[ ! -d $images/$first && $(ls "$images" | wc -l) -eq 1 ]]
}

@test "layers that unpack to more than they may, also where it is holes" {
	fails 125 "more than 1 MiB (--unpacked-max): layer " run_nacre --unpacked-max 1m "$GOOD/docker.tar"
	truncate -s 100G "$BATS_TEST_TMPDIR/holes"
	tar -C "$BATS_TEST_TMPDIR" --sparse -cf "$BATS_TEST_TMPDIR/holes.tar" holes
	refused "$BATS_TEST_TMPDIR/holes.tar" "holes.tar: holes: too large"
	# Zeros, which are in no file, and in a few kilobytes of gzip.
	{ tar -C "$BATS_TEST_DIRNAME" -c rootfs.bats; head -c 8M /dev/zero; } | gzip >"$BATS_TEST_TMPDIR/zeros.tar.gz"
	fails 125 "unpacks to too much" run_nacre --unpacked-max 4m "$BATS_TEST_TMPDIR/zeros.tar.gz"
	run_nacre --unpacked-max 64m --user root --entrypoint true "$GOOD/docker.tar"
}
