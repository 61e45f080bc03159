#!/usr/bin/env bats
# A container as the agent's client, and in the agent's place: vsock has no namespaces.

load attacks

ports=(1024 1025 1026 1027)
setup_file() { VM_APPEND="agent.log_vport=1025" attacks_start; }
teardown_file() { agent_stop; }

@test "A32 no container reaches the agent's ports, by any address of the guest" {
	local cid count=0
	is '{"status":"SERVING"}' agentctl Health.Check
	attacker client '.OCI.Process.Capabilities = {} | .OCI.Process.User = {UID: 1000, GID: 1000} | .OCI.Linux.Namespaces += [{Type: "network"}]' -- \
		sh -c '/attacks/vsock dial 1 "$@"; /attacks/vsock dial 5 "$@"; /attacks/vsock dial 2 "$@"; /attacks/vsock dial 0 "$@"' sh "${ports[@]}"
	run output_of client
	removed client
	echo "$output"
	[[ $(grep -cE '^[0125] 10' <<<"$output") -eq 16 ]]
	none connected "$output"
	none "not supported" "$output"
	precondition "16 calls to cids 0, 1, 2 and the guest's own on ${ports[*]}, each with an answer of the kernel's vsock"
}

@test "A33 no container takes one of the agent's ports, not while the agent is started again" {
	local restarts i tried bound
	restarts=$(rounds 5 100)
	is $'1024 Address in use\n1025 Address in use\n1026 Address in use\n1027 Address in use\n5000 bound' \
		run_vsock bind "${ports[@]}" 5000
	guest "mkdir -p $field/volume; chmod 777 $field/volume"
	attacker taker "$(jq -rn --argjson m "$(bind $field/volume /volume)" '".OCI.Mounts += [\($m)]"')" -- \
		sh -c '/attacks/vsock keep /volume/stop "$@" >/volume/result 2>&1' sh "${ports[@]}"
	for ((i = 0; i < restarts; i++)); do
		guest 'kill -9 $(for p in /proc/[0-9]*; do [ "$(cut -d" " -f4 $p/stat)" = 1 ] && [ "$(readlink $p/exe)" = /init ] && echo ${p#/proc/}; done)' || true
		agentctl --timeout 60s wait-ready
	done
	guest "touch $field/volume/stop; while ! grep -q bound $field/volume/result; do sleep 1; done; cat $field/volume/result" >"$BATS_TEST_TMPDIR/result"
	cat "$BATS_TEST_TMPDIR/result"
	read -r _ tried _ bound <<<"$(grep '^tried' "$BATS_TEST_TMPDIR/result")"
	((tried > 100 && bound == 0))
	precondition "$tried rounds of binds during $restarts restarts of the agent; port 5000 could be bound"
}

run_vsock()
{
	attacker_request binder . -- /attacks/vsock "$@"
	agentctl run --request "$BATS_TEST_TMPDIR/binder"
}
