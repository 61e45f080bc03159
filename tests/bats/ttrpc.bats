#!/usr/bin/env bats
# Frames, right and wrong ones: what a client sees of the protocol below the calls. None of it ends the agent, and only
# what can't be followed any more ends the connection.

load helpers

setup_file() { agent_start --no-sandbox; }
teardown_file() { agent_stop; }

frames() { agentctl raw; }

@test "a request and its answer carry the same stream id" {
	is "7 type 2 OK 0801" frames <<<$'request 7 grpc.Health Check\nread'
}

@test "an unknown service is INVALID_ARGUMENT, an unknown method UNIMPLEMENTED" {
	run frames <<<$'request 1 grpc.Nothing Check\nread\nrequest 3 grpc.Health Nothing\nread'
	[[ ${lines[0]} == "1 type 2 INVALID_ARGUMENT: grpc.Nothing service does not exist" ]]
	[[ ${lines[1]} == "3 type 2 UNIMPLEMENTED: Nothing method" ]]
}

@test "an even stream id is INVALID_ARGUMENT" {
	run frames <<<$'request 2 grpc.Health Check\nread'
	[[ ${lines[0]} == "2 type 2 INVALID_ARGUMENT: stream id must be odd" ]]
}

@test "a frame of more than 4 MiB is refused, and the connection lives on" {
	run frames <<<$'frame 1 1 0 *4194305\nread\nrequest 3 grpc.Health Check\nread'
	[[ ${lines[0]} == "1 type 2 INVALID_ARGUMENT:"* ]]
	[[ ${lines[1]} == "3 type 2 OK 0801" ]]
}

@test "a frame that is no protobuf is INVALID_ARGUMENT, and the connection lives on" {
	run frames <<<$'frame 1 1 0 ffffffffff\nread\nrequest 3 grpc.Health Check\nread'
	[[ ${lines[0]} == "1 type 2 INVALID_ARGUMENT:"* ]]
	[[ ${lines[1]} == "3 type 2 OK 0801" ]]
}

@test "a payload that is no protobuf is UNKNOWN" {
	run frames <<<$'request 1 grpc.AgentService CreateContainer ffffffff\nread'
	[[ ${lines[0]} == "1 type 2 UNKNOWN:"* ]]
}

@test "data on a stream that isn't open is INVALID_ARGUMENT, another type is passed over" {
	run frames <<<$'frame 1 3 0 00\nread\nframe 3 9 0 00\nrequest 5 grpc.Health Check\nread'
	[[ ${lines[0]} == "1 type 2 INVALID_ARGUMENT: Stream is no longer active" ]]
	[[ ${lines[1]} == "5 type 2 OK 0801" ]]
}

@test "a frame that is cut off ends its connection and nothing else" {
	is "closed" frames <<<$'header 100 1 1 0\nbytes 0a0b\nshut\nread'
	is "closed" frames <<<$'bytes 0000\nshut\nread'
	is '{"status":"SERVING"}' agentctl Health.Check
}

@test "random bytes end no agent" {
	local before
	before=$(agentctl Health.Version)
	for _ in {1..50}; do
		agentctl raw >/dev/null <<<"bytes $(head -c 300 /dev/urandom | od -An -v -tx1 | tr -d ' \n')"$'\nshut\nread' || true
	done
	is "$before" agentctl Health.Version
	! grep -q "started again" "$AGENT_DIR"/*.log
}

@test "a call's own deadline is kept" {
	agentctl CreateSandbox '{"sandbox_id": "s"}'
	resident
	local payload
	payload=$(printf '\x0a\x03%s' "$id" | od -An -v -tx1 | tr -d ' \n')
	is "1 type 2 DEADLINE_EXCEEDED: timeout" frames \
		<<<"request 1 grpc.AgentService WaitProcess $payload 200000000"$'\nread'
	remove
}

@test "calls over one connection don't wait for each other" {
	resident
	run agentctl script <<-END
		&slow WaitProcess {"container_id": "$id"}
		quick Health.Check {}
		stop SignalProcess {"container_id": "$id", "signal": 9}
		wait slow
	END
	[[ ${lines[0]} == 'quick {"status":"SERVING"}' ]]
	[[ $output == *'slow {"status":137}'* ]]
	remove
}
