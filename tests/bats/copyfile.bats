#!/usr/bin/env bats
# CopyFile: what a host without a shared filesystem puts into the folder that it shares with containers.

load helpers

setup_file() { agent_start; }
teardown_file() { agent_stop; }

shared=/run/kata-containers/shared/containers

# copy PATH MODE TEXT [FIELDS]
copy()
{
	agentctl CopyFile "$(jq -cn --arg p "$1" --argjson m "$2" --arg t "$3" '{path: $p, file_mode: $m, dir_mode: 493,
		file_size: ($t | length), data: ($t | @base64)} + '"${4:-{\}}")"
}

# Sees the folder as a container does that has it mounted.
look()
{
	edited ".OCI.Mounts += [{destination: \"/shared\", type: \"bind\", source: \"$shared\", options: [\"rbind\", \"ro\"]}]" \
		-- "$@"
}

@test "a file appears with its mode and owner" {
	copy $shared/a/resolv.conf $((8#100640)) "nameserver" '{uid: 5, gid: 6}'
	is "640 5 6" look stat -c '%a %u %g' /shared/a/resolv.conf
	is nameserver look cat /shared/a/resolv.conf
}

@test "folders and symlinks" {
	copy $shared/folder $((8#040750)) ""
	copy $shared/link $((8#120777)) "target"
	is "750" look stat -c %a /shared/folder
	is target look readlink /shared/link
}

@test "no path leads out of the folder" {
	fails 1 INVALID_ARGUMENT copy /etc/passwd $((8#100644)) x
	fails 1 INVALID_ARGUMENT copy $shared/../../x $((8#100644)) x
	copy $shared/out $((8#120777)) /etc
	run copy $shared/out/nacre-was-here $((8#100644)) x
	is 0 edited '.OCI.Mounts += [{destination: "/guest", type: "bind", source: "/etc", options: ["rbind", "ro"]}]' -- \
		sh -c 'ls /guest | grep -c nacre-was-here || true'
}

# part PATH SIZE OFFSET TEXT: one of the parts of a larger file.
part()
{
	agentctl CopyFile "$(jq -cn --arg p "$1" --argjson s "$2" --argjson o "$3" --arg t "$4" '{path: $p, file_mode: 33188,
		dir_mode: 493, file_size: $s, offset: $o, data: ($t | @base64)}')"
}

@test "a file in parts appears when its last part has come, and a second one takes its place" {
	part $shared/parts 12 0 "first "
	is gone look sh -c '[ -e /shared/parts ] || echo gone'
	part $shared/parts 12 6 "second"
	is "first second" look cat /shared/parts
	part $shared/parts 5 0 "other"
	is "other" look cat /shared/parts
}

@test "an empty file, and the folders above a file with their own mode" {
	copy $shared/new/deep/empty $((8#100600)) "" '{dir_mode: 448, uid: 5, gid: 6}'
	is "600 0 700 5" look sh -c 'echo $(stat -c "%a %s" /shared/new/deep/empty) $(stat -c "%a %u" /shared/new/deep)'
}

@test "what is in the way is replaced: a file by a folder, a folder by a link" {
	copy $shared/way $((8#100644)) "file"
	copy $shared/way $((8#040755)) ""
	is directory look stat -c %F /shared/way
	copy $shared/way/inside $((8#100644)) "x"
	copy $shared/way $((8#120777)) "elsewhere"
	is elsewhere look readlink /shared/way
}

@test "special bits of a mode come along, and an existing folder gets the new ones" {
	copy $shared/bits $((8#102755)) "x"
	is 2755 look stat -c %a /shared/bits
	copy $shared/sticky $((8#040755)) ""
	copy $shared/sticky $((8#041777)) ""
	is 1777 look stat -c %a /shared/sticky
}

@test "sizes and offsets that make no sense are refused" {
	fails 1 INVALID_ARGUMENT part $shared/bad 5 -1 "x"
	fails 1 INVALID_ARGUMENT part $shared/bad -1 0 "x"
	fails 1 INVALID_ARGUMENT copy $shared/bad $((8#120777)) ""
	is gone look sh -c '[ -e /shared/bad ] || echo gone'
}
