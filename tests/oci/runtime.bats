#!/usr/bin/env bats
# OCI runtime.md: the state, and the operations create, start, kill, delete; also run, exec and what the other commands show.

load helpers

setup_file() { place_start; }
teardown_file() { place_stop; }

@test "the life of a container: created, running, stopped, gone" {
	bundle '.process.args = ["sh", "-c", "echo ran; sleep 1000000"] | .annotations = {"com.example.key": "a \"b\""}'
	box create --bundle "$bundle" --pid-file "$bundle/pid" "$id"
	box state "$id" >"$BATS_TEST_TMPDIR/state"
	is "[\"1.2.0\",\"$id\",\"created\",\"$bundle\",{\"com.example.key\":\"a \\\"b\\\"\"}]" \
		jq -c '[.ociVersion, .id, .status, .bundle, .annotations]' "$BATS_TEST_TMPDIR/state"
	is "$(jq .pid "$BATS_TEST_TMPDIR/state")" in_place "cat $bundle/pid"
	# Nothing of the bundle's program has run, and the process is there.
	is sleep in_place "kill -0 \$(cat $bundle/pid) && nacre-box --root $oci/state start $id >$bundle/output &&
		until grep -q sleep /proc/\$(cat $bundle/pid)/task/*/children /proc/\$(cat $bundle/pid)/cmdline; do :; done; echo sleep"
	is running status_of "$id"
	box kill "$id" KILL
	until_status "$id" stopped
	is 0 jq .pid <<<"$(box state "$id")"
	box delete "$id"
	fails 1 "container $id does not exist" box state "$id"
	is "" left
}

@test "an id is unique, and has a shape; a bundle must be there" {
	bundle
	box create --bundle "$bundle" "$id"
	fails 1 "container $id exists already" box create --bundle "$bundle" "$id"
	is created status_of "$id"
	fails 1 "'../x' is no container id" box create --bundle "$bundle" ../x
	fails 1 "an argument is missing" box create --bundle "$bundle"
	fails 1 "No such file or directory" box create --bundle "$bundle/none" other
	fails 1 "config.json: No such file" box create --bundle /proc other
	fails 1 "container other does not exist" box start other
	box delete --force "$id"
	is "" left
}

@test "config.json is looked at once: a change after create has no effect" {
	bundle '.process.args = ["echo", "first"]'
	in_place "nacre-box --root $oci/state create --bundle $bundle $id >$bundle/output; sed -i s/first/second/ $bundle/config.json"
	box start "$id"
	until_status "$id" stopped
	box delete "$id"
	is first in_place "cat $bundle/output"
}

@test "a cgroup that another container is in stays its own" {
	bundle
	box run --detach --bundle "$bundle" "$id"
	fails 125 "is in use" box run --bundle "$bundle" other
	is running status_of "$id"
	box delete --force "$id"
	is "" left
}

@test "what can't be done in a state is refused, and changes nothing" {
	bundle
	box create --bundle "$bundle" "$id"
	fails 1 "is created" box delete "$id"
	box start "$id"
	fails 1 "can't be started: it is running" box start "$id"
	fails 1 "is running" box delete "$id"
	is running status_of "$id"
	fails 1 "'NOPE' is no signal" box kill "$id" NOPE
	is running status_of "$id"
	box kill "$id" SIGKILL
	until_status "$id" stopped
	fails 1 "is not running" box kill "$id" KILL
	fails 1 "has stopped" box start "$id"
	is stopped status_of "$id"
	box delete "$id"
	fails 1 "does not exist" box delete "$id"
	fails 1 "does not exist" box kill "$id" KILL
	is "" left
}

@test "kill sends the signal that is asked for; TERM where none is" {
	local signal
	for signal in "" USR1 SIGHUP 12; do
		bundle '.process.args = ["sh", "-c", "trap \"exit 15\" TERM; trap \"exit 10\" USR1; trap \"exit 1\" HUP; trap \"exit 12\" USR2; echo up >/up; while :; do sleep 1 & wait; done"]
			| .mounts += [{destination: "/up", type: "bind", source: "up", options: ["bind"]}]'
		in_place "touch $bundle/up"
		box run --detach --bundle "$bundle" "$id"
		in_place "until grep -q up $bundle/up; do :; done"
		# shellcheck disable=SC2086
		box kill "$id" $signal
		until_status "$id" stopped
		in_place "cat $oci/state/$id/state.json" | jq .exitStatus
		box delete "$id"
	done >"$BATS_TEST_TMPDIR/statuses"
	is "15 10 1 12" xargs <"$BATS_TEST_TMPDIR/statuses"
}

@test "kill --all reaches the other processes, and a container that hasn't been started can be killed" {
	bundle
	box run --detach --bundle "$bundle" "$id"
	box exec --detach "$id" sleep 2000
	is 2 in_place "nacre-box --root $oci/state ps $id | wc -l"
	box kill --all "$id" KILL
	until_status "$id" stopped
	is "" box ps "$id"
	box delete "$id"
	bundle
	box create --bundle "$bundle" "$id"
	box kill "$id" KILL
	until_status "$id" stopped
	fails 1 "has stopped" box start "$id"
	box delete "$id"
	is "" left
}

@test "delete leaves alone what the container hasn't made" {
	bundle '.mounts += [{destination: "/data", type: "bind", source: "data", options: ["bind"]}]'
	in_place "mkdir $bundle/data && echo kept >$bundle/data/file"
	box run --detach --bundle "$bundle" "$id"
	box delete --force "$id"
	is "kept" in_place "cat $bundle/data/file && test -e $bundle/config.json && test -L $oci/root/bin/sh"
	is "" left
}

@test "what fails in create leaves nothing behind" {
	bundle '.process.args = ["nosuch"]'
	fails 1 'exec: "nosuch": executable file not found in $PATH' box create --bundle "$bundle" "$id"
	is "" left
	bundle '.mounts += [{destination: "/x", type: "nosuchfs", source: "none"}]'
	fails 1 "nosuchfs" box create --bundle "$bundle" "$id"
	is "" left
	bundle '.ociVersion = "2.0.0"'
	fails 1 'ociVersion "2.0.0"' box create --bundle "$bundle" "$id"
	bundle '.process.cwd = 7'
	fails 1 "config.json: process.cwd: no text" box create --bundle "$bundle" "$id"
	in_place "echo '{' >$bundle/config.json"
	fails 1 "config.json, line" box create --bundle "$bundle" "$id"
	is "" left
}

@test "run: the streams and the status are the container's, and it is deleted" {
	run --separate-stderr boxed . sh -c 'echo out; echo err >&2; exit 7'
	[[ $status -eq 7 && $output == out && $stderr == err ]]
	run -127 --separate-stderr boxed . nosuch
	[[ $stderr == *'exec: "nosuch": executable file not found'* ]]
	fails 126 'exec: "/etc/passwd": permission denied' boxed . /etc/passwd
	is "" left
}

@test "exec: in the container's namespaces and root, with user, directory, variables, and the status" {
	bundle
	box run --detach --bundle "$bundle" "$id"
	is box box exec "$id" hostname
	run box exec "$id" sh -c 'exit 5'
	[[ $status -eq 5 ]]
	is "12 5 /bin one" box exec --user 12:5 --cwd /bin --env A=one "$id" sh -c 'echo $(id -u) $(id -g) $(pwd) $A'
	in_place "echo '{\"user\": {\"uid\": 3, \"gid\": 4, \"additionalGids\": [77]}, \"args\": [\"sh\", \"-c\", \"echo \$X; id -G\"], \"env\": [\"X=y\", \"PATH=/bin:/usr/bin\"], \"cwd\": \"/\"}' >$bundle/process"
	is "y
4 77" box exec --process "$bundle/process" "$id"
	box exec --detach --pid-file "$bundle/second" "$id" sleep 3000
	is 0 in_place "kill -0 \$(cat $bundle/second); echo \$?"
	run -127 --separate-stderr box exec "$id" nosuch
	[[ $stderr == *"executable file not found"* ]]
	fails 1 "neither a command nor --process" box exec "$id"
	box pause "$id"
	is paused status_of "$id"
	fails 125 "is paused" box exec "$id" true
	box resume "$id"
	is running status_of "$id"
	box delete --force "$id"
	fails 125 "does not exist" box exec "$id" true
	is "" left
}

@test "a terminal goes to --console-socket, and has the size that the bundle says" {
	bundle '.process.terminal = true | .process.consoleSize = {height: 30, width: 100} | .process.args = ["sh", "-c", "tty; stty size; stat -c %F /dev/console"]'
	fails 1 "a terminal needs --console-socket" box create --bundle "$bundle" "$id"
	if [[ $place == vm ]]; then
		in_place "nacre-box --root $oci/state run --bundle $bundle $id" >"$BATS_TEST_TMPDIR/terminal"
	else
		"$BATS_TEST_DIRNAME/console.py" "$bundle/console" >"$BATS_TEST_TMPDIR/terminal" 3>&- &
		local reader=$!
		in_place "until [ -e $bundle/console ]; do :; done"
		box create --bundle "$bundle" --console-socket "$bundle/console" "$id"
		box start "$id"
		wait "$reader"
		box delete --force "$id"
	fi
	run tr -d '\r' <"$BATS_TEST_TMPDIR/terminal"
	echo "$output"
	[[ ${lines[0]} == /dev/pts/0 && ${lines[1]} == "30 100" && ${lines[2]} == "character special file" ]]
}

@test "list and features" {
	bundle
	box create --bundle "$bundle" "$id"
	is "[\"$id\",\"created\",true]" jq -c '.[] | [.id, .status, (.created | test("^[0-9-]{10}T.*Z$"))]' <<<"$(box list --format json)"
	is "$id" box list --quiet
	[[ $(box list) == *"$id"*created*"$bundle"* ]]
	is '["1.2.0","poststop"]' jq -c '[.ociVersionMax, .hooks[-1]]' <<<"$(box features)"
	box delete --force "$id"
	is '[]' box list --format json
}

@test "a monitor that is killed leaves a container that can be killed and deleted" {
	bundle
	box create --bundle "$bundle" --pid-file "$bundle/pid" "$id"
	box start "$id"
	in_place "kill -9 \$(sed -n 's/^PPid:\t//p' /proc/\$(cat $bundle/pid)/status)"
	is running status_of "$id"
	box kill "$id" KILL
	until_status "$id" stopped
	box delete "$id"
	is "" left
}
