// uses: agent/listener.c lib/loop.c lib/log.c lib/error.c lib/fd.c
/* Who may connect over vsock: the host. The addresses are this test's, as no vsock socket may be opened here. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include <cmocka.h>

#include "agent/listener.h"
#include "lib/fd.h"

#define PEERS_MAX 8

static struct {
	unsigned cid;
	int end; /* the peer's */
} peers[PEERS_MAX];
static size_t waiting, taken;
static size_t accepted_count;
static uint32_t accepted_port;

/* In the place of libc's: the next of the peers. */
int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
	struct sockaddr_vm peer = {.svm_family = AF_VSOCK, .svm_port = 4711};
	int ends[2];

	(void)fd;
	(void)flags;
	if (taken == waiting) {
		errno = EAGAIN;
		return -1;
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	peer.svm_cid = peers[taken].cid;
	peers[taken++].end = ends[0];
	assert_true(*size >= sizeof(peer));
	memcpy(address, &peer, sizeof(peer));
	*size = sizeof(peer);
	return ends[1];
}

static void accepted(struct listener *listener, int fd, uint32_t peer_port)
{
	(void)listener;
	accepted_count++;
	accepted_port = peer_port;
	close(fd);
}

/* Whether a peer with that cid is served; one that isn't has to see its connection end. */
static bool is_served(unsigned cid)
{
	struct listener listener = {.fd = STDIN_FILENO, .accepted = accepted}; /* nobody looks at it */
	size_t before = accepted_count;
	char byte;

	peers[0].cid = cid;
	waiting = 1;
	taken = 0;
	listener_drain(&listener);
	assert_int_equal(taken, 1);
	assert_int_equal(recv(peers[0].end, &byte, 1, 0), 0);
	close(peers[0].end);
	return accepted_count > before;
}

static void only_the_host_is_served(void **state)
{
	(void)state;
	assert_true(is_served(VMADDR_CID_HOST));
	assert_int_equal(accepted_port, 4711);
	assert_false(is_served(VMADDR_CID_LOCAL));
	assert_false(is_served(VMADDR_CID_HYPERVISOR));
	assert_false(is_served(3)); /* the guest itself, and another one */
	assert_false(is_served(5));
	assert_false(is_served(VMADDR_CID_ANY));
}

/* One that is refused is in nobody's way. */
static void the_next_one_is_served(void **state)
{
	struct listener listener = {.fd = STDIN_FILENO, .accepted = accepted}; /* nobody looks at it */
	const unsigned cids[] = {1, 2, 3, 2, 1};

	(void)state;
	accepted_count = taken = 0;
	for (waiting = 0; waiting < sizeof(cids) / sizeof(cids[0]); waiting++)
		peers[waiting].cid = cids[waiting];
	listener_drain(&listener);
	assert_int_equal(taken, waiting);
	assert_int_equal(accepted_count, 2);
	while (taken > 0)
		close(peers[--taken].end);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_host_is_served),
		cmocka_unit_test(the_next_one_is_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
