#!/usr/bin/env bats
# Volumes that are mounted: their sizes, and what is changed about them while containers use them. ResizeVolume of disks that
# grow is in tests/boot/resize.bats.

load helpers

setup_file()
{
	agent_start
	watch
	in_guest "mkdir -p $guest/run/nacre"
}

teardown_file() { agent_stop; }

# pod OPTIONS: an emptyDir in memory, as JSON.
pod()
{
	jq -cn --argjson o "$1" --arg p "/run/nacre/pod-$BATS_TEST_NUMBER" \
		'{driver: "ephemeral", source: "tmpfs", fstype: "tmpfs", options: $o, mount_point: $p}'
}

# with STORAGE -- COMMAND...: a container that has it as its /data.
with()
{
	local storage=$1

	shift
	edited ".storages += [$storage] | .OCI.Mounts += [{destination: \"/data\", type: \"bind\",
		source: \"/run/nacre/pod-$BATS_TEST_NUMBER\", options: [\"rbind\"]}]" "$@"
}

update() { agentctl UpdateEphemeralMounts "{\"storages\": [$(IFS=,; echo "$*")]}"; }

stats() { agentctl GetVolumeStats "{\"volume_guest_path\": \"$1\"}"; }

@test "GetVolumeStats: bytes and inodes of a volume, and how many of them are used" {
	with "$(pod '["size=1m", "nr_inodes=10"]')" -- sh -c 'head -c 65536 /dev/zero >/data/file'
	local answer
	answer=$(stats "/run/nacre/pod-$BATS_TEST_NUMBER")
	is '["BYTES",1048576,65536,983040]' jq -c '.usage[0] | [.unit, (.total, .used, .available | tonumber)]' <<<"$answer"
	is '["INODES",10,2,8]' jq -c '.usage[1] | [.unit, (.total, .used, .available | tonumber)]' <<<"$answer"
	is '[false,"OK"]' jq -c '.volume_condition | [.abnormal // false, .message]' <<<"$answer"
}

@test "GetVolumeStats of what isn't there" {
	fails 1 "open volume /run/nacre/nosuch" stats /run/nacre/nosuch
	fails 1 "volume 'run/nacre' isn't absolute" stats run/nacre
	fails 1 "isn't absolute" stats ""
}

@test "UpdateEphemeralMounts gives a volume another size while a container has it" {
	local volume
	volume=$(pod '["size=1m"]')
	id=r$BATS_TEST_NUMBER
	request -- sleep 1000000 | sed "s/\<c$BATS_TEST_NUMBER\>/$id/g" | jq -c ".storages += [$volume] | .OCI.Mounts += [{destination:
		\"/data\", type: \"bind\", source: \"/run/nacre/pod-$BATS_TEST_NUMBER\", options: [\"rbind\"]}]" >"$BATS_TEST_TMPDIR/it"
	agentctl run --request "$BATS_TEST_TMPDIR/it" --detach
	execute -- sh -c 'echo kept >/data/file'
	update "$(pod '["remount", "size=2m", "fsgid=77"]')"
	is $'2048\nkept' execute -- sh -c 'df -k /data | awk "NR == 2 {print \$2}"; cat /data/file'
	# Nothing to do for these.
	update "$(pod '[]')" "$(pod '["size=4m"]')"
	is 2048 execute -- sh -c 'df -k /data | awk "NR == 2 {print \$2}"'
	remove
}

@test "UpdateEphemeralMounts changes no other storage, and none where one fails" {
	local volume other
	volume=$(pod '["size=1m"]')
	with "$volume" -- sh -c 'echo kept >/data/file'
	other=$(jq -c '.mount_point += "-new" | .options = ["nosuchoption"]' <<<"$volume")
	guest_state >"$BATS_TEST_TMPDIR/before"
	fails 1 "Only ephemeral storage update is supported" update "$(jq -c '.driver = "blk"' <<<"$volume")"
	fails 1 "mount tmpfs (tmpfs) at /run/nacre/pod-$BATS_TEST_NUMBER-new" update "$(pod '["remount", "size=1m"]')" "$other"
	guest_state | diff "$BATS_TEST_TMPDIR/before" -
	is kept with "$volume" -- cat /data/file
}

@test "RemoveStaleVirtiofsShareMounts looks at the shares, and that is all" {
	is '{}' agentctl RemoveStaleVirtiofsShareMounts
}

@test "ResizeVolume: what can't grow is named" {
	with "$(pod '["size=1m"]')" -- true
	fails 1 "/run/nacre/pod-$BATS_TEST_NUMBER can't be resized: it is neither ext4 nor XFS" \
		agentctl ResizeVolume "{\"volume_guest_path\": \"/run/nacre/pod-$BATS_TEST_NUMBER\", \"size\": 2097152}"
	fails 1 "open volume /run/nacre/nosuch" agentctl ResizeVolume '{"volume_guest_path": "/run/nacre/nosuch", "size": 1}'
	fails 1 "isn't absolute" agentctl ResizeVolume '{}'
}
