#!/usr/bin/env bats
# `nacre console`: a shell in a container's VM.

load containers

setup_file()
{
	own_directory
	start open --debug-console -- sleep 1000
	start closed -- sleep 1000
}

teardown_file() { remove_all; }

@test "what is typed is done in the VM, outside of the container" {
	run -0 timeout 60 nacre console open <<<'echo pid $$ of $(cat /proc/1/comm); ls -d /run/kata-containers'
	[[ $output =~ "of nacre-init"$'\r'?$'\n'"/run/kata-containers" ]]
	run -0 timeout 60 nacre console --dir "$NACRE_RUNTIME_DIR/open" <<<'echo $((6 * 7))'
	[[ $output == *$'\n42\r'* ]]
}

@test "a terminal: raw, left by keys, and ended by the shell" {
	"$BATS_TEST_DIRNAME/console_terminal.py" open
}

@test "all of a long output arrives" {
	timeout 60 nacre console open <<<'seq 100000' >"$BATS_TEST_TMPDIR/out"
	[[ $(grep -cxE $'[0-9]+\r' "$BATS_TEST_TMPDIR/out") -eq 100000 ]]
}

@test "a guest without one" {
	fails 1 "--debug-console" nacre console closed
	fails 1 "port 1099" nacre console --port 1099 open
}

@test "usage" {
	fails 125 "--port" nacre console --port 0 open
	fails 125 "--detach-keys" nacre console --detach-keys ctrl- open
	fails 125 "missing" nacre console
	fails 125 "too many" nacre console --dir "$NACRE_RUNTIME_DIR/open" open
	fails 1 "there is no container" nacre console absent
}
