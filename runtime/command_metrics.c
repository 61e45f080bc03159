/* nacre metrics: what agent and proxy of a VM say about it, as one text for Prometheus. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent_service.pb-c.h"
#include "lib/cleanup.h"
#include "lib/ttrpc_client.h"
#include "proxy/client.h"
#include "proxy_service.pb-c.h"
#include "runtime/command.h"
#include "runtime/command_line.h"
#include "runtime/exit_status.h"
#include "runtime/metrics_proxy.h"
#include "runtime/metrics_text.h"
#include "runtime/target.h"
#include "runtime/timeline.h"

#define ANSWER_TIMEOUT (30 * LOOP_SECOND)

/* Calls a method that wants to be told nothing, on a connection of its own. The answer is the caller's; NULL, and `error`
 * says why. */
static ProtobufCMessage *ask(int fd, const ProtobufCServiceDescriptor *service, const char *method,
			     const ProtobufCMessage *request, enum ttrpc_code *code, struct error *error)
{
	ProtobufCMessage *response = NULL;
	struct ttrpc_client *client;
	struct loop loop;

	*code = TTRPC_UNAVAILABLE;
	if (fd < 0)
		return NULL;
	if (loop_init(&loop) < 0) {
		close(fd);
		error_errno(error, EMFILE, "event loop");
		return NULL;
	}
	client = ttrpc_client_new(&loop, fd);
	if (!client)
		error_errno(error, ENOMEM, "call %s", method);
	else
		ttrpc_client_invoke(client, service, method, request, ANSWER_TIMEOUT, &response, code, error);
	ttrpc_client_free(client);
	loop_destroy(&loop);
	return response;
}

static int show_proxy(const struct target *target, struct error *error)
{
	Nacre__ListConnectionsRequest request = NACRE__LIST_CONNECTIONS_REQUEST__INIT;
	Google__Protobuf__Empty nothing = GOOGLE__PROTOBUF__EMPTY__INIT;
	enum ttrpc_code code;
	ProtobufCMessage *connections, *sessions;

	connections = ask(proxy_connect_service(target->directory, error), &nacre__proxy__descriptor, "ListConnections",
			  &request.base, &code, error);
	if (!connections)
		return -error->number;
	metrics_of_connections(stdout, (const void *)connections);
	protobuf_c_message_free_unpacked(connections, NULL);
	sessions = ask(proxy_connect_service(target->directory, error), &nacre__proxy__descriptor, "ListSessions",
		       &nothing.base, &code, error);
	if (!sessions)
		return code == TTRPC_NOT_FOUND ? 0 : -error->number; /* the method isn't: an older proxy */
	metrics_of_sessions(stdout, (const void *)sessions);
	protobuf_c_message_free_unpacked(sessions, NULL);
	return 0;
}

static int show_agent(const struct target *target, struct error *error)
{
	Grpc__GetMetricsRequest request = GRPC__GET_METRICS_REQUEST__INIT;
	enum ttrpc_code code;
	ProtobufCMessage *response = ask(proxy_connect_agent(target->directory, error), &grpc__agent_service__descriptor,
					 "GetMetrics", &request.base, &code, error);
	size_t dropped;

	printf("# HELP nacre_agent_up Whether the guest's agent has answered.\n"
	       "# TYPE nacre_agent_up gauge\n"
	       "nacre_agent_up %d\n",
	       response != NULL);
	if (!response)
		return error_wrap(error, "the guest's metrics");
	dropped = metrics_text_pass(stdout, ((const Grpc__Metrics *)(const void *)response)->metrics);
	if (dropped > 0)
		timeline_say("%zu lines of the guest's metrics were left out: they aren't in Prometheus' format", dropped);
	protobuf_c_message_free_unpacked(response, NULL);
	return 0;
}

/* What there is, even where one of the two doesn't answer. */
static int show(const char *directory, const char *name)
{
	int (*const parts[])(const struct target *target, struct error *error) = {show_proxy, show_agent};
	struct target target;
	struct error error;
	int status = target_open_machine(&target, directory, name, &error);

	if (status < 0) {
		timeline_say("%s", error.text);
		status = status == -EINVAL ? EXIT_FAULT : COMMAND_FAILED;
	}
	for (size_t i = 0; i < array_size(parts) && target.directory; i++) {
		if (parts[i](&target, &error) == 0)
			continue;
		timeline_say("%s", error.text);
		status = COMMAND_FAILED;
	}
	target_close(&target);
	return status;
}

int command_metrics(int argc, const char *argv[])
{
	char *directory = NULL;
	const struct poptOption table[] = {TARGET_OPTION(&directory), COMMAND_HELP, POPT_TABLEEND};
	struct command_line line;

	if (command_line_read(&line, argc, argv, table, "[OPTION...] [NAME]", 0, 1))
		line.status = show(directory, line.arguments ? line.arguments[0] : NULL);
	free(directory);
	command_line_free(&line);
	return line.status;
}
