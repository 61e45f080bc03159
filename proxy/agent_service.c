/* The calls to an agent that sessions make. */
#include "proxy/agent_service.h"

#include "agent.pb-c.h"
#include "google/protobuf/empty.pb-c.h"
#include "lib/cleanup.h"

/* By name. */
static const ProtobufCMethodDescriptor methods[] = {
	{"CloseStdin", &grpc__close_stdin_request__descriptor, &google__protobuf__empty__descriptor},
	{"ReadStderr", &grpc__read_stream_request__descriptor, &grpc__read_stream_response__descriptor},
	{"ReadStdout", &grpc__read_stream_request__descriptor, &grpc__read_stream_response__descriptor},
	{"SignalProcess", &grpc__signal_process_request__descriptor, &google__protobuf__empty__descriptor},
	{"TtyWinResize", &grpc__tty_win_resize_request__descriptor, &google__protobuf__empty__descriptor},
	{"WaitProcess", &grpc__wait_process_request__descriptor, &grpc__wait_process_response__descriptor},
	{"WriteStdin", &grpc__write_stream_request__descriptor, &grpc__write_stream_response__descriptor},
};

static const unsigned int by_name[array_size(methods)] = {0, 1, 2, 3, 4, 5, 6};

const ProtobufCServiceDescriptor agent_service = {
	.magic = PROTOBUF_C__SERVICE_DESCRIPTOR_MAGIC,
	.name = "grpc.AgentService",
	.n_methods = array_size(methods),
	.methods = methods,
	.method_indices_by_name = by_name,
};
