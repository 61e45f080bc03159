#!/usr/bin/env bats
# `nacre top`: a picture on a terminal, which keys sort, and tables elsewhere.

load containers

setup_file()
{
	own_directory
	start busy -- sh -c 'while :; do :; done'
	start large -- sh -c 'dd if=/dev/zero of=/dev/shm/held bs=1M count=20 2>/dev/null; echo up; exec sleep 1000'
	says large up
}

teardown_file() { remove_all; }

@test "no terminal: a table each time, sorted" {
	run -0 nacre top --interval 1 -n 2 --sort cpu
	[[ ${#lines[@]} -eq 6 && ${lines[1]} == "busy "* && ${lines[2]} == "large "* && ${lines[3]} == "NAME "* ]]
	run -0 nacre top --interval 1 -n 1 --sort memory
	[[ ${#lines[@]} -eq 3 && ${lines[1]} == "large "* ]]
	run -0 nacre top --interval 1 -n 1 --dir "$NACRE_RUNTIME_DIR/large" large
	[[ ${#lines[@]} -eq 2 && ${lines[1]} =~ ^large\ +[0-9.]+%\  ]]
}

@test "a terminal: keys, sizes, and it comes back as it was" {
	"$BATS_TEST_DIRNAME/top_terminal.py" busy large
}

@test "a VM that doesn't answer costs its own line" {
	local vmm
	vmm=$(pid_of large vmm)
	kill -STOP "$vmm"
	run -0 timeout 60 nacre top --interval 1 -n 1
	kill -CONT "$vmm"
	[[ ${lines[1]} =~ ^busy\ +[0-9.]+%\  && ${lines[2]} =~ ^large\ +--\ +--\  ]]
}

@test "containers come and go" {
	mkfifo "$BATS_TEST_TMPDIR/tables"
	nacre top --interval 1 >"$BATS_TEST_TMPDIR/tables" 3>&- &
	local pid=$!
	exec 9<"$BATS_TEST_TMPDIR/tables"
	timeout 60 grep -q -m 1 '^large ' <&9
	start late --rm -- sleep 1000
	timeout 60 grep -q -m 1 '^late ' <&9
	nacre rm -f late || true
	# A whole table without it.
	local line table=late
	while [[ $line != NAME* || $table == *late* ]]; do
		[[ $line != NAME* ]] || table=
		read -r -t 60 line <&9
		[[ $line == NAME* ]] || table+=$line
	done
	kill $pid
	local status=0
	wait $pid || status=$?
	[[ $status -eq 143 ]]
}

@test "usage" {
	fails 125 "--sort" nacre top --sort size
	fails 125 "--interval" nacre top --interval x
	fails 125 "--dir" nacre top --dir "$NACRE_RUNTIME_DIR/large"
	fails 1 "there is no container" nacre top absent
}
