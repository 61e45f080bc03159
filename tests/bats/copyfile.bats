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
