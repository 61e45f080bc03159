#!/usr/bin/env bats
# What the options of Kconfig do and cost.

bats_require_minimum_version 1.5.0

setup()
{
	cd "$BATS_TEST_DIRNAME/../.."
}

@test "the help texts' figures hold: options of agent and image" {
	scripts/measure-options --check SECCOMP IMAGE_BUSYBOX
}

@test "the help texts' figures hold: options of the kernels (the full run alone)" {
	[[ ${NACRE_TEST_FULL:-} ]] || skip "a kernel for each: make test-full"
	scripts/measure-options --check KERNEL_EROFS KERNEL_OVERLAY KERNEL_VETH
}

@test "each option says what it costs, as it was measured" {
	run awk 'function look() {
			if (text ~ /^ bool/ && text !~ /Costs [0-9,]+ KiB of [a-z]/) print name
		}
		/^config / { look(); name = $2; text = ""; next }
		{ sub(/^[ \t]+/, ""); text = text " " $0 }
		END { look() }' Kconfig kernel-config/Kconfig
	[[ -z $output ]]
}
