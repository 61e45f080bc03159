# What the tests of nacre's commands share: a folder of their own for run directories, and a look at what is there.

bats_require_minimum_version 1.5.0

# own_directory: for setup_file. What other tests run isn't seen, and they don't see us.
own_directory()
{
	export TOP ROOT
	TOP=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	ROOT=$TOP/build/rootfs-busybox
	export PATH=$TOP/build:$PATH NACRE_RUNTIME_DIR=$BATS_FILE_TMPDIR/run
}

# remove_all: for teardown_file.
remove_all()
{
	local names

	mapfile -t names < <(nacre ps -aq)
	((${#names[@]} == 0)) || nacre rm -f "${names[@]}"
}

# start NAME [OPTION...] -- COMMAND...: in the background.
start()
{
	local name=$1 options=()

	shift
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	nacre run -d --name "$name" "${options[@]}" "$ROOT" "$@" >/dev/null
}

# says NAME TEXT: waits until the container has written it.
says()
{
	timeout 60 grep -q -m 1 -- "$2" <(nacre logs -f "$1" 2>&1)
}

# is TEXT COMMAND...: this is what it prints, and it succeeds.
is()
{
	local expected=$1

	shift
	run "$@"
	if [[ $status -ne 0 || $output != "$expected" ]]; then
		echo "$* ended with $status and printed: $output (wanted: $expected)"
		return 1
	fi
}

# fails STATUS TEXT COMMAND...: ends with this status and says TEXT, in one line.
fails()
{
	local expected=$1 text=$2

	shift 2
	run -"$expected" --separate-stderr "$@"
	if [[ $stderr != "nacre: "*"$text"* || $stderr == *$'\n'* ]]; then
		echo "$* ended with $status and said: $stderr (wanted: $expected, $text)"
		return 1
	fi
}

# state NAME
state() { nacre inspect "$1" | jq -r '.[0].state'; }

# pid_of NAME monitor|proxy|vmm
pid_of() { nacre inspect "$1" | jq -r ".[0].pids.$2"; }

# gone PID...: waits until these processes have ended.
gone()
{
	local pid

	for pid; do
		timeout 20 tail --pid="$pid" -f /dev/null
	done
}

# attach_unread NAME: attaches somebody who takes nothing, whose pid is $attached, and waits until that holds up the
# container, which writes all the time.
attach_unread()
{
	mkfifo "$BATS_TEST_TMPDIR/unread"
	exec 9<>"$BATS_TEST_TMPDIR/unread"
	nacre attach "$1" >"$BATS_TEST_TMPDIR/unread" 3>&- 9>&- &
	attached=$!
	# Attached it is when the first of its bytes is there; held up, when nothing more is written.
	read -r -n 1 -t 60 -u 9
	while timeout 2 nacre logs -f --tail 0 "$1" | grep -q -m 1 .; do :; done
}
