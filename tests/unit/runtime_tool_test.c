// uses: runtime/tool.c runtime/session.c lib/ttrpc_server.c lib/message_text.c lib/utf8.c lib/ttrpc_client.c lib/ttrpc.c lib/loop.c lib/buffer.c
// uses: runtime/process_calls.c lib/arena.c lib/fd.c lib/error.c
/* Tools in a container, by nacre's own agent and by another one: both are played here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent_service.pb-c.h"
#include "guest_service.pb-c.h"
#include "lib/ttrpc_server.h"
#include "proxy/client.h"
#include "runtime/tool.h"

/* What the session needs of its machine: there is none here. */
int machine_explain_end(const struct machine *machine, struct error *error)
{
	(void)machine;
	return error_set(error, EIO, "no machine");
}

bool child_ended(const struct child *child, int milliseconds)
{
	(void)child;
	(void)milliseconds;
	return false;
}

static int agent_socket;

int proxy_connect_agent(const char *directory, struct error *error)
{
	(void)directory;
	(void)error;
	return agent_socket;
}

/* The agent: `say` is what a tool prints, in as many answers as it has lines. */
static struct {
	char asked[256]; /* "guest tar -c /x" or "plain ..." */
	const char *say;
	bool missing;
	int status;
	unsigned killed;
} agent;

static void note_arguments(const char *kind, char *const *arguments, size_t count)
{
	size_t length = (size_t)snprintf(agent.asked, sizeof(agent.asked), "%s", kind);

	for (size_t i = 0; i < count; i++)
		length += (size_t)snprintf(agent.asked + length, sizeof(agent.asked) - length, " %s", arguments[i]);
}

static void answer(struct ttrpc_call *call, const char *missing)
{
	if (agent.missing)
		ttrpc_call_fail(call, TTRPC_NOT_FOUND, "%s", missing);
	else
		ttrpc_call_reply(call, NULL);
}

static void exec_tool(struct ttrpc_call *call)
{
	const Nacre__ExecToolRequest *request = (const void *)call->request;
	char kind[64];

	snprintf(kind, sizeof(kind), "guest %s", request->tool);
	note_arguments(kind, request->arguments, request->n_arguments);
	answer(call, "the guest image has no tar");
}

static void exec_process(struct ttrpc_call *call)
{
	const Grpc__ExecProcessRequest *request = (const void *)call->request;

	note_arguments("plain", request->process->args, request->process->n_args);
	answer(call, "exec: \"tar\": executable file not found in $PATH");
}

static void read_stdout(struct ttrpc_call *call)
{
	Grpc__ReadStreamResponse response = GRPC__READ_STREAM_RESPONSE__INIT;

	response.data.data = (uint8_t *)agent.say;
	response.data.len = strcspn(agent.say, "\n");
	response.data.len += agent.say[response.data.len] == '\n';
	agent.say += response.data.len;
	ttrpc_call_reply(call, &response.base);
}

static void wait_process(struct ttrpc_call *call)
{
	Grpc__WaitProcessResponse response = GRPC__WAIT_PROCESS_RESPONSE__INIT;

	response.status = agent.status;
	ttrpc_call_reply(call, &response.base);
}

static void signal_process(struct ttrpc_call *call)
{
	agent.killed++;
	ttrpc_call_reply(call, NULL);
}

static const struct ttrpc_method agent_methods[] = {
	{"ExecProcess", exec_process}, {"ReadStdout", read_stdout}, {"WaitProcess", wait_process},
	{"SignalProcess", signal_process}, {0},
};
static const struct ttrpc_method guest_methods[] = {{"ExecTool", exec_tool}, {0}};
static const struct ttrpc_service agent_service = {.descriptor = &grpc__agent_service__descriptor, .methods = agent_methods};
static const struct ttrpc_service guest_service = {.descriptor = &nacre__guest__descriptor, .methods = guest_methods};
static const struct ttrpc_service *const ours[] = {&agent_service, &guest_service, NULL};
static const struct ttrpc_service *const anothers[] = {&agent_service, NULL};

struct fixture {
	struct loop loop;
	struct ttrpc_server server;
	struct session session;
	struct tools tools;
	bool cancelled;
	unsigned notes;
	struct error error;
};

static void count_note(void *data, const char *line)
{
	(void)line;
	((struct fixture *)data)->notes++;
}

static void open_fixture(struct fixture *fixture, const struct ttrpc_service *const *services)
{
	int ends[2];

	*fixture = (struct fixture){0};
	memset(&agent, 0, sizeof(agent));
	agent.say = "";
	assert_int_equal(loop_init(&fixture->loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	agent_socket = ends[0];
	ttrpc_server_init(&fixture->server, &fixture->loop, services, fixture);
	assert_int_equal(ttrpc_server_serve(&fixture->server, ends[1]), 0);
	assert_int_equal(session_open(&fixture->session, &fixture->loop, "", NULL, &fixture->cancelled, &fixture->error), 0);
	tools_open(&fixture->tools, &fixture->session, "box");
	fixture->tools.note = count_note;
	fixture->tools.data = fixture;
}

static void close_fixture(struct fixture *fixture)
{
	session_close(&fixture->session);
	ttrpc_server_destroy(&fixture->server);
	loop_destroy(&fixture->loop);
}

static const uint32_t no_ports[3];
static const char *const arguments[] = {"-c", "/x", NULL};

static void our_agent_executes_the_guests(void **state)
{
	struct fixture fixture;

	(void)state;
	open_fixture(&fixture, ours);
	agent.status = 3;
	assert_int_equal(tools_start(&fixture.tools, "tar", arguments, no_ports, &fixture.error), 0);
	assert_string_equal(agent.asked, "guest tar -c /x");
	assert_int_equal(tools_wait(&fixture.tools, &fixture.error), 3);
	agent.missing = true;
	assert_int_equal(tools_start(&fixture.tools, "tar", arguments, no_ports, &fixture.error), -ENOENT);
	assert_string_equal(fixture.error.text, "the guest image has no tar");
	assert_int_equal(fixture.notes, 0);
	close_fixture(&fixture);
}

static void another_agent_executes_the_containers(void **state)
{
	struct fixture fixture;

	(void)state;
	open_fixture(&fixture, anothers);
	assert_int_equal(tools_start(&fixture.tools, "tar", arguments, no_ports, &fixture.error), 0);
	assert_string_equal(agent.asked, "plain tar -c /x");
	/* It is asked once, and told once. */
	assert_int_equal(tools_start(&fixture.tools, "tar", arguments, no_ports, &fixture.error), 0);
	assert_int_equal(fixture.notes, 1);
	agent.missing = true;
	assert_int_equal(tools_start(&fixture.tools, "tar", arguments, no_ports, &fixture.error), -ENOENT);
	assert_string_equal(fixture.error.text, "the container has no tar");
	close_fixture(&fixture);
}

static void output_is_read_to_its_end(void **state)
{
	struct fixture fixture;
	char text[16];

	(void)state;
	open_fixture(&fixture, ours);
	agent.say = "one\ntwo\nthree";
	assert_int_equal(tools_read(&fixture.tools, "cat", arguments, text, sizeof(text), &fixture.error), 0);
	assert_string_equal(text, "one\ntwo\nthree");
	close_fixture(&fixture);
}

static void too_much_output_is_an_error(void **state)
{
	struct fixture fixture;
	char text[8];

	(void)state;
	open_fixture(&fixture, ours);
	agent.say = "one\ntwo\nthree";
	assert_int_equal(tools_read(&fixture.tools, "cat", arguments, text, sizeof(text), &fixture.error), -EFBIG);
	while (agent.killed == 0)
		loop_step(&fixture.loop);
	close_fixture(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_agent_executes_the_guests),
		cmocka_unit_test(another_agent_executes_the_containers),
		cmocka_unit_test(output_is_read_to_its_end),
		cmocka_unit_test(too_much_output_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
