#!/usr/bin/env bats
# `nacre run --publish [IP:]HOSTPORT:PORT[/tcp|udp]` and `--network`.

load containers

setup_file() { own_directory; }

setup()
{
	name=publish-$BATS_TEST_NUMBER-$$
}

teardown()
{
	if [[ ${pid:-} ]] && jobs -pr | grep -qx "$pid"; then
		kill "$pid"
		wait "$pid" || true
	fi
}

run_nacre()
{
	nacre run --rm --name "$name" "$@"
}

# A port of 127.0.0.1 that is free now.
free_port()
{
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# ask PORT [udp]: what the port answers to "question"; asks again until somebody does, half a minute.
ask()
{
	python3 - "$@" <<-'EOF'
		import socket, sys, time
		kind = socket.SOCK_DGRAM if sys.argv[2:] == ["udp"] else socket.SOCK_STREAM
		end = time.monotonic() + 30
		while time.monotonic() < end:
		    try:
		        with socket.socket(socket.AF_INET, kind) as connection:
		            connection.settimeout(2)
		            connection.connect(("127.0.0.1", int(sys.argv[1])))
		            connection.sendall(b"question\n")
		            answer = connection.recv(1000).decode()
		            if answer:
		                print(answer, end="")
		                sys.exit(0)
		    except OSError:
		        pass
		    time.sleep(0.1)
		sys.exit(1)
	EOF
}

@test "without --network and --publish the container has lo alone" {
	run -0 run_nacre "$ROOT" -- ls /sys/class/net
	[[ $output == lo ]]
}

@test "a published TCP port answers, on the address that was named" {
	local port
	port=$(free_port)
	nacre run --rm --name "$name" -p "127.0.0.1:$port:80" "$ROOT" -- \
		sh -c 'while true; do echo answer | nc -l -p 80 >/dev/null; done' 3>&- &
	pid=$!
	[[ $(ask "$port") == answer ]]
	[[ $(ss -Hltn "sport = :$port" 2>/dev/null || echo "127.0.0.1:$port") == *"127.0.0.1:$port"* ]]
}

@test "a published UDP port answers; it needs --network user" {
	run -125 --separate-stderr run_nacre -p 8053:53/udp "$ROOT" -- true
	[[ $stderr == *"a UDP port needs --network user"* ]]
	local port
	port=$(free_port)
	nacre run --rm --name "$name" --network user -p "127.0.0.1:$port:53/udp" "$ROOT" -- \
		sh -c 'udpsvd 0 53 echo answer' 3>&- &
	pid=$!
	[[ $(ask "$port" udp) == answer ]]
}

@test "a container with published ports reaches nothing; with --network user it does" {
	local port
	port=$(free_port)
	# A server of this machine, which the guest sees as its gateway.
	python3 - "$port" >"$BATS_TEST_TMPDIR/server" 2>&1 3>&- <<-'EOF' &
		import socket, sys
		server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
		server.settimeout(120)
		while True:
		    connection, _ = server.accept()
		    connection.sendall(b"reached\n")
		    connection.close()
	EOF
	pid=$!
	run -0 run_nacre -p "127.0.0.1:$(free_port):80" "$ROOT" -- sh -c "nc -w 3 10.0.2.2 $port; echo done"
	[[ $output == done ]]
	run -0 run_nacre --network user "$ROOT" -- sh -c "nc -w 10 10.0.2.2 $port; ip route | grep ^default; cat /etc/resolv.conf"
	[[ $output == *reached* && $output == *"default via 10.0.2.2 dev eth0"* && $output == *"nameserver 10.0.2.3"* ]]
}

@test "the container has lo and one interface, with its address" {
	run -0 run_nacre --network user "$ROOT" -- sh -c 'ls /sys/class/net; ip -o -4 addr show dev eth0; cat /sys/class/net/eth0/mtu'
	[[ $output == *eth0*lo*"inet 10.0.2.15/24"*1500* ]]
}

@test "--read-only and a volume over resolv.conf don't stand in the way" {
	run -0 run_nacre --network user --read-only "$ROOT" -- cat /etc/resolv.conf
	[[ $output == "nameserver 10.0.2.3" ]]
}

@test "a port that is taken, and words that mean nothing, are said in one line" {
	local port
	port=$(free_port)
	python3 -c 'import socket, sys, time; s = socket.create_server(("127.0.0.1", int(sys.argv[1]))); print("up", flush=True); time.sleep(60)' \
		"$port" >"$BATS_TEST_TMPDIR/up" 3>&- &
	pid=$!
	for ((i = 0; i < 100; i++)); do
		[[ -s $BATS_TEST_TMPDIR/up ]] && break
		sleep 0.1
	done
	run -125 --separate-stderr run_nacre -p "127.0.0.1:$port:80" "$ROOT" -- true
	[[ $stderr == "nacre: "*"Could not set up host forwarding rule"*"$port"* && $stderr != *$'\n'* ]]
	[[ ! -e $NACRE_RUNTIME_DIR/$name ]]
	for publish in 80 80:0 x:80 80:80/sctp localhost:80:80 '[::1]:80:80'; do
		run -125 --separate-stderr run_nacre -p "$publish" "$ROOT" -- true
		[[ $stderr == "nacre: --publish: "* && $stderr != *$'\n'* ]]
	done
	run -125 --separate-stderr run_nacre --network none -p 8080:80 "$ROOT" -- true
	[[ $stderr == *"--publish needs a network"* ]]
	run -125 --separate-stderr run_nacre --network bridge "$ROOT" -- true
	[[ $stderr == *"'bridge' is not none or published or user"* ]]
}

@test "--env-file: docker's format; --env is put over it" {
	cat >"$BATS_TEST_TMPDIR/env" <<-'EOF'
		# a comment
		PLAIN=1

		QUOTED="as it is"
		PASSED_ON
		NOT_SET_HERE
		OVER=file
	EOF
	PASSED_ON=host run -0 run_nacre --env-file "$BATS_TEST_TMPDIR/env" -e OVER=line "$ROOT" -- \
		sh -c 'echo "$PLAIN|$QUOTED|$PASSED_ON|${NOT_SET_HERE-none}|$OVER"'
	[[ $output == '1|"as it is"|host|none|line' ]]
	echo "A B=1" >"$BATS_TEST_TMPDIR/env"
	run -125 --separate-stderr run_nacre --env-file "$BATS_TEST_TMPDIR/env" "$ROOT" -- true
	[[ $stderr == *"line 1: the name 'A B' has a blank in it" ]]
}
