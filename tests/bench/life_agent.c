/* The same by an agent: what a Kata runtime sends it for a container of one process. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/ttrpc.h"
#include "life.h"
#include "ttrpc.pb-c.h"

#define ROOM 65536
#define WORDS 16
#define DIAL_TRIES 1000
#define DIAL_PAUSE 10000 /* microseconds */

static int connection = -1;
static unsigned calls;
static uint8_t answer[ROOM]; /* on a stack it would be cleared each time */

/* A call, and its answer, which has to be OK; the reply's payload stays in `answer`, its length is returned. */
static size_t call(const char *method, const ProtobufCMessage *message)
{
	static uint8_t packed[ROOM], body[ROOM];
	struct ttrpc_header header = {.stream = 2 * calls++ + 1, .type = TTRPC_REQUEST};
	Ttrpc__Request request = TTRPC__REQUEST__INIT;
	Ttrpc__Response *response;
	size_t length;

	request.service = (char *)"grpc.AgentService";
	request.method = (char *)method;
	request.payload = (ProtobufCBinaryData){protobuf_c_message_pack(message, packed), packed};
	header.length = (uint32_t)ttrpc__request__get_packed_size(&request);
	ttrpc_header_encode(body, &header);
	ttrpc__request__pack(&request, body + TTRPC_HEADER_SIZE);
	if (fd_write_all(connection, body, TTRPC_HEADER_SIZE + header.length) < 0 ||
	    fd_read_all(connection, body, TTRPC_HEADER_SIZE) != TTRPC_HEADER_SIZE)
		die(method);
	header = ttrpc_header_decode(body);
	if (header.length > ROOM || fd_read_all(connection, body, header.length) != (ssize_t)header.length)
		die(method);
	response = ttrpc__response__unpack(NULL, header.length, body);
	if (!response || (response->status && response->status->code != 0)) {
		fprintf(stderr, "life: %s: %s\n", method, response ? response->status->message : "no response");
		exit(1);
	}
	length = response->payload.len;
	memcpy(answer, response->payload.data, length);
	ttrpc__response__free_unpacked(response, NULL);
	return length;
}

/* It ends with us, as its terminal would be its end otherwise. */
static void run_agent(const char *path)
{
	char *const environment[] = {(char *)"PATH=/bin:/sbin", NULL};
	char address[128];

	snprintf(address, sizeof(address), "unix://%s", path);
	if (fork() != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	setsid();
	dup2(open("/dev/null", O_WRONLY), 2);
	execle("/init", "/init", "--listen", address, NULL, environment);
	_exit(127);
}

void agent_dial(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	Grpc__CreateSandboxRequest request = GRPC__CREATE_SANDBOX_REQUEST__INIT;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	run_agent(path);
	connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	for (int tries = 0; connect(connection, (struct sockaddr *)&address, sizeof(address)) < 0; tries++) {
		if (tries == DIAL_TRIES)
			die(path);
		usleep(DIAL_PAUSE);
	}
	request.sandbox_id = (char *)"life";
	call("CreateSandbox", &request.base);
}

static size_t split(const char *text, char **words)
{
	size_t count = 0;
	char *copy = strdup(text), *word;

	while (count < WORDS && (word = strsep(&copy, ",")) != NULL)
		words[count++] = word;
	return count;
}

/* The capabilities' names, in the order of their numbers. */
static const char *const names[] = {"CAP_CHOWN",  "CAP_DAC_OVERRIDE", "CAP_FOWNER",  "CAP_FSETID",
				    "CAP_KILL",	  "CAP_SETGID",	      "CAP_SETUID",  "CAP_SETPCAP",
				    "CAP_NET_RAW", "CAP_SYS_CHROOT",	      "CAP_MKNOD",   "CAP_AUDIT_WRITE",
				    "CAP_SETFCAP", "CAP_NET_BIND_SERVICE"};

static void fill_process(Grpc__Process *process, const char *command)
{
	static Grpc__LinuxCapabilities capabilities = GRPC__LINUX_CAPABILITIES__INIT;
	static char *arguments[3], *environment[] = {(char *)"PATH=/bin"};
	static Grpc__User user = GRPC__USER__INIT;

	*process = (Grpc__Process)GRPC__PROCESS__INIT;
	arguments[0] = (char *)command;
	arguments[1] = (char *)"1000000";
	process->args = arguments;
	process->n_args = strcmp(command, "sleep") == 0 ? 2 : 1;
	process->env = environment;
	process->n_env = array_size(environment);
	process->cwd = (char *)"/";
	process->user = &user;
	capabilities.bounding = capabilities.effective = capabilities.permitted = (char **)names;
	capabilities.n_bounding = capabilities.n_effective = capabilities.n_permitted = array_size(names);
	process->capabilities = &capabilities;
}

static size_t count_of(const char *const *list)
{
	size_t count = 0;

	while (list[count])
		count++;
	return count;
}

static void fill_linux(Grpc__Linux *linux)
{
	static char *kinds[] = {(char *)"mount", (char *)"ipc", (char *)"uts", (char *)"pid"};
	static Grpc__LinuxNamespace namespaces[array_size(kinds)], *namespace_list[array_size(kinds)];
	static Grpc__LinuxSeccomp seccomp = GRPC__LINUX_SECCOMP__INIT;
	static Grpc__LinuxSyscall refused = GRPC__LINUX_SYSCALL__INIT, *refused_list[] = {&refused};
	static char *refused_names[] = {(char *)"keyctl"}, *architectures[] = {(char *)"SCMP_ARCH_X86_64"};

	*linux = (Grpc__Linux)GRPC__LINUX__INIT;
	for (size_t i = 0; i < array_size(kinds); i++) {
		namespaces[i] = (Grpc__LinuxNamespace)GRPC__LINUX_NAMESPACE__INIT;
		namespaces[i].type = kinds[i];
		namespace_list[i] = &namespaces[i];
	}
	linux->namespaces = namespace_list;
	linux->n_namespaces = array_size(kinds);
	linux->cgroupspath = (char *)"/life";
	linux->maskedpaths = (char **)life_masked;
	linux->n_maskedpaths = count_of(life_masked);
	linux->readonlypaths = (char **)life_readonly;
	linux->n_readonlypaths = count_of(life_readonly);
	refused.names = refused_names;
	refused.n_names = 1;
	refused.action = (char *)"SCMP_ACT_ERRNO";
	seccomp.defaultaction = (char *)"SCMP_ACT_ALLOW";
	seccomp.architectures = architectures;
	seccomp.n_architectures = 1;
	seccomp.syscalls = refused_list;
	seccomp.n_syscalls = 1;
	linux->seccomp = &seccomp;
}

static void create(const char *root, const char *command)
{
	static Grpc__Mount mounts[WORDS], *mount_list[WORDS];
	Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
	Grpc__StartContainerRequest start = GRPC__START_CONTAINER_REQUEST__INIT;
	Grpc__Spec spec = GRPC__SPEC__INIT;
	Grpc__Root root_part = GRPC__ROOT__INIT;
	Grpc__Process process;
	Grpc__Linux linux;

	for (size_t i = 0; life_mounts[i].target && !mount_list[i]; i++) {
		static char *options[WORDS][WORDS];

		mounts[i] = (Grpc__Mount)GRPC__MOUNT__INIT;
		mounts[i].destination = (char *)life_mounts[i].target;
		mounts[i].type = (char *)life_mounts[i].type;
		mounts[i].source = (char *)life_mounts[i].source;
		mounts[i].n_options = split(life_mounts[i].options, options[i]);
		mounts[i].options = options[i];
		mount_list[i] = &mounts[i];
	}
	fill_process(&process, command);
	fill_linux(&linux);
	root_part.path = (char *)root;
	spec.version = (char *)"1.1.0";
	spec.root = &root_part;
	spec.process = &process;
	spec.linux = &linux;
	spec.hostname = (char *)"life";
	spec.mounts = mount_list;
	while (mount_list[spec.n_mounts])
		spec.n_mounts++;
	request.container_id = request.exec_id = start.container_id = (char *)"life";
	request.oci = &spec;
	call("CreateContainer", &request.base);
	call("StartContainer", &start.base);
}

static void wait_for(const char *exec_id)
{
	Grpc__WaitProcessRequest request = GRPC__WAIT_PROCESS_REQUEST__INIT;
	Grpc__WaitProcessResponse *response;

	request.container_id = (char *)"life";
	request.exec_id = (char *)exec_id;
	response = grpc__wait_process_response__unpack(NULL, call("WaitProcess", &request.base), answer);
	if (!response || response->status != 0) {
		fprintf(stderr, "life: the agent's process ended with status %d\n", response ? response->status : -1);
		exit(1);
	}
	grpc__wait_process_response__free_unpacked(response, NULL);
}

void agent_stop(void)
{
	Grpc__RemoveContainerRequest request = GRPC__REMOVE_CONTAINER_REQUEST__INIT;

	request.container_id = (char *)"life";
	call("RemoveContainer", &request.base);
}

void agent_life(const char *root)
{
	create(root, "true");
	wait_for("life");
	agent_stop();
}

void agent_start(const char *root)
{
	create(root, "sleep");
}

void agent_exec(void)
{
	static unsigned execs;
	Grpc__ExecProcessRequest request = GRPC__EXEC_PROCESS_REQUEST__INIT;
	Grpc__Process process;
	char id[32];

	snprintf(id, sizeof(id), "exec%u", ++execs);
	fill_process(&process, "true");
	request.container_id = (char *)"life";
	request.exec_id = id;
	request.process = &process;
	call("ExecProcess", &request.base);
	wait_for(id);
}
