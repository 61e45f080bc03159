#!/usr/bin/env bats
# OCI config.md "Mounts" and "Linux mount options".

load helpers

setup_file()
{
	place_start
	# A volume with something mounted in it.
	in_place "mkdir -p $oci/volume/below && mount -t tmpfs -o mode=711 top $oci/volume && mkdir $oci/volume/below &&
		mount -t tmpfs below $oci/volume/below && echo seen >$oci/volume/below/file && ln -s below/file $oci/volume/link"
}
teardown_file() { place_stop; }

# mount OPTION...: jq for a bind of the volume at /volume with these.
volume() { echo ".mounts += [{destination: \"/volume\", type: \"none\", source: \"$oci/volume\", options: $(jq -cn '$ARGS.positional' --args -- "$@")}]"; }

# options_of PATH: a command that prints the options of the mount there.
# shellcheck disable=SC2016
options_of='while read -r _ _ _ _ at options rest; do case " $* " in *" $at "*) echo "$at $options";; esac; done </proc/self/mountinfo'

@test "in the listed order, also over each other; a relative destination is from the root" {
	is "second third" boxed '.mounts += [
		{destination: "/a", type: "tmpfs", source: "first"}, {destination: "/a/b", type: "tmpfs", source: "second"},
		{destination: "c", type: "tmpfs", source: "third"}]' \
		sh -c 'echo $(sed -n "s|.* /a/b .* - tmpfs \([a-z]*\) .*|\1|p; s|.* /c .* - tmpfs \([a-z]*\) .*|\1|p" /proc/self/mountinfo)'
}

@test "bind leaves out what is mounted below, rbind brings it" {
	is "" boxed "$(volume bind)" ls /volume/below
	is "file" boxed "$(volume rbind)" ls /volume/below
}

@test "the options of a mount alone" {
	is "/volume ro,nosuid,nodev,noexec,noatime,nodiratime,nosymfollow" boxed \
		"$(volume rbind ro nosuid nodev noexec noatime nodiratime nosymfollow)" sh -c "$options_of" - /volume
	is "/volume rw" boxed "$(volume rbind ro rw noatime strictatime)" sh -c "$options_of" - /volume
	# The last word counts.
	is "/volume rw,relatime" boxed "$(volume rbind ro noatime rw atime)" sh -c "$options_of" - /volume
	fails 1 "/volume/link" boxed "$(volume rbind nosymfollow)" cat /volume/link
	fails 1 "Read-only file system" boxed "$(volume rbind ro)" touch /volume/new
	is "" boxed "$(volume rbind ro)" touch /volume/below/new
}

@test "the recursive ones reach what is mounted below, and can be taken back for the mount alone" {
	is "/volume ro,nosuid,nodev,noexec,noatime,nodiratime,nosymfollow
/volume/below ro,nosuid,nodev,noexec,noatime,nodiratime,nosymfollow" boxed \
		"$(volume rbind rro rnosuid rnodev rnoexec rnoatime rnodiratime rnosymfollow)" sh -c "$options_of" - /volume /volume/below
	is "/volume rw,relatime
/volume/below ro,relatime" boxed "$(volume rbind rro rw)" sh -c "$options_of" - /volume /volume/below
	is "/volume ro,relatime
/volume/below rw,relatime" boxed "$(volume rbind ro rrw rsuid rdev rexec rdiratime rsymfollow rrelatime)" \
		sh -c "$options_of" - /volume /volume/below
	is "/volume rw
/volume/below rw" boxed "$(volume rbind rstrictatime)" sh -c "$options_of" - /volume /volume/below
	is "/volume rw,relatime
/volume/below rw,relatime" boxed "$(volume rbind rstrictatime rnostrictatime)" sh -c "$options_of" - /volume /volume/below
	fails 1 "Read-only file system" boxed "$(volume rbind rro)" touch /volume/below/new
}

@test "propagation of a mount" {
	is shared boxed "$(volume rbind rshared)" sh -c 'grep -c " /volume/below .* shared:" /proc/self/mountinfo | sed "s/1/shared/"'
	is 0 boxed "$(volume rbind shared)" sh -c 'grep -c " /volume/below .* shared:[0-9]* -" /proc/self/mountinfo || true'
	is 2 boxed "$(volume rbind runbindable)" grep -c ' /volume.* unbindable' /proc/self/mountinfo
	is 1 boxed "$(volume rbind unbindable)" grep -c ' /volume.* unbindable' /proc/self/mountinfo
	# The root's is for those that say nothing.
	is 1 boxed "$(volume rbind rprivate) | .linux.rootfsPropagation = \"rshared\"" sh -c 'test $(grep -c " /volume.* shared:" /proc/self/mountinfo) = 0 && grep -c " /tmp .* shared:" /proc/self/mountinfo'
	is 0 boxed "$(volume rbind rprivate)" sh -c 'grep -c " /volume.* \(shared\|master\):" /proc/self/mountinfo || true'
}

@test "a filesystem's own options reach it, and an unknown one fails there" {
	is "size=1024k mode=750" boxed '.mounts += [{destination: "/m", type: "tmpfs", source: "m", options: ["size=1m", "mode=750", "lazytime", "iversion", "silent", "dirsync"]}]' \
		sh -c 'grep " /m " /proc/self/mountinfo | grep -o "size=[0-9]*k\|mode=[0-9]*" | xargs'
	fails 125 "mount tmpfs at /m (options wrong=1): Invalid argument" \
		boxed '.mounts += [{destination: "/m", type: "tmpfs", source: "m", options: ["wrong=1"]}]' true
	is "/m ro,nosuid" boxed '.mounts += [{destination: "/m", type: "tmpfs", source: "m", options: ["rro", "rnosuid", "rstrictatime"]}]' sh -c "$options_of" - /m
}

@test "remount: a filesystem's options, and a mount's alone" {
	is "size=64k /m ro,relatime" boxed '.mounts += [
		{destination: "/m", type: "tmpfs", source: "m", options: ["size=1m"]},
		{destination: "/m", type: "tmpfs", source: "m", options: ["remount", "ro", "size=64k"]}]' \
		sh -c "echo \$(grep ' /m ' /proc/self/mountinfo | grep -o 'size=[0-9]*k') \$($options_of)" - /m
	is "/volume ro,noexec,relatime" boxed "$(volume rbind) | .mounts += [{destination: \"/volume\", options: [\"remount\", \"bind\", \"ro\", \"noexec\"]}]" \
		sh -c "$options_of" - /volume
	# The volume itself is as it was.
	is "" in_place "touch $oci/volume/still"
	fails 125 "/nothing" boxed '.mounts += [{destination: "/nothing", options: ["remount", "ro"]}]' true
	fails 125 "set the options of the mount at /bin: Invalid argument" boxed '.mounts += [{destination: "/bin", options: ["remount", "bind", "ro"]}]' true
}

@test "tmpcopyup: what the image has there is in the tmpfs, with owner, mode, links" {
	in_place "mkdir -p $oci/root/copied/deep/er && cd $oci/root/copied && echo text >deep/er/file && chmod 640 deep/er/file &&
		chown 7:8 deep/er/file && chmod 1777 deep && ln -s deep/er/file link && ln -s /nowhere dangling"
	is "text 640 7:8 1777 deep/er/file /nowhere" boxed '.mounts += [{destination: "/copied", type: "tmpfs", source: "m", options: ["tmpcopyup"]}]' \
		sh -c 'cd /copied; echo $(cat link) $(stat -c "%a %u:%g" deep/er/file) $(stat -c %a deep) $(readlink link) $(readlink dangling); echo new >deep/new'
	is "er" in_place "ls $oci/root/copied/deep; rm -r $oci/root/copied"
	fails 125 "tmpcopyup is for a tmpfs" boxed "$(volume rbind tmpcopyup)" true
	in_place "mkdir $oci/root/large && dd if=/dev/zero of=$oci/root/large/file bs=1000 count=200 2>/dev/null"
	fails 125 "copy up /large: copy file: No space left on device" \
		boxed '.mounts += [{destination: "/large", type: "tmpfs", source: "m", options: ["tmpcopyup", "size=64k"]}]' true
	in_place "rm -r $oci/root/large"
}

@test "idmapped mounts: ids of their own, or those of the user namespace" {
	# A filesystem that can: erofs in the guest, tmpfs on a newer kernel.
	local source=$oci/disk mappings='{uidMappings: [{containerID: 0, hostID: 1000, size: 100}], gidMappings: [{containerID: 0, hostID: 2000, size: 100}]}'
	if [[ $place == local ]]; then
		source=$oci/mapped
		in_place "mkdir $source && mount -t tmpfs mapped $source && mkdir -m 755 $source/bin && mkdir $source/below && mount -t tmpfs below $source/below"
	fi
	is "1000:2000" boxed ".mounts += [{destination: \"/m\", source: \"$source\", options: [\"rbind\", \"idmap\"]} + $mappings]" stat -c %u:%g /m/bin
	# Without the word, too, as the mappings say it.
	is "1000:2000" boxed ".mounts += [{destination: \"/m\", source: \"$source\", options: [\"rbind\"]} + $mappings]" stat -c %u:%g /m/bin
	is "0:0" boxed ".linux.namespaces += [{type: \"user\"}] | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] | .linux.gidMappings = .linux.uidMappings
		| .mounts += [{destination: \"/m\", source: \"$source\", options: [\"bind\", \"idmap\"]}]" stat -c %u:%g /m/bin
	is "65534:65534" boxed ".linux.namespaces += [{type: \"user\"}] | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] | .linux.gidMappings = .linux.uidMappings
		| .mounts += [{destination: \"/m\", source: \"$source\", options: [\"rbind\"]}]" stat -c %u:%g /m/bin
	if [[ $place == local ]]; then
		is "0:0 1000:2000" boxed ".mounts += [{destination: \"/a\", source: \"$source\", options: [\"rbind\", \"idmap\"]} + $mappings,
			{destination: \"/b\", source: \"$source\", options: [\"rbind\", \"ridmap\"]} + $mappings]" sh -c 'echo $(stat -c %u:%g /a/below /b/below)'
	fi
	fails 125 "an idmapped mount needs mappings, or a user namespace" boxed "$(volume rbind idmap)" true
	fails 125 "only a bind mount can have id mappings" boxed '.mounts += [{destination: "/m", type: "tmpfs", source: "m", options: ["idmap"]}]' true
	fails 125 "id mappings of users and of groups go together" boxed ".mounts += [{destination: \"/m\", source: \"$source\", options: [\"rbind\", \"idmap\"]} + ($mappings | del(.gidMappings))]" true
	# procfs is one that can't, anywhere.
	fails 125 "map the ids of /proc at /m: its filesystem can't be idmapped" \
		boxed ".mounts += [{destination: \"/m\", source: \"/proc\", options: [\"bind\", \"idmap\"]} + $mappings]" true
}

@test "the cgroup filesystem, read-only" {
	run boxed '.mounts += [{destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro", "nosuid"]}]' \
		sh -c 'mkdir /sys/fs/cgroup/made /sys/fs/cgroup/*/made 2>/dev/null || echo refused'
	[[ $status -eq 0 && $output == refused ]]
}
