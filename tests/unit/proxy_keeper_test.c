// uses: proxy/*.c lib/*.c
/* Keeper and worker: a worker that dies at any moment is followed by another one, and neither the guest nor the VMM sees more
 * of it than connections that are reset.
 */
#include "tests/unit/proxy_fake_guest.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "proxy/client.h"
#include "proxy/keeper.h"
#include "proxy/unix_socket.h"

#define LOG_SUBSYSTEM "test"
#include "lib/log.h"

#define PATH_SIZE 512

static char directory[64];

static int make_directory(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/nacre-keeper-test-XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	(void)state;
	/* The proxy has left nothing. */
	return rmdir(directory);
}

static const char *in_directory(char path[PATH_SIZE], const char *name)
{
	snprintf(path, PATH_SIZE, "%s/%s", directory, name);
	return path;
}

/* ---- A death at each instruction ------------------------------------------------------------------------------- */

#define CHAINS 3

/* What a worker does with a chain, in memory which outlives it. */
struct scene {
	struct test_descriptor descriptors[RING_SIZE];
	uint16_t available[3 + RING_SIZE];
	uint16_t used[3 + RING_SIZE * 4] __attribute__((aligned(4)));
	uint16_t record;
};

static struct virtqueue queue_of(struct scene *scene)
{
	return (struct virtqueue){
		.descriptors = (void *)scene->descriptors,
		.available = (void *)scene->available,
		.used = (void *)scene->used,
		.size = RING_SIZE,
		.position = scene->record,
		.seen = scene->record,
		.signalled = scene->record,
		.fresh = true,
		.record = &scene->record,
	};
}

static void use_all(struct virtqueue *queue)
{
	while (queue->position < CHAINS)
		virtqueue_use(queue, (uint16_t)(10 + queue->position), 100u + queue->position);
}

static void expect_all_used(const struct scene *scene)
{
	assert_int_equal(scene->used[1], CHAINS);
	for (uint16_t i = 0; i < CHAINS; i++) {
		uint32_t element[2];

		memcpy(element, &scene->used[2 + i * 4], sizeof(element));
		assert_int_equal(element[0], 10 + i);
		assert_int_equal(element[1], 100 + i);
	}
}

/* What a worker finds that follows at this point. */
static void follow(const struct scene *left)
{
	static struct scene scene;
	struct virtqueue queue;

	scene = *left;
	/* What the guest has been told of isn't done again. */
	assert_in_range(scene.record, scene.used[1], scene.used[1] + 1);
	queue = queue_of(&scene);
	virtqueue_resume(&queue);
	assert_int_equal(scene.used[1], scene.record);
	assert_true(virtqueue_signal(&queue));
	use_all(&queue);
	expect_all_used(&scene);
}

/* The memory is looked at behind each instruction: whatever it is killed after, that is what it leaves. */
static void a_chain_is_used_once_wherever_the_worker_dies(void **state)
{
	struct scene *scene = mmap(NULL, sizeof(*scene), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int between = 0, told[CHAINS + 1] = {0};
	int status;
	pid_t pid;

	(void)state;
	assert_ptr_not_equal(scene, MAP_FAILED);
	scene->available[1] = CHAINS;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct virtqueue queue = queue_of(scene);

		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		use_all(&queue);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	while (WIFSTOPPED(status)) {
		follow(scene);
		told[scene->used[1]]++;
		between += scene->record != scene->used[1];
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
	}
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	for (size_t i = 0; i <= CHAINS; i++)
		assert_true(told[i] > 0);
	assert_true(between > 0);
	munmap(scene, sizeof(*scene));
}

/* ---- The process --------------------------------------------------------------------------------------------- */

static pid_t keeper_start(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		static struct keeper keeper;
		struct options options = OPTIONS;
		char path[PATH_SIZE];
		int status;

		options.directory = directory;
		options.carrier.type = CARRIER_VHOST_USER;
		options.carrier.path = strdup(in_directory(path, "vhost.sock"));
		options.carrier.guest_cid = GUEST_CID;
		options.restart_delay = LOOP_MILLISECOND;
		alarm(200);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		status = keeper_open(&keeper, &options, NULL) < 0 ? 200 : keeper_run(&keeper);
		keeper_close(&keeper);
		options_free(&options);
		_exit(status);
	}
	return pid;
}

static int status_of(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* The worker's pid, as soon as it is another one than `former`. */
static pid_t worker_after(pid_t former)
{
	char text[32], path[PATH_SIZE];

	for (int i = 0; i < 20000; i++) {
		pid_t pid = fd_read_file(AT_FDCWD, in_directory(path, "worker.pid"), text, sizeof(text), NULL) > 0
				    ? (pid_t)atol(text)
				    : 0;

		if (pid != 0 && pid != former)
			return pid;
		usleep(1000);
	}
	fail_msg("no worker");
	return 0;
}

static int vmm_connect(void)
{
	char path[PATH_SIZE];

	for (int i = 0; i < 20000; i++) {
		int fd = unix_connect(in_directory(path, "vhost.sock"), NULL);

		if (fd >= 0)
			return fd;
		usleep(1000);
	}
	fail_msg("no keeper");
	return -1;
}

/* ---- Deaths while packets flow ----------------------------------------------------------------------------------- */

/* A connection with numbers in both directions. */
struct flow {
	int client;
	uint32_t host_port;
	bool asked, reset;
	uint32_t to_client, to_guest;		 /* sent */
	uint32_t client_has, guest_has;		 /* numbers, in order */
	uint8_t client_part[4], guest_part[4];	 /* of the next one */
	size_t client_cut, guest_cut;
	uint32_t credit;			 /* the guest's, in bytes */
};

static void take_numbers(const uint8_t *data, size_t length, uint8_t part[4], size_t *cut, uint32_t *has)
{
	for (size_t i = 0; i < length; i++) {
		uint32_t number;

		part[(*cut)++] = data[i];
		if (*cut < 4)
			continue;
		*cut = 0;
		memcpy(&number, part, 4);
		assert_int_equal(number, *has);
		(*has)++;
	}
}

/* Every chain is given back once, in the order in which it was made available. */
static uint16_t rx_checked, tx_checked;

static void check_used(const struct test_ring *ring, uint16_t *checked)
{
	uint16_t index = used_index(ring);

	assert_true((uint16_t)(index - *checked) <= RING_SIZE);
	assert_true((uint16_t)(ring->available[1] - index) <= RING_SIZE);
	for (; *checked != index; (*checked)++) {
		uint32_t head;

		memcpy(&head, &ring->used[2 + (*checked % RING_SIZE) * 4], sizeof(head));
		assert_int_equal(head, ring->available[2 + *checked % RING_SIZE]);
	}
}

static void guest_takes(struct fake_guest *guest, struct flow *flow)
{
	struct test_packet packet;

	check_used(&guest->tx, &tx_checked);
	for (;;) {
		const struct vsock_header *header = &packet.header;

		check_used(&guest->rx, &rx_checked);
		if (!guest_poll(guest, &packet, true))
			break;

		if (header->operation == VSOCK_REQUEST) {
			assert_false(flow->asked);
			flow->asked = true;
			flow->host_port = header->source_port;
			guest->forwarded = 0;
			guest_send(guest, VSOCK_RESPONSE, 1024, flow->host_port, "", 0);
			continue;
		}
		/* A reset may come twice: once from the ledger, once for what was sent after the death. */
		if (header->operation == VSOCK_RST) {
			if (header->source_port == flow->host_port)
				flow->reset = true;
			continue;
		}
		assert_int_equal(header->source_port, flow->host_port);
		assert_false(flow->reset);
		if (header->operation == VSOCK_RW) {
			take_numbers(packet.data, header->length, flow->guest_part, &flow->guest_cut, &flow->guest_has);
			guest->forwarded += header->length;
		}
		flow->credit = header->buffer + header->forwarded;
	}
}

static void both_send(struct fake_guest *guest, struct flow *flow)
{
	uint32_t numbers[250];

	for (uint32_t i = 0; i < array_size(numbers); i++)
		numbers[i] = flow->to_guest + i;
	/* Whole numbers, or nothing. */
	if (send(flow->client, numbers, 4, MSG_DONTWAIT | MSG_NOSIGNAL) == 4)
		flow->to_guest++;
	if (!flow->asked || flow->reset || flow->credit < (flow->to_client + array_size(numbers)) * 4 ||
	    (uint16_t)(guest->tx.available[1] - used_index(&guest->tx)) >= GUEST_SLOTS)
		return;
	for (uint32_t i = 0; i < array_size(numbers); i++)
		numbers[i] = flow->to_client + i;
	guest_send(guest, VSOCK_RW, 1024, flow->host_port, numbers, sizeof(numbers));
	flow->to_client += array_size(numbers);
}

/* False at the end. */
static bool client_takes(struct flow *flow)
{
	uint8_t data[4096];
	ssize_t length = recv(flow->client, data, sizeof(data), MSG_DONTWAIT);

	if (length < 0)
		return errno == EAGAIN;
	take_numbers(data, (size_t)length, flow->client_part, &flow->client_cut, &flow->client_has);
	return length > 0;
}

static void one_turn(struct fake_guest *guest, struct flow *flow)
{
	both_send(guest, flow);
	guest_takes(guest, flow);
	client_takes(flow);
}

static struct flow flow_open(struct fake_guest *guest)
{
	char path[PATH_SIZE], answer[32];
	struct flow flow = {.client = unix_connect(in_directory(path, "vsock.sock"), NULL)};
	ssize_t length = 0;

	assert_true(flow.client >= 0);
	assert_int_equal(send(flow.client, "CONNECT 1024\n", 13, MSG_NOSIGNAL), 13);
	assert_int_equal(fd_set_blocking(flow.client, false), 0);
	for (int i = 0; i < STEPS && !flow.asked; i++) {
		guest_takes(guest, &flow);
		step_waiting(guest);
	}
	assert_true(flow.asked);
	while (length == 0 || answer[length - 1] != '\n')
		length += client_read(guest, flow.client, answer + length, 1);
	assert_memory_equal(answer, "OK ", 3);
	flow.credit = VSOCK_BUFFER;
	return flow;
}

/* The driver comes up, and the device takes a packet: clients are served from now on. */
static void begin(struct fake_guest *guest)
{
	rx_checked = tx_checked = 0;
	guest_start(guest);
	guest_send(guest, VSOCK_RST, 1, 1, "", 0);
	for (int i = 0; i < STEPS && used_index(&guest->tx) != guest->tx.available[1]; i++)
		step_waiting(guest);
	assert_int_equal(used_index(&guest->tx), guest->tx.available[1]);
}

/* Until the numbers that were asked for have arrived, on both sides. */
static void flow_until(struct fake_guest *guest, struct flow *flow, uint32_t numbers)
{
	for (int i = 0; i < STEPS && (flow->client_has < numbers || flow->guest_has < numbers); i++) {
		one_turn(guest, flow);
		if (i % 16 == 0)
			step_waiting(guest);
	}
	assert_true(flow->client_has >= numbers && flow->guest_has >= numbers);
}

static void expect_position(struct fake_guest *guest, uint32_t index, const struct test_ring *ring)
{
	uint32_t position = vmm_stop_ring(guest, index);

	assert_int_equal(position, used_index(ring));
}

#define KILLS 100

static void a_worker_is_killed_again_and_again(void **state)
{
	pid_t keeper = keeper_start(), worker = 0;
	struct fake_guest *guest = guest_new_remote(VIRTIO_EVENT_IDX, LAYOUT_SPLIT, vmm_connect());
	uint64_t carried = 0;

	(void)state;
	begin(guest);
	for (unsigned int i = 0; i <= KILLS; i++) {
		struct flow flow;
		uint8_t byte;

		worker = worker_after(worker);
		/* It waits in the backlog, where there is no worker yet. */
		flow = flow_open(guest);
		flow_until(guest, &flow, 20);
		if (i == KILLS) {
			close(flow.client);
			break;
		}
		for (unsigned int turn = 0; turn < (i * 37) % 101; turn++)
			one_turn(guest, &flow);
		assert_int_equal(kill(worker, SIGKILL), 0);
		/* The guest doesn't notice, and goes on. */
		for (int turn = 0; turn < 5; turn++)
			both_send(guest, &flow);
		for (int turn = 0; turn < STEPS && client_takes(&flow); turn++)
			step_waiting(guest);
		for (int turn = 0; turn < STEPS && !flow.reset; turn++) {
			guest_takes(guest, &flow);
			step_waiting(guest);
		}
		/* Both ends are told, and have what was sent up to some place. */
		assert_true(flow.reset);
		assert_true(recv(flow.client, &byte, 1, MSG_DONTWAIT) <= 0);
		assert_true(flow.client_has <= flow.to_client);
		assert_true(flow.guest_has <= flow.to_guest);
		carried += flow.client_has + flow.guest_has;
		close(flow.client);
	}
	print_message("%d workers, %llu numbers\n", KILLS + 1, (unsigned long long)carried);
	/* The VMM stops the device, with positions that are right. */
	expect_position(guest, 1, &guest->tx);
	expect_position(guest, 0, &guest->rx);
	close(guest->socket);
	guest->socket = -1;
	assert_int_equal(status_of(keeper), 0);
	guest_free(guest);
}

#define IDLE 300 /* more than resets that wait in an engine */

/* Connections on which nothing is said are reset as well: none of them hangs. So are those whose reset the worker before had
 * no room to send. */
static void connections_that_wait_are_reset(void **state)
{
	pid_t keeper = keeper_start(), worker = worker_after(0);
	struct fake_guest *guest = guest_new_remote(VIRTIO_EVENT_IDX, LAYOUT_SPLIT, vmm_connect());
	static struct flow flows[IDLE];
	bool reset[IDLE] = {false};
	struct test_packet packet;
	size_t left = IDLE;

	(void)state;
	begin(guest);
	for (size_t i = 0; i < IDLE; i++)
		flows[i] = flow_open(guest);
	kill(worker, SIGKILL);
	/* The next one dies in the middle of it. */
	worker = worker_after(worker);
	for (int i = 0; i < STEPS && left > 0; i++) {
		while (left > 0 && guest_poll(guest, &packet, true)) {
			size_t which = 0;

			check_used(&guest->rx, &rx_checked);
			assert_int_equal(packet.header.operation, VSOCK_RST);
			while (which < IDLE && flows[which].host_port != packet.header.source_port)
				which++;
			assert_true(which < IDLE);
			left -= !reset[which];
			reset[which] = true;
			if (left == IDLE / 2)
				kill(worker, SIGKILL);
		}
		step_waiting(guest);
	}
	assert_int_equal(left, 0);
	for (size_t i = 0; i < IDLE; i++) {
		assert_int_equal(client_read(guest, flows[i].client, &packet, 1), 0);
		close(flows[i].client);
	}
	/* Ports aren't used again at once. */
	flows[0] = flow_open(guest);
	assert_int_equal(flows[0].host_port, flows[IDLE - 1].host_port + 1);
	close(flows[0].client);
	kill(keeper, SIGTERM);
	assert_int_equal(status_of(keeper), 0);
	guest_free(guest);
}

/* The guest has broken a connection, and had no room for the answer before the worker died. */
static void a_reset_that_found_no_room_is_sent(void **state)
{
	static const char much[GUEST_SLOTS * 4096];
	pid_t keeper = keeper_start(), worker = worker_after(0);
	struct fake_guest *guest = guest_new_remote(VIRTIO_EVENT_IDX, LAYOUT_SPLIT, vmm_connect());
	struct test_packet packet;
	struct flow flow;
	bool reset = false;

	(void)state;
	begin(guest);
	flow = flow_open(guest);
	for (size_t sent = 0; sent < sizeof(much);) {
		ssize_t count = send(flow.client, much + sent, sizeof(much) - sent, MSG_NOSIGNAL);

		sent += count > 0 ? (size_t)count : 0;
		step_waiting(guest);
	}
	for (int i = 0; i < STEPS && (uint16_t)(used_index(&guest->rx) - guest->rx.seen) < GUEST_SLOTS; i++)
		step_waiting(guest);
	guest_send(guest, VSOCK_REQUEST, 1024, flow.host_port, "", 0);
	for (int i = 0; i < STEPS && used_index(&guest->tx) != guest->tx.available[1]; i++)
		step_waiting(guest);
	kill(worker, SIGKILL);
	worker_after(worker);
	for (int i = 0; i < STEPS && !reset; i++) {
		while (!reset && guest_poll(guest, &packet, true))
			reset = packet.header.operation == VSOCK_RST && packet.header.source_port == flow.host_port;
		step_waiting(guest);
	}
	assert_true(reset);
	close(flow.client);
	kill(keeper, SIGTERM);
	assert_int_equal(status_of(keeper), 0);
	guest_free(guest);
}

/* Nobody is there when the VMM stops the device: the positions are known. */
static void the_positions_outlive_the_worker(void **state)
{
	pid_t keeper = keeper_start(), worker = worker_after(0);
	struct fake_guest *guest = guest_new_remote(VIRTIO_INDIRECT_DESC, LAYOUT_INDIRECT, vmm_connect());
	struct flow flow;

	(void)state;
	begin(guest);
	flow = flow_open(guest);
	flow_until(guest, &flow, 100);
	for (int i = 0; i < STEPS && used_index(&guest->tx) != guest->tx.available[1]; i++)
		step_waiting(guest);
	/* One that is stopped can't answer: the keeper ends it. */
	kill(worker, SIGSTOP);
	expect_position(guest, 1, &guest->tx);
	expect_position(guest, 0, &guest->rx);
	worker_after(worker);
	close(flow.client);
	/* The VMM goes on with it. */
	vmm_set_ring(guest, 0, &guest->rx);
	vmm_set_ring(guest, 1, &guest->tx);
	kill(keeper, SIGTERM);
	assert_int_equal(status_of(keeper), 0);
	guest_free(guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_is_used_once_wherever_the_worker_dies),
		cmocka_unit_test(a_worker_is_killed_again_and_again),
		cmocka_unit_test(connections_that_wait_are_reset),
		cmocka_unit_test(a_reset_that_found_no_room_is_sent),
		cmocka_unit_test(the_positions_outlive_the_worker),
	};

	alarm(200);
	log_open(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_TEXT, LOG_ERROR, "test");
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
