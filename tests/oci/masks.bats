#!/usr/bin/env bats
# OCI config-linux.md "Masked Paths", "Readonly Paths".

load helpers

setup_file()
{
	place_start
	in_place "mkdir -p $oci/root/secret/deep && echo hidden >$oci/root/secret/file && echo hidden >$oci/root/passwords && ln -s secret $oci/root/way"
}
teardown_file() { place_stop; }

@test "a masked file is empty and stays so, a masked folder too; the others are as they were" {
	is "0 0 read-only hidden" boxed '.linux.maskedPaths = ["/secret", "/passwords", "/none", "/proc/kcore"]' \
		sh -c 'echo x >/passwords; echo $(wc -c </passwords) $(ls -A /secret | wc -l) $(mkdir /secret/x 2>/dev/null || echo read-only) $(cat /secret/file 2>/dev/null || echo hidden)'
	is 1:3 boxed '.linux.maskedPaths = ["/proc/uptime"]' stat -c %t:%T /proc/uptime
	is hidden in_place "cat $oci/root/secret/file"
	# Through a link of the image's: what it leads to in the root.
	is "0" boxed '.linux.maskedPaths = ["/way"]' sh -c 'ls -A /secret | wc -l'
}

@test "read-only paths" {
	is "ro ro rw" boxed '.linux.readonlyPaths = ["/secret", "/passwords", "/none", "/proc/sys"]' \
		sh -c 't() { if (echo x >$1) 2>/dev/null; then echo rw; else echo ro; fi; }; echo $(t /secret/new) $(t /passwords) $(t /new); rm -f /new'
	is hidden in_place "cat $oci/root/passwords"
	fails 125 'masked path "relative" must be an absolute path' boxed '.linux.maskedPaths = ["relative"]' true
	fails 125 'read-only path "/a/../b" must not contain' boxed '.linux.readonlyPaths = ["/a/../b"]' true
	is "" left
}
