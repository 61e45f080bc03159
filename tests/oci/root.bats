#!/usr/bin/env bats
# OCI config.md "Root" and config-linux.md "Rootfs Mount Propagation".

load helpers

setup_file() { place_start; }
teardown_file() { place_stop; }

@test "root.readonly: nothing can be made, what is mounted on it stays as it is, and the folder outside is untouched" {
	is "read-only tmp" boxed '.root.readonly = true' sh -c \
		'mkdir /made 2>/dev/null || echo -n "read-only "; mkdir /tmp/made && echo tmp'
	is /made boxed . sh -c 'mkdir /made && ls -d /made && rmdir /made'
	is "" in_place "ls -d $oci/root/made 2>/dev/null || true"
}

@test "a root that isn't there" {
	fails 125 "No such file or directory" boxed '.root.path += "/none"' true
	is "" left
}

@test "the propagation of the root" {
	local word
	for word in shared slave private unbindable rshared rslave rprivate runbindable; do
		run boxed ".linux.rootfsPropagation = \"$word\"" sh -c 'grep " / / \| /root / \|[^ ]* / " /proc/self/mountinfo | head -1'
		case $word in
		*shared) [[ $output == *shared:* ]] ;;
		*unbindable) [[ $output == *unbindable* ]] ;;
		*private) [[ $output != *shared:* && $output != *unbindable* && $output != *master:* ]] ;;
		*) [[ $output != *shared:* && $output != *unbindable* ]] ;;
		esac || { echo "$word: $output"; false; }
	done
	fails 125 'unknown propagation "up"' boxed '.linux.rootfsPropagation = "up"' true
}
