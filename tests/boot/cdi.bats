#!/usr/bin/env bats
# CDI files in YAML: what the full image's program makes of them, and a container of a guest that has it.

export NACRE_TEST_PLACE=vm
load ../bats/helpers

# converted TEXT: with printf's escapes.
converted()
{
	printf "%b" "$1" | "$build/tools/cdi-yaml"
}

@test "cdi-yaml: a file as vendors' tools write it" {
	is '{"cdiVersion":"0.5.0","kind":"nvidia.com/gpu","devices":[{"name":"0","containerEdits":{"deviceNodes":[{"path":"/dev/nvidia0","major":195}]}},{"name":"all","containerEdits":{"env":["A=b: c"]}}],"containerEdits":{"mounts":[]}}' \
		converted '---
cdiVersion: 0.5.0
kind: nvidia.com/gpu
devices:
- name: "0"
  containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
      major: 195
- name: all # a comment
  containerEdits:
    env:
    - "A=b: c"
containerEdits: {mounts: []}
'
}

@test "cdi-yaml: words, numbers and texts" {
	is '{"a":[null,null,true,false,"yes",0,-7,384,493,255,1.5,-2e3,"1_0","08",".5","12abc"]}' \
		converted 'a: [~, null, true, False, yes, 0, -7, 0600, 0o755, 0xff, 1.5, -2e3, 1_0, 08, .5, 12abc]'
	is '["0","null","a\u0009\"\\b","\u0000ä",123456789012345678901234567890,"1"]' \
		converted '["0", '"'null'"', "a\\t\\"\\\\b", "\\0ä", 123456789012345678901234567890, !!str 1]'
	is '{"text":"one\u000atwo\u000a","1":"folded here"}' converted 'text: |\n  one\n  two\n1: folded\n  here\n'
}

@test "cdi-yaml: what it doesn't take is one line, with where it is" {
	fails 1 "line 2: an alias" converted 'a: &x [1]\nb: *x\n'
	fails 1 "line 1: a tag" converted 'a: !!binary aGFsbG8=\n'
	fails 1 "line 1: a name that is no text" converted '{[1]: 2}'
	fails 1 "line 2: a second document" converted 'a\n---\n---\nb\n'
	fails 1 "line 1: too deep" converted "$(printf '[%.0s' {1..33})"
	fails 1 "line 2: " converted 'a: b\n\tc: d\n'
	fails 1 "line 1: " converted '\xff'
	fails 1 "empty" converted ''
	fails 1 "larger than 1 MiB" "$build/tools/cdi-yaml" < <(head -c 1048577 /dev/zero | tr '\0' ' ')
	[[ $(wc -l <<<"$stderr") -eq 1 ]]
}

@test "a container gets what a file in YAML says; one that is broken is named" {
	local asked='.OCI.Annotations = {"cdi.k8s.io/x": "vendor.com/card=0"}'
	VM_MACHINE=q35 VM_IMAGE=$build/initramfs-full.cpio VM_APPEND=agent.cdi_timeout=1 vm_start
	export AGENT_ADDRESS AGENT_DIR
	agentctl --timeout 60s wait-ready
	agentctl CreateSandbox '{"sandbox_id": "sandbox"}'
	watch
	in_guest "mkdir $guest/run/cdi && cat >$guest/run/cdi/card.yaml <<-END
		kind: vendor.com/card
		devices:
		- name: 0
		  containerEdits: {deviceNodes: [{path: /dev/card0}]}
		END"
	fails 125 "there is no CDI device vendor.com/card=0" edited "$asked" -- true
	in_guest "sed -i 's/name: 0/name: \"0\"/; s/card0}/card0, hostPath: \/dev\/zero, fileMode: 0640}/' $guest/run/cdi/card.yaml"
	is "640 1:5" edited "$asked" -- stat -c '%a %t:%T' /dev/card0
	in_guest "echo ' - ]' >>$guest/run/cdi/card.yaml"
	fails 125 "run/cdi/card.yaml: /usr/bin/cdi-yaml: line " edited "$asked" -- true
	agent_stop
}
