/* Everything that a runtime can ask of the agent: calls of all methods, in any order, through their decoders, checks and plans, and
 * the state that they make; and whatever comes of them. What would act is played: no job and no helper is ever made, but what they
 * would report comes, or doesn't, as the input has it.
 *
 * The input is a byte of options and a list of steps; tests/fuzz/steps.h says what they look like. In the end the sandbox is
 * destroyed, everything reports success, and nothing may be left of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent_service.pb-c.h"
#include "agent/agent.h"
#include "agent/container/helper.h"
#include "agent/container/kernel.h"
#include "agent/device_setup.h"
#include "agent/rpc.h"
#include "agent/sandbox_setup.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/mutate.h"
#include "tests/fuzz/steps.h"
#include "ttrpc.pb-c.h"

#define WORKERS_MAX 64
#define FIRST_PID (1 << 22) /* as large as no pid is */
#define ANSWER_SIZE 65536
#define LAST_STEPS 400

/* A job or a helper, as the agent believes. */
struct worker {
	int end; /* -1: free */
	bool launch, mute;
	bool direct; /* a helper that becomes the workload */
	pid_t pid, workload;
	unsigned reports; /* of a launch, so far */
	int stdio[3];
	int files[JOB_FDS_MAX]; /* what a job hands back where it succeeds */
	size_t file_count;
};

static struct worker workers[WORKERS_MAX];
static int helper_end;
static pid_t next_pid;

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_size, const uint8_t *second, size_t second_size,
				 uint8_t *out, size_t most, unsigned seed);

static struct worker *add_worker(int end, bool launch)
{
	for (size_t i = 0; i < WORKERS_MAX; i++) {
		if (workers[i].end >= 0)
			continue;
		workers[i] = (struct worker){.end = end, .launch = launch, .pid = next_pid++, .stdio = {-1, -1, -1}};
		return &workers[i];
	}
	close(end);
	return NULL;
}

static void end_worker(struct worker *worker)
{
	fd_close(&worker->end);
	for (int i = 0; i < 3; i++)
		fd_close(&worker->stdio[i]);
	while (worker->file_count > 0)
		fd_close(&worker->files[--worker->file_count]);
}

static void keep_file(struct worker *worker, const void *data, size_t size)
{
	char path[FUZZ_PATH_SIZE];

	worker->files[worker->file_count++] = fuzz_file(data, size, path);
}

/* Jobs that hand nothing back but their status. */
static bool is_mute(const char *what)
{
	static const char *const mute[] = {"mount storages", "share mounts", "change a container", "remove a container",
					   "undo the sandbox"};

	for (size_t i = 0; i < array_size(mute); i++)
		if (strcmp(mute[i], what) == 0)
			return true;
	return false;
}

/* In the place of fork(2), for job.c. */
static pid_t play_job(const char *what, int (*work)(const void *argument, struct job_result *result), const void *argument, int end)
{
	struct worker *worker = add_worker(fcntl(end, F_DUPFD_CLOEXEC, 0), false);

	if (!worker) {
		errno = EAGAIN;
		return -1;
	}
	worker->mute = is_mute(what);
	if (work == sandbox_setup_run) {
		keep_file(worker, "", 0);
		keep_file(worker, "", 0);
	} else if (work == device_setup_run) {
		const struct device_setup *setup = argument;

		keep_file(worker, setup->request, setup->size);
	}
	return worker->pid;
}

static int play_socketpair(int sockets[2])
{
	int status = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets);

	helper_end = status < 0 ? -1 : fcntl(sockets[1], F_DUPFD_CLOEXEC, 0);
	return status;
}

/* In the place of clone(2), for launch.c. */
static pid_t play_helper(const struct launch_options *options, unsigned long flags, int *pidfd)
{
	struct worker *worker = add_worker(helper_end, true);

	if (!worker) {
		errno = EAGAIN;
		return -1;
	}
	worker->direct = flags & CLONE_NEWPID;
	for (int i = 0; i < 3; i++) {
		if (options->stdio[i] < 0)
			continue;
		worker->stdio[i] = fcntl(options->stdio[i], F_DUPFD_CLOEXEC, 0);
		fd_set_blocking(worker->stdio[i], false);
	}
	*pidfd = eventfd(0, EFD_CLOEXEC);
	return worker->pid;
}

#define fork() play_job(what, work, argument, ends[1])
#include "agent/job.c"
#undef fork

#define socketpair(domain, type, protocol, sockets) play_socketpair(sockets)
#define kernel_clone(flags, pidfd) play_helper(options, flags, pidfd)
#include "agent/container/launch.c"
#undef socketpair
#undef kernel_clone

/* Nobody else makes a process. */
pid_t fork(void)
{
	promise(!"fork");
	return -1;
}

/* The watcher of mounts does. */
int watcher_add(struct watcher *watcher, struct loop *loop, const char *container, Grpc__Storage **storages, size_t count)
{
	(void)watcher, (void)loop, (void)container, (void)storages, (void)count;
	return 0;
}

void watcher_remove(struct watcher *watcher, const char *container)
{
	(void)watcher, (void)container;
}

/* The agent ----------------------------------------------------------------------------------------------------- */

static struct agent agent;
static int client = -1;	    /* our end of the connection */
static uint32_t next_stream;

static void child_exited(struct supervisor *supervisor, pid_t pid, int status)
{
	(void)supervisor;
	sandbox_process_exited(&agent.sandbox, pid, status);
}

static void nothing_arrived(struct stream_ports *ports)
{
	(void)ports;
	sandbox_stream_arrived(&agent.sandbox);
}

static void connect_client(void)
{
	int ends[2];

	promise(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	client = ends[0];
	next_stream = 1;
	promise(ttrpc_server_serve(&agent.server, ends[1]) == 0);
}

static void start_agent(unsigned options)
{
	static bool streams_ready;

	memset(&agent, 0, sizeof(agent));
	for (size_t i = 0; i < WORKERS_MAX; i++)
		workers[i].end = -1;
	next_pid = FIRST_PID;
	promise(loop_init(&agent.loop) == 0);
	promise(streams_ready || stream_setup() == 0);
	streams_ready = true;
	agent.supervisor.fd = -1;
	agent.supervisor.exited = child_exited;
	agent.streams.fd = agent.streams.source.fd = -1;
	agent.config.hotplug_timeout = LOOP_SECOND;
	agent.config.visible_cdi_devices = options & 2;
	agent.config.init = options & 4;
	agent.sandbox.guest_known = true;
	agent.sandbox.boot_limits.capabilities = UINT64_MAX;
	agent.sandbox.cgroups = (struct cgroup_tree){
		.unified = options & 1,
		.hierarchy_count = 1,
		.hierarchies = {{"cpu,cpuacct,cpuset,memory,pids,blkio,hugetlb,devices,freezer", "/none"}},
		.guest_disks = {makedev(254, 0)},
	};
	if (options & 1)
		agent.sandbox.cgroups.hierarchies[0].controllers[0] = '\0';
	stream_ports_init(&agent.stream_ports, &agent.loop, nothing_arrived);
	sandbox_init(&agent.sandbox, &agent);
	ttrpc_server_init(&agent.server, &agent.loop, rpc_services, &agent);
	connect_client();
}

/* Whether the agent reads answers of ours is its own matter; ours is not to be what it waits for. */
static void take_answers(void)
{
	static uint8_t bytes[ANSWER_SIZE];

	while (recv(client, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

static void turn(void)
{
	fuzz_step(&agent.loop);
	take_answers();
}

/* Steps --------------------------------------------------------------------------------------------------------- */

static void call(const ProtobufCServiceDescriptor *service, const char *method, const void *payload, size_t size)
{
	static uint8_t frame[STEP_PAYLOAD_MAX + 256];
	struct ttrpc_header header = {.stream = next_stream, .type = TTRPC_REQUEST};
	Ttrpc__Request request = TTRPC__REQUEST__INIT;
	Ttrpc__KeyValue named = TTRPC__KEY_VALUE__INIT, *entry = &named;
	char offset[] = "0";

	named.key = "nacre-offset";
	named.value = offset;
	request.service = (char *)service->name;
	request.method = (char *)method;
	request.payload.data = (uint8_t *)payload;
	request.payload.len = size;
	/* A third of the calls names an offset, as reads do: a digit, or what is none. */
	if (size > 0 && request.payload.data[size - 1] % 3 == 0) {
		offset[0] = (char)('/' + request.payload.data[size - 1] % 11);
		request.metadata = &entry;
		request.n_metadata = 1;
	}
	header.length = (uint32_t)ttrpc__request__get_packed_size(&request);
	promise(header.length + TTRPC_HEADER_SIZE <= sizeof(frame));
	ttrpc_header_encode(frame, &header);
	ttrpc__request__pack(&request, frame + TTRPC_HEADER_SIZE);
	next_stream += 2;
	send(client, frame, TTRPC_HEADER_SIZE + header.length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void step_call(struct fuzz_input *input)
{
	const struct step_method *method = step_method(fuzz_byte(input));
	size_t size = fuzz_u16(input);
	const uint8_t *payload;

	if (size > STEP_PAYLOAD_MAX)
		size = STEP_PAYLOAD_MAX;
	payload = fuzz_bytes(input, &size);
	call(method->service, method->name, payload, size);
}

static void finish_job(struct worker *worker, const struct error *error)
{
	fd_send(worker->end, error, sizeof(*error), worker->files, error->number ? 0 : worker->file_count);
	end_worker(worker);
}

static void send_report(struct worker *worker, const struct report *report, size_t count)
{
	int fds[] = {eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC)};

	fd_send(worker->end, report, sizeof(*report), fds, count);
	for (size_t i = 0; i < array_size(fds); i++)
		close(fds[i]);
}

/* What a helper says next where all goes well. */
static void go_on_launching(struct worker *worker)
{
	struct report report = {.type = LAUNCH_PROCESS};

	switch (worker->reports++) {
	case 0:
		report.pid = worker->workload = worker->direct ? worker->pid : next_pid++;
		send_report(worker, &report, worker->direct ? 1 : 2);
		break;
	case 1:
		report.type = REPORT_PROCFS;
		send_report(worker, &report, 1);
		break;
	case 2:
		report.type = LAUNCH_READY;
		send_report(worker, &report, 0);
		break;
	default:
		/* It is executed once it has the word to go on. */
		if (recv(worker->end, &report, 1, MSG_DONTWAIT) == 1)
			end_worker(worker);
		break;
	}
}

/* Everybody has succeeded with what they were at. */
static void step_succeed(void)
{
	static const struct error none;

	for (size_t i = 0; i < WORKERS_MAX; i++) {
		if (workers[i].end < 0)
			continue;
		if (workers[i].launch)
			go_on_launching(&workers[i]);
		else
			finish_job(&workers[i], &none);
	}
}

static void report_anything(struct worker *worker, struct fuzz_input *input)
{
	unsigned choices = fuzz_byte(input);
	struct report report = {.type = choices & 7, .pid = worker->pid};
	size_t length = fuzz_byte(input);
	const uint8_t *text;

	if (choices & 8)
		report.type = REPORT_PROCFS;
	if (choices & 16)
		report.pid = (int32_t)fuzz_u32(input);
	report.failure_class = fuzz_byte(input);
	report.failure_number = (int8_t)fuzz_byte(input);
	text = fuzz_bytes(input, &length);
	if (length > 0)
		memcpy(report.text, text, length);
	send_report(worker, &report, choices >> 6);
}

static void job_says_anything(struct worker *worker, struct fuzz_input *input)
{
	struct error error = {.number = fuzz_byte(input)};
	size_t length = fuzz_byte(input);
	const uint8_t *answer = fuzz_bytes(input, &length);

	if (error.number)
		error_errno(&error, error.number, "as the input has it");
	else if (!worker->mute && worker->file_count < JOB_FDS_MAX)
		keep_file(worker, answer ? answer : (const uint8_t *)"", length);
	finish_job(worker, &error);
}

static void step_worker(struct fuzz_input *input)
{
	unsigned choices = fuzz_byte(input);
	struct worker *worker = NULL;
	uint8_t bytes[256] = {0};

	for (size_t i = 0; i < WORKERS_MAX && !worker; i++)
		if (workers[(choices + i) % WORKERS_MAX].end >= 0)
			worker = &workers[(choices + i) % WORKERS_MAX];
	if (!worker)
		return;
	switch (choices >> 6) {
	case 0:
		if (worker->launch)
			report_anything(worker, input);
		else
			job_says_anything(worker, input);
		break;
	case 1:
		end_worker(worker);
		break;
	case 2:
		if (worker->stdio[1] >= 0)
			(void)!write(worker->stdio[1], bytes, fuzz_byte(input));
		if (worker->stdio[0] >= 0)
			(void)!read(worker->stdio[0], bytes, 1);
		break;
	case 3:
		for (int i = 0; i < 3; i++)
			fd_close(&worker->stdio[i]);
		break;
	}
}

static void step_exit(struct fuzz_input *input)
{
	sandbox_process_exited(&agent.sandbox, FIRST_PID + fuzz_byte(input), fuzz_byte(input));
}

static void step_time(void)
{
	if (agent.loop.timers)
		agent.loop.timers->deadline = 1;
}

static void step_disconnect(void)
{
	fd_close(&client);
	fuzz_step(&agent.loop);
	connect_client();
}

/* A stream connection whose port has been told. */
static void step_stream(struct fuzz_input *input)
{
	int ends[2];

	promise(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	stream_ports_add(&agent.stream_ports, ends[1], fuzz_byte(input));
	send(ends[0], "7\nhello", 7, MSG_NOSIGNAL);
	close(ends[0]);
	sandbox_stream_arrived(&agent.sandbox);
}

static void take_step(struct fuzz_input *input)
{
	switch (fuzz_byte(input) % STEP_KINDS) {
	case STEP_CALL:
		step_call(input);
		break;
	case STEP_SUCCEED:
		step_succeed();
		break;
	case STEP_WORKER:
		step_worker(input);
		break;
	case STEP_EXIT:
		step_exit(input);
		break;
	case STEP_TIME:
		step_time();
		break;
	case STEP_DISCONNECT:
		step_disconnect();
		break;
	case STEP_STREAM:
		step_stream(input);
		break;
	case STEP_STOP:
		sandbox_stop(&agent.sandbox, fuzz_byte(input) * LOOP_MILLISECOND);
		break;
	}
}

/* The end ------------------------------------------------------------------------------------------------------- */

static void end_processes(void)
{
	for (struct container *container = agent.sandbox.containers; container; container = container->next) {
		for (struct process *process = container->processes; process; process = process->next) {
			if (!process_alive(process))
				continue;
			/* It may free what this loop goes over. */
			sandbox_process_exited(&agent.sandbox, process->pid, 0);
			return;
		}
	}
}

/* Whatever happened, it comes to its end where everybody reports. */
static void destroy_all(void)
{
	step_disconnect();
	/* A stop that fails ends the machine with what is left in it; here that is to go, too. */
	if (agent.sandbox.stopping)
		agent.sandbox.destroying = agent.sandbox.stopping = false;
	for (int i = 0; i < LAST_STEPS && (agent.sandbox.containers || agent.sandbox.job.pid > 0); i++) {
		call(&grpc__agent_service__descriptor, "DestroySandbox", NULL, 0);
		turn();
		step_succeed();
		end_processes();
		turn();
		/* What waits for time alone; what has reported isn't late. */
		if (i % 4 == 3)
			step_time();
	}
	promise(!agent.sandbox.containers);
	promise(agent.sandbox.job.pid == 0);
}

/* What the agent keeps until the machine ends. */
static void free_rest(void)
{
	/* Also those that are kept while nobody uses them. */
	for (struct storage_use *use; (use = agent.sandbox.storages.first);) {
		use->kept = false;
		use->count = 1;
		storage_uses_drop(&agent.sandbox.storages, use->mount_point);
	}
	oom_close(&agent.sandbox.oom_events);
	fuzz_free_list(agent.sandbox.oom_events.records);
	arena_free(&agent.sandbox.arena);
	fd_close(&agent.sandbox.ipc_namespace);
	fd_close(&agent.sandbox.uts_namespace);
	fd_close(&agent.sandbox.pid_namespace);
	for (uint32_t port = 0; port < 256; port++) {
		int fd = stream_ports_claim(&agent.stream_ports, port);

		fd_close(&fd);
	}
	for (size_t i = 0; i < STREAM_PORTS_MAX; i++) {
		if (!agent.stream_ports.slots[i].used)
			continue;
		loop_remove(&agent.loop, &agent.stream_ports.slots[i].source);
		fd_close(&agent.stream_ports.slots[i].fd);
	}
	for (size_t i = 0; i < WORKERS_MAX; i++)
		if (workers[i].end >= 0)
			end_worker(&workers[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	unsigned before;

	fd_close(&client);
	before = fuzz_count_fds();
	start_agent(fuzz_byte(&input));
	while (input.size > 0) {
		take_step(&input);
		turn();
	}
	destroy_all();
	fd_close(&client);
	fuzz_step(&agent.loop);
	ttrpc_server_destroy(&agent.server);
	free_rest();
	loop_destroy(&agent.loop);
	fuzz_check_fds(before);
	return 0;
}

/* Mutation ------------------------------------------------------------------------------------------------------ */

#define STEPS_MAX 64
#define MUTATION_MEMORY (4u << 20)

/* The steps of an input, as far as they are whole: where each begins, and where the last one ends. */
static size_t find_steps(const uint8_t *data, size_t size, size_t starts[STEPS_MAX + 1])
{
	struct fuzz_input input = {data, size};
	size_t count = 0;

	fuzz_byte(&input);
	while (input.size > 0 && count < STEPS_MAX) {
		size_t length = 0;

		starts[count++] = size - input.size;
		switch (fuzz_byte(&input) % STEP_KINDS) {
		case STEP_CALL:
			fuzz_byte(&input);
			length = fuzz_u16(&input);
			if (length > STEP_PAYLOAD_MAX)
				length = STEP_PAYLOAD_MAX;
			break;
		case STEP_WORKER:
			length = 4;
			break;
		case STEP_EXIT:
			length = 2;
			break;
		case STEP_STREAM:
		case STEP_STOP:
			length = 1;
			break;
		}
		fuzz_bytes(&input, &length);
	}
	starts[count] = size - input.size;
	return count;
}

/* Puts a step in the place of data[from..to). The new size; the old one where there is no room. */
static size_t replace(uint8_t *data, size_t size, size_t most, size_t from, size_t to, const uint8_t *step, size_t length)
{
	if (size - (to - from) + length > most)
		return size;
	memmove(data + from + length, data + to, size - to);
	memcpy(data + from, step, length);
	return size - (to - from) + length;
}

/* A call's step with its message changed, or with a new one where `old` is none. Its length. */
static size_t write_call(uint8_t step[STEP_PAYLOAD_MAX + 4], const uint8_t *old, size_t old_size)
{
	struct fuzz_input input = {old, old_size};
	unsigned index = old ? (fuzz_byte(&input), fuzz_byte(&input)) : mutate_random(256);
	const struct step_method *method = step_method(index);
	ProtobufCMessage *message = NULL;
	struct arena arena;
	size_t size = 0;

	arena_init(&arena, 0, MUTATION_MEMORY);
	if (old) {
		size = fuzz_u16(&input);
		message = protobuf_c_message_unpack(method->input, &arena.allocator, size < input.size ? size : input.size,
						    input.data);
	}
	if (!message) {
		message = arena_alloc(&arena, method->input->sizeof_message);
		promise(message);
		method->input->message_init(message);
	}
	for (unsigned i = mutate_random(3) + 1; i > 0; i--)
		mutate_message(message, &arena);
	size = protobuf_c_message_get_packed_size(message);
	if (size > STEP_PAYLOAD_MAX)
		size = 0;
	else
		protobuf_c_message_pack(message, step + 4);
	step[0] = STEP_CALL;
	step[1] = (uint8_t)index;
	step[2] = (uint8_t)size;
	step[3] = (uint8_t)(size >> 8);
	arena_free(&arena);
	return size + 4;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
	static uint8_t step[STEP_PAYLOAD_MAX + 4];
	size_t starts[STEPS_MAX + 1], count, at, length;

	mutate_seed(seed);
	count = size > 1 ? find_steps(data, size, starts) : 0;
	if (count == 0 || mutate_random(32) == 0)
		return LLVMFuzzerMutate(data, size, most);
	at = mutate_random((unsigned)count);
	switch (mutate_random(8)) {
	case 0: /* a new call */
		length = write_call(step, NULL, 0);
		return replace(data, size, most, starts[at], starts[at], step, length);
	case 1: /* another step */
		for (size_t i = 0; i < 5; i++)
			step[i] = (uint8_t)mutate_random(256);
		step[0] = (uint8_t)(STEP_SUCCEED + mutate_random(STEP_KINDS - STEP_SUCCEED));
		return replace(data, size, most, starts[at], starts[at], step, 1 + mutate_random(5));
	case 2: /* one less */
		return replace(data, size, most, starts[at], starts[at + 1], step, 0);
	case 3: /* once more, somewhere else */
		length = starts[at + 1] - starts[at];
		if (length > sizeof(step))
			return size;
		memcpy(step, data + starts[at], length);
		at = mutate_random((unsigned)count + 1);
		return replace(data, size, most, starts[at], starts[at], step, length);
	default: /* a call, changed */
		for (size_t i = 0; i < count && data[starts[at]] % STEP_KINDS != STEP_CALL; i++)
			at = (at + 1) % count;
		if (data[starts[at]] % STEP_KINDS != STEP_CALL)
			return LLVMFuzzerMutate(data, size, most);
		length = write_call(step, data + starts[at], starts[at + 1] - starts[at]);
		return replace(data, size, most, starts[at], starts[at + 1], step, length);
	}
}

/* The first steps of the one, and the last ones of the other. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_size, const uint8_t *second, size_t second_size,
				 uint8_t *out, size_t most, unsigned seed)
{
	size_t starts[STEPS_MAX + 1], count, head = 0, tail = 0;

	mutate_seed(seed);
	count = first_size > 1 ? find_steps(first, first_size, starts) : 0;
	if (count > 0)
		head = starts[mutate_random((unsigned)count + 1)];
	count = second_size > 1 ? find_steps(second, second_size, starts) : 0;
	if (count > 0)
		tail = second_size - starts[mutate_random((unsigned)count + 1)];
	if (head == 0 || head + tail > most)
		return 0;
	memcpy(out, first, head);
	memcpy(out + head, second + second_size - tail, tail);
	return head + tail;
}
