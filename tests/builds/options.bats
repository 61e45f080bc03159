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
	scripts/measure-options --check KERNEL_EROFS KERNEL_OVERLAY KERNEL_BALLOON KERNEL_FULL_9P
}

@test "each option says what it costs" {
	run awk '/^config / { if (name && !told) print name; name = $2; told = 0 } / KiB of / { told = 1 }
		END { if (!told) print name }' Kconfig kernel-config/Kconfig
	[[ -z $output ]]
}
