/* A container's ways to the agent's ports.
 *
 *	vsock dial CID PORT...        "CID PORT connected", or why not
 *	vsock bind PORT...            "PORT bound", or why not
 *	vsock keep STOPFILE PORT...   tries to bind each, again and again; "tried N bound N" once STOPFILE is there
 *	vsock messages PORT           a connection of messages to the host, each of which is sent back
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

static int call(bool binds, unsigned cid, const char *port)
{
	const struct sockaddr_vm address = {
		.svm_family = AF_VSOCK,
		.svm_cid = cid,
		.svm_port = (unsigned)strtoul(port, NULL, 10),
	};
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0), number;

	if (fd < 0)
		return errno;
	number = (binds ? bind(fd, (const struct sockaddr *)&address, sizeof(address)) :
			  connect(fd, (const struct sockaddr *)&address, sizeof(address))) < 0 ?
			 errno :
			 0;
	/* A byte comes back, or the end, where somebody has accepted and thinks better of it. */
	if (!binds && number == 0) {
		const struct timeval patience = {.tv_sec = 2};
		char byte;

		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		if (recv(fd, &byte, 1, 0) == 0 || errno == ECONNRESET)
			number = ECONNRESET;
	}
	close(fd);
	return number;
}

static int keep(const char *stop_file, int count, char **ports)
{
	unsigned long tried = 0, bound = 0;

	printf("ready\n");
	fflush(stdout);
	do {
		for (int i = 0; i < count; i++)
			bound += call(true, VMADDR_CID_ANY, ports[i]) == 0;
	} while (++tried % 100 || access(stop_file, F_OK) < 0);
	printf("tried %lu bound %lu\n", tried, bound);
	return 0;
}

static int send_back(const char *port)
{
	static char message[256 << 10];
	const struct sockaddr_vm address = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_HOST,
		.svm_port = (unsigned)strtoul(port, NULL, 10),
	};
	int fd = socket(AF_VSOCK, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ssize_t length;

	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		printf("%s\n", strerror(errno));
		return 0;
	}
	while ((length = recv(fd, message, sizeof(message), 0)) > 0)
		if (send(fd, message, (size_t)length, 0) != length)
			break;
	printf("%s\n", length == 0 ? "the end" : strerror(errno));
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	if (strcmp(argv[1], "keep") == 0)
		return keep(argv[2], argc - 3, argv + 3);
	if (strcmp(argv[1], "messages") == 0)
		return send_back(argv[2]);
	bool binds = strcmp(argv[1], "bind") == 0;

	for (int i = binds ? 2 : 3; i < argc; i++) {
		int number = call(binds, binds ? VMADDR_CID_ANY : (unsigned)strtoul(argv[2], NULL, 10), argv[i]);

		if (!binds)
			printf("%s ", argv[2]);
		printf("%s %s\n", argv[i], number ? strerror(number) : binds ? "bound" : "connected");
	}
	return 0;
}
