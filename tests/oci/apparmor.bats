#!/usr/bin/env bats
# OCI config.md "Linux Process": AppArmor profiles, in a guest of the full kernel with AppArmor on. The policy is compiled here, by
# Debian's apparmor_parser, and loaded by the guest's own securityfs.

load helpers

setup() { [[ $place == vm ]] || skip "this machine's kernel has no AppArmor"; }

setup_file()
{
	local abi=/etc/apparmor.d/abi/kernel-5.4-vanilla

	[[ $place == vm ]] || return 0
	VM_MACHINE=q35 BOX_VARIANT=full VM_APPEND=lsm=apparmor place_start
	apparmor_parser -QTK --policy-features "$abi" --kernel-features "$abi" -o "$BATS_FILE_TMPDIR/policy" <<-'END'
		profile nacre-test flags=(attach_disconnected) {
			file,
			capability,
			signal,
			deny /tmp/forbidden w,
		}
	END
	in_place "mount -t securityfs securityfs /sys/kernel/security
		base64 -d >/tmp/policy <<'END'
$(base64 "$BATS_FILE_TMPDIR/policy")
END
		cat /tmp/policy >/sys/kernel/security/apparmor/.load"
}

teardown_file() { [[ $place == local ]] || place_stop; }

@test "the profile is the workload's, and an exec's, and holds" {
	is "nacre-test (enforce)" boxed '.process.apparmorProfile = "nacre-test"' cat /proc/self/attr/apparmor/current
	fails 1 "Permission denied" boxed '.process.apparmorProfile = "nacre-test"' sh -c 'echo x >/tmp/allowed && echo x >/tmp/forbidden'
	is "nacre-test (enforce)" boxed '.process.apparmorProfile = "nacre-test" | .process.noNewPrivileges = true | .process.user.uid = 5' cat /proc/self/attr/apparmor/current
	is unconfined boxed . cat /proc/self/attr/apparmor/current
	is unconfined boxed '.process.apparmorProfile = "unconfined"' cat /proc/self/attr/apparmor/current
	bundle '.process.apparmorProfile = "nacre-test"'
	box run --detach --bundle "$bundle" "$id"
	is "nacre-test (enforce)" box exec "$id" cat /proc/self/attr/apparmor/current
	box delete --force "$id"
	is "" left
}

@test "a profile that isn't loaded is an error, and what the container mounts over procfs changes nothing" {
	fails 125 'AppArmor profile "nothing-like-it": No such file or directory' boxed '.process.apparmorProfile = "nothing-like-it"' true
	fails 125 "cannot be mounted because it is inside /proc" boxed '.process.apparmorProfile = "nacre-test" | .mounts += [{destination: "/proc/self/attr", type: "tmpfs", source: "m"}]' true
	is "" left
}

@test "over the wire as well: a container's profile, an exec's own, and one that isn't loaded" {
	local current=/proc/self/attr/apparmor/current

	id=labelled
	agentctl CreateSandbox '{"sandbox_id": "sandbox"}'
	request -- sh -c 'trap "exit 0" TERM; while :; do sleep 1000 & wait; done' |
		jq -c --arg id "$id" '.container_id = $id | .OCI.Process.ApparmorProfile = "nacre-test" | .OCI.Linux.CgroupsPath += $id' >"$BATS_TEST_TMPDIR/request"
	agentctl run --request "$BATS_TEST_TMPDIR/request" --keep --detach
	is "nacre-test (enforce)" execute -- cat $current
	agentctl exec --id "$id" --exec-id own --print -- cat $current | jq -c '.process.ApparmorProfile = "unconfined"' >"$BATS_TEST_TMPDIR/request"
	is unconfined agentctl exec --request "$BATS_TEST_TMPDIR/request"
	fails 1 "Permission denied" execute -- sh -c 'echo x >/tmp/forbidden'
	remove
	is unconfined container -- cat $current
	fails 125 'INTERNAL: AppArmor profile "nothing-like-it"' edited '.OCI.Process.ApparmorProfile = "nothing-like-it"' -- true
}
