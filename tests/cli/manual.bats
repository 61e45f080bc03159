#!/usr/bin/env bats
# The manual pages: well-formed, and in step with what the programs say themselves.

setup()
{
	top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	build=$top/build
}

@test "mandoc and man have nothing to say about them" {
	local page
	for page in "$top"/docs/*.[18]; do
		mandoc -Tlint -W warning "$page"
		[[ -z $(man --warnings -l "$page" 2>&1 >/dev/null) ]]
	done
}

@test "each option of a command is in nacre(1), and the other way round" {
	local command count=0
	while read -r command; do
		"$BATS_TEST_DIRNAME/check_manual.py" "$top/docs/nacre.1" "$build/nacre" "$command"
		count=$((count + 1))
	done < <("$build/nacre" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p')
	((count >= 10))
}

@test "each option of nacre-proxy and nacre-agent is in their pages" {
	"$BATS_TEST_DIRNAME/check_manual.py" "$top/docs/nacre-proxy.8" "$build/nacre-proxy"
	"$BATS_TEST_DIRNAME/check_manual.py" "$top/docs/nacre-agent.8" "$build/nacre-agent"
}

@test "each kernel parameter that the agent knows is in nacre-agent(8)" {
	local parameter count=0
	while read -r parameter; do
		grep -q "$parameter" "$top/docs/nacre-agent.8" || {
			echo "$parameter is not in nacre-agent.8"
			return 1
		}
		count=$((count + 1))
	done < <(sed -nE 's/^\t\{"((agent|nacre|systemd)\.[a-z_]+)", .*/\1/p' "$top"/agent/config.c "$top"/init/*.c)
	((count >= 10))
}
