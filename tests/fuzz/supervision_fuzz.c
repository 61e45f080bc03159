/* The line between supervisor and agent, from both ends: what an agent that has been taken over says to PID 1, and what the agent
 * makes of its answers. Each message is its type, pid, status, how it is named, and how many descriptors come with it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/supervisor.h"
#include "init/supervise_state.h"
#include "lib/fd.h"
#include "lib/supervision.h"
#include "tests/fuzz/fuzz.h"

#define FDS_MAX 5
#define NOBODY 0x7ffffff0 /* no pid: kill(2) is refused besides */

static void send_message(int line, struct fuzz_input *input)
{
	struct supervision_message message = {0};
	unsigned choices = fuzz_byte(input);
	size_t count = (choices >> 4) % (FDS_MAX + 1), length = fuzz_byte(input) % (sizeof(message.name) + 1);
	const uint8_t *name = fuzz_bytes(input, &length);
	size_t size = sizeof(message);
	int fds[FDS_MAX];

	message.type = choices & 8 ? fuzz_u32(input) : (choices & 7) + 1;
	message.pid = choices & 0x80 ? (int32_t)fuzz_u32(input) : fuzz_byte(input);
	message.status = fuzz_byte(input);
	if (length > 0)
		memcpy(message.name, name, length);
	if (message.status == 0xff)
		size = fuzz_byte(input) + 1u;
	for (size_t i = 0; i < count; i++)
		fds[i] = fcntl(line, F_DUPFD_CLOEXEC, 0);
	fd_send(line, &message, size < sizeof(message) ? size : sizeof(message), fds, count);
	while (count > 0)
		close(fds[--count]);
}

static void read_answers(int line)
{
	struct supervision_message message;
	int fds[FD_MESSAGE_MAX];
	size_t count;

	while (supervision_receive(line, &message, fds, &count) > 0) {
		promise(message.type == SUPERVISION_STORE || message.type == SUPERVISION_RESTORED ||
			message.type == SUPERVISION_EXITED);
		while (count > 0)
			close(fds[--count]);
	}
}

static void tell_supervisor(struct fuzz_input *input)
{
	static struct supervise supervise;
	int ends[2];

	promise(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	supervise = (struct supervise){.signals = -1, .manager = -1, .agent = NOBODY, .line = ends[0]};
	while (input->size > 0 && supervise.line >= 0) {
		send_message(ends[1], input);
		while (supervise_hear(&supervise))
			;
		promise(supervise.store.count <= FDSTORE_MAX);
		for (size_t i = 0; i < supervise.store.count; i++)
			promise(memchr(supervise.store.entries[i].name, '\0', SUPERVISION_NAME_SIZE));
		supervise_tell(&supervise);
		read_answers(ends[1]);
	}
	while (supervise.store.count > 0)
		fdstore_drop(&supervise.store, supervise.store.entries[0].name);
	fd_close(&supervise.line);
	close(ends[1]);
}

/* The agent as it starts, up to RESTORED: later it ends where its line does, and so would this program. */
static void tell_agent(struct fuzz_input *input)
{
	struct supervisor supervisor = {0};
	struct error error = {0};
	int ends[2], status;

	promise(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	promise(dup2(ends[0], SUPERVISION_FD) == SUPERVISION_FD);
	close(ends[0]);
	while (input->size > 0)
		send_message(ends[1], input);
	shutdown(ends[1], SHUT_WR);
	status = supervisor_restore(&supervisor, &error);
	promise(status == 0 || *error.text);
	for (size_t i = 0; i < supervisor.restored_count; i++)
		fd_close(&supervisor.restored[i].fd);
	close(SUPERVISION_FD);
	close(ends[1]);
}

/* The agent's end has a fixed number, which neither the log nor a file of libFuzzer's may get first. */
__attribute__((constructor)) static void hold_number(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	promise(null == SUPERVISION_FD || dup2(null, SUPERVISION_FD) == SUPERVISION_FD);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	unsigned before;

	close(SUPERVISION_FD);
	before = fuzz_count_fds();
	if (fuzz_byte(&input) & 1)
		tell_agent(&input);
	else
		tell_supervisor(&input);
	fuzz_check_fds(before);
	return 0;
}
