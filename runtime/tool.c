/* Tools, by ExecTool or ExecProcess. */
#include "runtime/tool.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent_service.pb-c.h"
#include "guest_service.pb-c.h"
#include "lib/cleanup.h"
#include "runtime/process_calls.h"
#include "runtime/text_list.h"

#define ARGUMENTS_MOST 16
#define CHUNK 65536u

void tools_open(struct tools *tools, struct session *session, const char *container)
{
	*tools = (struct tools){.session = session, .container = container};
}

static int start_guest_tool(struct tools *tools, const char *name, const char *const *arguments,
			    const uint32_t ports[3], struct error *error)
{
	Nacre__ExecToolRequest request = NACRE__EXEC_TOOL_REQUEST__INIT;

	request.container_id = (char *)tools->container;
	request.exec_id = tools->id;
	request.tool = (char *)name;
	request.arguments = (char **)arguments;
	request.n_arguments = text_list_count(arguments);
	request.stdin_port = ports[0];
	request.stdout_port = ports[1];
	request.stderr_port = ports[2];
	return session_call_service(tools->session, &nacre__guest__descriptor, "ExecTool", &request.base,
				    SESSION_CALL_TIMEOUT, error);
}

static int start_plain(struct tools *tools, const char *name, const char *const *arguments, const uint32_t ports[3],
		       struct error *error)
{
	Grpc__ExecProcessRequest request = GRPC__EXEC_PROCESS_REQUEST__INIT;
	Grpc__Process process = GRPC__PROCESS__INIT;
	Grpc__User user = GRPC__USER__INIT;
	char *list[ARGUMENTS_MOST + 1] = {(char *)name};
	char *environment[] = {(char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
	size_t count = text_list_count(arguments);

	if (count >= ARGUMENTS_MOST)
		return error_set(error, E2BIG, "%s: too many arguments", name);
	memcpy(list + 1, arguments, count * sizeof(*list));
	process.args = list;
	process.n_args = count + 1;
	process.env = environment;
	process.n_env = array_size(environment);
	process.cwd = (char *)"/";
	process.user = &user;
	request.container_id = (char *)tools->container;
	request.exec_id = tools->id;
	request.process = &process;
	request.stdin_port = ports[0];
	request.stdout_port = ports[1];
	request.stderr_port = ports[2];
	return session_call(tools->session, "ExecProcess", &request.base, SESSION_CALL_TIMEOUT, error);
}

int tools_start(struct tools *tools, const char *name, const char *const *arguments, const uint32_t ports[3],
		struct error *error)
{
	int status = -EREMOTEIO;

	snprintf(tools->id, sizeof(tools->id), "tool-%d-%u", (int)getpid(), tools->count++);
	if (!tools->plain) {
		status = start_guest_tool(tools, name, arguments, ports, error);
		if (status != -EREMOTEIO)
			return status;
		tools->plain = tools->session->code == TTRPC_UNIMPLEMENTED ||
			       tools->session->code == TTRPC_INVALID_ARGUMENT;
		if (tools->plain && tools->note)
			tools->note(tools->data, "the agent has no tools of its own: the container's are used");
	}
	if (tools->plain)
		status = start_plain(tools, name, arguments, ports, error);
	if (status != -EREMOTEIO || tools->session->code != TTRPC_NOT_FOUND)
		return status;
	if (tools->plain)
		return error_set(error, ENOENT, "the container has no %s", name);
	error->number = ENOENT;
	return -ENOENT;
}

/* A call whose answer matters. NULL, and `error` says why. */
static ProtobufCMessage *invoke(struct tools *tools, const char *method, const ProtobufCMessage *request,
				struct error *error)
{
	ProtobufCMessage *response = NULL;
	enum ttrpc_code code;

	if (ttrpc_client_invoke(tools->session->client, &grpc__agent_service__descriptor, method, request, 0, &response,
				&code, error) < 0)
		return NULL;
	return response;
}

int tools_wait(struct tools *tools, struct error *error)
{
	Grpc__WaitProcessRequest request = GRPC__WAIT_PROCESS_REQUEST__INIT;
	ProtobufCMessage *response;
	int status;

	request.container_id = (char *)tools->container;
	request.exec_id = tools->id;
	response = invoke(tools, "WaitProcess", &request.base, error);
	if (!response)
		return -error->number;
	status = ((const Grpc__WaitProcessResponse *)(const void *)response)->status & 0xff;
	protobuf_c_message_free_unpacked(response, NULL);
	return status;
}

/* Reads on into `text`: the count, 0 at the end, or -errno. */
static ssize_t read_on(struct tools *tools, char *text, size_t size, struct error *error)
{
	Grpc__ReadStreamRequest request = GRPC__READ_STREAM_REQUEST__INIT;
	ProtobufCMessage *response;
	const ProtobufCBinaryData *data;
	ssize_t count;

	request.container_id = (char *)tools->container;
	request.exec_id = tools->id;
	request.len = CHUNK;
	response = invoke(tools, "ReadStdout", &request.base, error);
	/* The end of a stream is an empty answer to us, and an error to who asks another agent. */
	if (!response)
		return error->number == EREMOTEIO ? 0 : -error->number;
	data = &((const Grpc__ReadStreamResponse *)(const void *)response)->data;
	count = data->len <= size ? (ssize_t)data->len : error_set(error, EFBIG, "the answer is too long");
	if (count > 0)
		memcpy(text, data->data, data->len);
	protobuf_c_message_free_unpacked(response, NULL);
	return count;
}

int tools_read(struct tools *tools, const char *name, const char *const *arguments, char *text, size_t size,
	       struct error *error)
{
	static const uint32_t by_calls[3] = {0};
	size_t length = 0;
	ssize_t count;
	int status = tools_start(tools, name, arguments, by_calls, error);

	*text = '\0';
	if (status < 0)
		return status;
	while ((count = read_on(tools, text + length, size - 1 - length, error)) > 0)
		length += (size_t)count;
	text[length] = '\0';
	if (count < 0) {
		process_signal(&(struct process_id){tools->session, tools->container, tools->id}, SIGKILL, NULL, NULL);
		return (int)count;
	}
	return tools_wait(tools, error);
}
