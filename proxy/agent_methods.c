/* A part of grpc.AgentService. */
#include "proxy/agent_methods.h"

#include "agent.pb-c.h"
#include "google/protobuf/empty.pb-c.h"
#include "lib/cleanup.h"

#define EMPTY &google__protobuf__empty__descriptor

/* By name, as they are searched for. */
static const ProtobufCMethodDescriptor methods[] = {
	{"CloseStdin", &grpc__close_stdin_request__descriptor, EMPTY},
	{"ReadStderr", &grpc__read_stream_request__descriptor, &grpc__read_stream_response__descriptor},
	{"ReadStdout", &grpc__read_stream_request__descriptor, &grpc__read_stream_response__descriptor},
	{"SignalProcess", &grpc__signal_process_request__descriptor, EMPTY},
	{"TtyWinResize", &grpc__tty_win_resize_request__descriptor, EMPTY},
	{"WaitProcess", &grpc__wait_process_request__descriptor, &grpc__wait_process_response__descriptor},
	{"WriteStdin", &grpc__write_stream_request__descriptor, &grpc__write_stream_response__descriptor},
};

static const unsigned in_order[] = {0, 1, 2, 3, 4, 5, 6};

const ProtobufCServiceDescriptor agent_methods = {
	.magic = PROTOBUF_C__SERVICE_DESCRIPTOR_MAGIC,
	.name = "grpc.AgentService",
	.short_name = "AgentService",
	.c_name = "Grpc__AgentService",
	.package = "grpc",
	.n_methods = array_size(methods),
	.methods = methods,
	.method_indices_by_name = in_order,
};
