#!/usr/bin/env bats
# OCI config.md "POSIX-platform Hooks" and runtime.md "Lifecycle": by bundles. What the agent does with hooks is in tests/bats/hooks.bats.

load helpers

setup_file() { place_start; }
teardown_file() { place_stop; }
setup() { told=$oci/told.$BATS_TEST_NUMBER; }

# hook KIND SCRIPT [MORE]: a jq filter that adds a hook: a shell of this place, or of the container's for startContainer.
hook()
{
	jq -cn --arg script "$2" '{path: "/bin/sh", args: ["sh", "-c", $script], env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]}' |
		sed "s/^/.hooks.$1 += [/; s/\$/ + {${3:-}}]/"
}

# filters FILTER...: all of them, as one.
filters()
{
	local IFS='|'
	echo "$*"
}

@test "each kind at its point, in the order of the list" {
	local all=() kind
	for kind in prestart createRuntime createContainer poststart poststop; do
		all+=("$(hook $kind "echo $kind 1 >>$told")" "$(hook $kind "echo $kind 2 >>$told")")
	done
	bundle "$(filters "${all[@]}")"
	box create --bundle "$bundle" "$id"
	is "prestart 1 prestart 2 createRuntime 1 createRuntime 2 createContainer 1 createContainer 2" xargs <<<"$(in_place "cat $told; rm $told")"
	box start "$id"
	is "poststart 1 poststart 2" xargs <<<"$(in_place "cat $told; rm $told")"
	box kill "$id" KILL
	until_status "$id" stopped
	fails 1 "" in_place "test -e $told"
	box delete "$id"
	is "poststop 1 poststop 2" xargs <<<"$(in_place "cat $told; rm $told")"
	is "" left
}

@test "the state is that of the container, as the hook sees it" {
	local all=() kind
	for kind in prestart createRuntime createContainer poststart poststop; do
		all+=("$(hook $kind "cat >>$told")")
	done
	bundle "$(filters "${all[@]}" "$(hook startContainer 'cat >/tmp/told')" '.annotations = {"k": "v"}' \
		'.process.args = ["sh", "-c", "cat /tmp/told; sleep 1000000"]')"
	in_place "nacre-box --root $oci/state create --bundle $bundle --pid-file $bundle/pid $id >$bundle/output; nacre-box --root $oci/state start $id"
	in_place "until grep -q created $bundle/output; do :; done; cat $bundle/output" >"$BATS_TEST_TMPDIR/started"
	is '["created",1]' jq -c '[.status, .pid]' "$BATS_TEST_TMPDIR/started"
	box delete --force "$id"
	in_place "cat $told; echo; cat $bundle/pid" | grep . >"$BATS_TEST_TMPDIR/told"
	is '["creating","creating","creating","running","stopped"]' jq -cs 'map(.status?) | .[:5]' "$BATS_TEST_TMPDIR/told"
	is '[true,true,true,true]' jq -cs '[.[0].pid == .[5], .[1].pid == .[5], .[2].pid == 1, .[3].pid == .[5]]' "$BATS_TEST_TMPDIR/told"
	is "[[\"1.2.0\",\"$id\",\"$bundle\",{\"k\":\"v\"}]]" jq -cs '.[:5] | map([.ociVersion, .id, .bundle, .annotations]) | unique' "$BATS_TEST_TMPDIR/told"
}

@test "args and env are as given: no args is the path, no env an empty environment" {
	in_place "printf '#!/bin/sh\necho \"\$0 \$#\" \$(tr \"\\\\0\" \"\\\\n\" </proc/\$\$/environ | grep -vc =never) >>$told\n' >$oci/hook.$BATS_TEST_NUMBER; chmod 755 $oci/hook.$BATS_TEST_NUMBER"
	bundle ".hooks.prestart = [{path: \"$oci/hook.$BATS_TEST_NUMBER\"}, {path: \"$oci/hook.$BATS_TEST_NUMBER\", args: [\"name\", \"a\", \"b c\"], env: [\"X=1\", \"Y=2\"]}]"
	box run --detach --bundle "$bundle" "$id"
	is "$oci/hook.$BATS_TEST_NUMBER 0 0
$oci/hook.$BATS_TEST_NUMBER 2 2" in_place "cat $told"
	box delete --force "$id"
}

@test "in the creation a failure is the creation's, the hooks behind it aren't run, and all is undone" {
	local kind
	for kind in prestart createRuntime createContainer; do
		bundle "$(filters "$(hook $kind 'echo not me >&2; exit 9')" "$(hook $kind "echo never >>$told")" "$(hook startContainer "echo never >>$told")" \
			"$(hook poststop "echo poststop >>$told")")"
		fails 1 "$kind hook: /bin/sh: not me" box create --bundle "$bundle" "$id"
		fails 1 "does not exist" box state "$id"
		is poststop in_place "cat $told; rm $told"
	done
	is "" left
}

@test "startContainer: a failure is the start's, and the program isn't run" {
	bundle "$(filters "$(hook startContainer 'exit 3')" '.process.args = ["sh", "-c", "echo ran"]')"
	in_place "nacre-box --root $oci/state create --bundle $bundle $id >$bundle/output"
	fails 1 "startContainer hook: /bin/sh ended with status 3" box start "$id"
	until_status "$id" stopped
	box delete "$id"
	is "" in_place "cat $bundle/output"
	is "" left
}

@test "poststart and poststop: a failure is told, and nothing else" {
	bundle "$(filters "$(hook poststart 'exit 4')" "$(hook poststart "echo on >>$told")" "$(hook poststop 'exit 5')" "$(hook poststop "echo on >>$told")")"
	box create --bundle "$bundle" "$id"
	box start "$id"
	is running status_of "$id"
	run --separate-stderr box delete --force "$id"
	[[ $status -eq 0 && $stderr == *"poststop hook: /bin/sh ended with status 5"* ]]
	is "on
on" in_place "cat $told"
}

@test "a timeout aborts the hook" {
	bundle "$(hook createRuntime 'sleep 1000' 'timeout: 1')"
	fails 1 "createRuntime hook: /bin/sh took longer than 1 s" box create --bundle "$bundle" "$id"
	bundle "$(hook createRuntime 'true' 'timeout: -1')"
	fails 1 "a timeout of -1 s" box create --bundle "$bundle" "$id"
	is "" left
}

@test "createContainer sees the container's mounts and namespaces, with this place's paths; what it mounts is there" {
	bundle "$(filters "$(hook createContainer "R=$oci/state/b$BATS_TEST_NUMBER.1/bundle/rootfs; test -e \$R/proc/self && cat /proc/sys/kernel/hostname >>$told
		mount -t tmpfs tmpfs \$R/tmp && echo made >\$R/tmp/file")" '.process.args = ["cat", "/tmp/file"]')"
	is made box run --bundle "$bundle" "$id"
	is box in_place "cat $told"
	is "" left
}

@test "with user and pid namespaces: createContainer is root in the user namespace" {
	bundle "$(filters "$(hook createContainer 'read a b c </proc/self/uid_map; test "$a $b $c" = "0 100000 65536" && test "$(stat -c %u /proc/self)" = 0')" \
		'.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] | .linux.gidMappings = .linux.uidMappings' \
		'.mounts |= map(select(.destination != "/dev/pts")) | .process.args = ["true"]')"
	run box run --bundle "$bundle" "$id"
	echo "$output"
	[[ $status -eq 0 ]]
}
