// uses: proxy/*.c lib/*.c
/* proxy.sock: when the agent is ready, and what the connections' counters say. */
#include "tests/unit/proxy_fake_guest.h"

#include "lib/ttrpc_client.h"
#include "proxy_service.pb-c.h"
#include "proxy/service.h"
#include "proxy/session.h"

static struct service service;
static struct sessions sessions;
static struct ring_store store;
static struct ttrpc_client *client;

struct answer {
	unsigned int count;
	enum ttrpc_code code;
};

static void answered(void *data, const struct ttrpc_result *result)
{
	struct answer *answer = data;

	answer->count++;
	answer->code = result->code;
}

static void ready(struct streams *streams)
{
	(void)streams;
	service_set_ready(&service);
}

static struct fake_guest *start(void)
{
	struct fake_guest *guest = guest_new(VIRTIO_EVENT_IDX, LAYOUT_SPLIT);
	int pair[2];

	guest->streams.agent_opened = ready;
	sessions_init(&sessions, &guest->loop, &guest->streams, &store);
	service_init(&service, &guest->loop, &guest->streams, &sessions);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	service_serve(&service, pair[1]);
	client = ttrpc_client_new(&guest->loop, pair[0]);
	assert_non_null(client);
	return guest;
}

static void end(struct fake_guest *guest)
{
	ttrpc_client_free(client);
	service_close(&service);
	sessions_destroy(&sessions);
	guest_free(guest);
}

static void wait_ready(struct answer *answer)
{
	Nacre__WaitReadyRequest request = NACRE__WAIT_READY_REQUEST__INIT;

	*answer = (struct answer){0};
	assert_int_equal(
		ttrpc_client_call(client, &nacre__proxy__descriptor, "WaitReady", &request.base, 0, answered, answer), 0);
}

static Nacre__ListConnectionsResponse *list_connections(void)
{
	Nacre__ListConnectionsRequest request = NACRE__LIST_CONNECTIONS_REQUEST__INIT;
	ProtobufCMessage *response = NULL;

	assert_int_equal(ttrpc_client_invoke(client, &nacre__proxy__descriptor, "ListConnections", &request.base, 0,
					     &response, NULL, NULL),
			 0);
	return (Nacre__ListConnectionsResponse *)response;
}

static void ready_is_when_the_agent_accepts(void **state)
{
	struct fake_guest *guest = start();
	struct test_packet packet;
	struct answer first, second;

	(void)state;
	wait_ready(&first);
	wait_ready(&second);
	steps(guest, 5);
	guest_start(guest);
	packet = guest_expect(guest, VSOCK_REQUEST);
	assert_int_equal(packet.header.destination_port, 1024);
	/* The driver is up, but nobody listens: not ready. */
	guest_send(guest, VSOCK_RST, 1024, packet.header.source_port, "", 0);
	packet = guest_expect(guest, VSOCK_REQUEST);
	assert_int_equal(first.count, 0);
	guest_send(guest, VSOCK_RESPONSE, 1024, packet.header.source_port, "", 0);
	steps(guest, 5);
	assert_int_equal(first.count, 1);
	assert_int_equal(first.code, TTRPC_OK);
	assert_int_equal(second.count, 1);
	/* The connection that found it out goes away. */
	guest_expect(guest, VSOCK_SHUTDOWN);
	guest_send(guest, VSOCK_RST, 1024, packet.header.source_port, "", 0);
	steps(guest, 5);
	assert_int_equal(guest->streams.from_host, 0);
	/* From now on it is known. */
	wait_ready(&first);
	steps(guest, 5);
	assert_int_equal(first.count, 1);
	guest_silent(guest);
	end(guest);
}

static void a_client_may_go_while_it_waits(void **state)
{
	struct fake_guest *guest = start();
	struct test_packet packet;
	struct answer answer;

	(void)state;
	wait_ready(&answer);
	steps(guest, 5);
	assert_false(list_empty(&service.waiting));
	ttrpc_client_free(client);
	client = NULL;
	steps(guest, 5);
	assert_true(list_empty(&service.waiting));
	guest_start(guest);
	packet = guest_expect(guest, VSOCK_REQUEST);
	guest_send(guest, VSOCK_RESPONSE, 1024, packet.header.source_port, "", 0);
	guest_expect(guest, VSOCK_SHUTDOWN);
	assert_true(service.ready);
	service_close(&service);
	sessions_destroy(&sessions);
	guest_free(guest);
}

static void the_end_of_the_vm_is_told(void **state)
{
	struct fake_guest *guest = start();
	struct answer answer;

	(void)state;
	wait_ready(&answer);
	steps(guest, 5);
	service_close(&service);
	steps(guest, 5);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.code, TTRPC_UNAVAILABLE);
	end(guest);
}

static void connections_have_counters(void **state)
{
	struct fake_guest *guest = start();
	Nacre__ListConnectionsResponse *list;
	int waiting = client_new(guest, STREAM_PORT), fd;
	char big[3000] = "";
	uint32_t port;

	(void)state;
	guest_start(guest);
	fd = client_connected(guest, &port);
	assert_int_equal(write(fd, big, sizeof(big)), sizeof(big));
	assert_int_equal(guest_expect(guest, VSOCK_RW).header.length, sizeof(big));
	guest_send(guest, VSOCK_RW, 1024, port, "pong", 4);
	client_expect(guest, fd, "pong");
	list = list_connections();
	assert_int_equal(list->n_connections, 2);
	assert_int_equal(list->connections[0]->origin, NACRE__CONNECTION__ORIGIN__PORT);
	assert_int_equal(list->connections[0]->state, NACRE__CONNECTION__STATE__WAITING);
	assert_int_equal(list->connections[1]->origin, NACRE__CONNECTION__ORIGIN__AGENT);
	assert_int_equal(list->connections[1]->state, NACRE__CONNECTION__STATE__OPEN);
	assert_int_equal(list->connections[1]->host_port, port);
	assert_int_equal(list->connections[1]->guest_port, 1024);
	assert_int_equal(list->connections[1]->to_guest, sizeof(big));
	assert_int_equal(list->connections[1]->from_guest, 4);
	assert_int_equal(list->connections[1]->credit, GUEST_BUFFER - sizeof(big));
	assert_int_equal(list->connections[1]->backlog, 0);
	assert_int_equal(list->connections[1]->stalls, 0);
	nacre__list_connections_response__free_unpacked(list, NULL);
	close(waiting);
	close(fd);
	end(guest);
}

static void a_stall_is_counted(void **state)
{
	struct fake_guest *guest = start();
	Nacre__ListConnectionsResponse *list;
	uint32_t port;
	int fd;

	(void)state;
	guest->buffer = 100;
	guest_start(guest);
	fd = client_connected(guest, &port);
	assert_int_equal(write(fd, (char[200]){0}, 200), 200);
	assert_int_equal(guest_expect(guest, VSOCK_RW).header.length, 100);
	guest_expect(guest, VSOCK_CREDIT_REQUEST);
	list = list_connections();
	assert_int_equal(list->connections[0]->to_guest, 100);
	assert_int_equal(list->connections[0]->credit, 0);
	assert_int_equal(list->connections[0]->stalls, 1);
	nacre__list_connections_response__free_unpacked(list, NULL);
	close(fd);
	end(guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ready_is_when_the_agent_accepts),
		cmocka_unit_test(a_client_may_go_while_it_waits),
		cmocka_unit_test(the_end_of_the_vm_is_told),
		cmocka_unit_test(connections_have_counters),
		cmocka_unit_test(a_stall_is_counted),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
