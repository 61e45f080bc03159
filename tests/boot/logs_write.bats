#!/usr/bin/env bats
# `nacre logs --write`: a container's log in a file, as others read it.

load containers

setup_file()
{
	own_directory
	# It writes its next line when it is told to.
	start told -i -- sh -c 'echo up; echo err >&2; while read -r line; do echo "$line"; done; printf end'
	says told up
}
teardown_file() { remove_all; }

setup() { cd "$BATS_TEST_TMPDIR"; }

teardown()
{
	[[ -z ${writer:-} ]] || kill "$writer" 2>/dev/null || true
}

# follow OPTION...: in the background, as $writer.
follow()
{
	# A limit for the log is not to be one for this.
	nacre logs --write log "$@" told 2> >(cat >err) 3>&- &
	writer=$!
}

# say TEXT: has the container write it.
say() { nacre exec told sh -c "echo '$1' >/proc/1/fd/1"; }

# decode: what is on stdout of the entries that come in.
decode()
{
	awk '$2 == "stdout" {end = $3 == "F" ? "\n" : ""; sub(/^[^ ]* [^ ]* [^ ]* /, ""); printf "%s%s", $0, end}'
}

# has FILE TEXT: waits until it is there, which may be before there is a file.
has()
{
	local until=$((SECONDS + 60))

	until grep -qE -- "$2" "$1" 2>/dev/null; do
		((SECONDS < until)) || { cat "$1" err; return 1; }
		sleep 0.1
	done
}

# comes FILE: waits until there is one.
comes()
{
	local until=$((SECONDS + 60))

	until [[ -e $1 ]]; do
		((SECONDS < until)) || return 1
		sleep 0.1
	done
}

TIME='20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-9:]{8}\.[0-9]{9}Z'

@test "the format of the Container Runtime Interface, as it is written" {
	follow
	has log "^$TIME stdout F up\$"
	has log "^$TIME stderr F err\$"
	say later
	has log "^$TIME stdout F later\$"
	[[ $(stat -c %a log) == 640 && $(wc -l <log) -eq 3 ]]
}

@test "JSON lines, as docker's" {
	follow --format json --tail 1
	say 'a "quoted" \\ text'
	has log quoted
	jq -es '.[-1] | .log == "a \"quoted\" \\\\ text\n" and .stream == "stdout" and (.time | test("^20.*Z$"))' log
}

@test "moved by somebody else: SIGUSR1 and SIGHUP open it again" {
	follow
	has log 'stdout F up'
	mv log old
	say second
	has old second
	kill -USR1 "$writer"
	comes log
	say third
	has log third
	run ! grep third old
	mv log older
	kill -HUP "$writer"
	comes log
	say fourth
	has log fourth
	run ! grep fourth older
}

@test "files are cut over at their size, and so many are kept" {
	nacre exec told sh -c 'seq -w 100000 100999 >/proc/1/fd/1'
	say last
	# 100 entries of 45 bytes to a file.
	follow --tail 1001 --max-size 4500 --max-files 4
	has log last
	[[ $(echo log*) == "log log.1 log.2 log.3" ]]
	# None is missing in between, and none is too large.
	cat log.3 log.2 log.1 log | decode >seen
	cmp seen <(nacre logs told 2>/dev/null | tail -c "$(stat -c %s seen)")
	(($(wc -l <seen) > 250))
	for file in log log.1 log.2 log.3; do
		(($(stat -c %s "$file") <= 4500))
	done
}

@test "no room: told, and the container doesn't notice" {
	follow
	has log 'stdout F up'
	prlimit --pid "$writer" --fsize=10:
	say much too long for it
	has err 'write log'
	prlimit --pid "$writer" --fsize=unlimited:
	say again
	has log again
	run ! grep -E 'much|too' log
	[[ $(nacre logs -n 1 told) == again ]]
}

@test "it ends with the container, and with all that this has written" {
	follow
	has log "stdout F up"
	nacre kill told
	local status=0
	wait "$writer" || status=$?
	writer=
	[[ $status -eq 0 && ! -s err ]]
	nacre logs told >want 2>/dev/null
	decode <log | cmp - want
}

@test "of one that has ended; usage" {
	nacre wait told
	nacre logs --write log told
	grep -qE ' stdout F up$' log
	fails 125 "--format" nacre logs --write log --format xml told
	fails 125 "--max-size" nacre logs --write log --max-size many told
	fails 125 "--max-files" nacre logs --write log --max-files 0 told
	fails 125 "--write" nacre logs --max-size 1M told
	fails 1 "no/such/folder" nacre logs --write no/such/folder/log told
	fails 125 "no regular file" nacre logs --write /dev/null told
	fails 1 "there is no container" nacre logs --write log absent
}
