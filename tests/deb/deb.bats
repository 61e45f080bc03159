#!/usr/bin/env bats
# `make deb`: what the package is, and that it does its job on a clean Debian.

bats_require_minimum_version 1.5.0

setup_file()
{
	export TOP DEB ROOT
	TOP=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	DEB=$(echo "$TOP"/build/nacre_*.deb)
	# In the cache, as the folder of the tests may be one where nothing can be executed.
	ROOT=$BATS_FILE_TMPDIR/root
	[[ $EUID -eq 0 ]] || return 0
	mkdir "$ROOT"
	tar --numeric-owner -xf "$("$BATS_TEST_DIRNAME/debian-root" 2>/dev/null)" -C "$ROOT"
}

teardown_file()
{
	rm -rf "$ROOT"
}

setup()
{
	[[ $EUID -eq 0 || $BATS_TEST_DESCRIPTION == "the same"* ]] || skip "only root can make a Debian root"
}

in_root()
{
	"$BATS_TEST_DIRNAME/in-root" "$ROOT" "$@"
}

@test "the same contents give the same package, whatever the umask and the time" {
	cp "$DEB" "$BATS_TEST_TMPDIR/first.deb"
	(umask 077 && make -s -C "$TOP" deb >/dev/null)
	cmp "$BATS_TEST_TMPDIR/first.deb" "$DEB"
	[[ $(dpkg-deb -f "$DEB" Package) == nacre && $(dpkg-deb -f "$DEB" Depends) == *qemu-system* ]]
	# Everything is root's, nothing is writable for others, and nothing is outside of /usr.
	run awk '!($1 ~ /^[-d]r..r-.r-.$/ && $2 == "root/root" && $6 ~ /^\.\/(usr\/.*)?$/)' < <(dpkg-deb -c "$DEB")
	[[ $status -eq 0 && -z $output ]]
}

@test "it installs on a clean Debian" {
	local settings=$ROOT/etc/apt

	# As this machine reaches the archive, but nothing else of its own; what is fetched stays in the cache.
	cp "${XDG_CACHE_HOME:-$HOME/.cache}"/nacre/apt/sources/*.sources "$settings/sources.list.d/"
	rm -f "$settings/sources.list"
	apt-config dump | grep '^Acquire::' >"$settings/apt.conf.d/90machine"
	cp -L /etc/resolv.conf "$ROOT/etc/resolv.conf"
	mkdir -p "${XDG_CACHE_HOME:-$HOME/.cache}/nacre/debian/archives"
	cp "${XDG_CACHE_HOME:-$HOME/.cache}"/nacre/debian/archives/*.deb "$ROOT/var/cache/apt/archives/" 2>/dev/null || true
	cp "$DEB" "$ROOT/nacre.deb"
	in_root sh -c 'apt-get -q update && apt-get -q -o APT::Keep-Downloaded-Packages=true install -y \
		--no-install-recommends /nacre.deb' >"$BATS_TEST_TMPDIR/log" 2>&1 || {
		tail -n 20 "$BATS_TEST_TMPDIR/log"
		return 1
	}
	cp -n "$ROOT"/var/cache/apt/archives/*.deb "${XDG_CACHE_HOME:-$HOME/.cache}/nacre/debian/archives/"
	in_root dpkg --verify nacre
}

@test "and runs a container there, with its streams and its exit status" {
	cp -a "$TOP/build/rootfs-busybox" "$ROOT/root/rootfs"
	run --separate-stderr in_root sh -c \
		"echo hello | nacre run --rm -i /root/rootfs -- sh -c 'read x; echo got \$x; echo err >&2; exit 7'"
	[[ $status -eq 7 && $output == "got hello" && $stderr == err ]]
}

@test "in the background too, with exec and cp" {
	run in_root sh -c 'nacre run -d --name web /root/rootfs -- sleep 1000 && nacre exec web hostname &&
		nacre cp web:/etc/passwd /root/copied && nacre stop -t 0 web && nacre rm web && nacre ps -aq'
	[[ $status -eq 0 && $output == $'web\nweb\nweb\nweb' ]]
	cmp "$ROOT/root/copied" "$TOP/build/rootfs-busybox/etc/passwd"
}

@test "its manuals and completions are where Debian's programs look for them" {
	[[ -s $ROOT/usr/share/man/man1/nacre.1.gz && -s $ROOT/usr/share/man/man8/nacre-agent.8.gz ]]
	in_root bash -c '. /usr/share/bash-completion/completions/nacre && complete -p nacre'
}

@test "and goes without a trace" {
	in_root apt-get -q purge -y nacre >/dev/null 2>&1
	[[ -z $(find "$ROOT/usr" -name '*nacre*') ]]
}
