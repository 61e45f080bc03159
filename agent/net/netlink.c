/* Sending, and reading answers. */
#include "agent/net/netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define ANSWER_SIZE (32u << 10) /* the kernel's pieces of a dump are no larger */
#define ANSWER_SECONDS 5
#define SEQUENCE 1 /* always: an answer is read to its end before the next request */

int netlink_open(struct error *error)
{
	cleanup_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	const struct timeval patience = {.tv_sec = ANSWER_SECONDS};

	/* Connected: nobody but the kernel is heard. */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(fd, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return error_errno(error, errno, "netlink socket");
	return take_fd(&fd);
}

void netlink_begin(struct netlink_message *message, uint16_t type, uint16_t flags, const void *body, size_t size)
{
	memset(message, 0, sizeof(*message));
	message->header.nlmsg_type = type;
	message->header.nlmsg_flags = flags | NLM_F_REQUEST;
	message->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
	memcpy(NLMSG_DATA(&message->header), body, size);
}

void netlink_add(struct netlink_message *message, uint16_t attribute, const void *data, size_t size)
{
	size_t start = NLMSG_ALIGN(message->header.nlmsg_len);
	struct rtattr *added = (struct rtattr *)(void *)(message->bytes + start);

	if (start + RTA_LENGTH(size) > sizeof(message->bytes)) {
		message->overflow = true;
		return;
	}
	added->rta_type = attribute;
	added->rta_len = (unsigned short)RTA_LENGTH(size);
	memcpy(RTA_DATA(added), data, size);
	message->header.nlmsg_len = (uint32_t)(start + RTA_LENGTH(size));
}

static int transmit(int fd, struct netlink_message *message)
{
	ssize_t sent;

	if (message->overflow)
		return -EMSGSIZE;
	message->header.nlmsg_seq = SEQUENCE;
	do {
		sent = send(fd, message->bytes, message->header.nlmsg_len, 0);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/* What the kernel says at the end: 0 or -errno. */
static int result_of(const struct nlmsghdr *header)
{
	const struct nlmsgerr *answer = NLMSG_DATA(header);

	return header->nlmsg_len < NLMSG_LENGTH(sizeof(int)) ? -EPROTO : answer->error;
}

static int receive(int fd, uint32_t sequence, int (*each)(const struct nlmsghdr *header, void *data), void *data)
{
	_Alignas(struct nlmsghdr) uint8_t bytes[ANSWER_SIZE];
	int status = 0;

	for (;;) {
		ssize_t length = recv(fd, bytes, sizeof(bytes), 0);
		const struct nlmsghdr *header = (const struct nlmsghdr *)(const void *)bytes;

		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		for (int left = (int)length; NLMSG_OK(header, (unsigned)left); header = NLMSG_NEXT(header, left)) {
			if (header->nlmsg_seq != sequence)
				continue;
			if (header->nlmsg_type == NLMSG_ERROR)
				return result_of(header);
			/* To its end in any case, so that the next answer isn't this one's rest. */
			if (header->nlmsg_type == NLMSG_DONE)
				return status;
			if (each && status == 0)
				status = each(header, data);
		}
	}
}

int netlink_send(int fd, struct netlink_message *message)
{
	int status;

	message->header.nlmsg_flags |= NLM_F_ACK;
	status = transmit(fd, message);
	return status < 0 ? status : receive(fd, message->header.nlmsg_seq, NULL, NULL);
}

int netlink_dump(int fd, struct netlink_message *message, int (*each)(const struct nlmsghdr *header, void *data),
		 void *data)
{
	int status;

	message->header.nlmsg_flags |= NLM_F_DUMP;
	status = transmit(fd, message);
	return status < 0 ? status : receive(fd, message->header.nlmsg_seq, each, data);
}

void netlink_attributes(const struct nlmsghdr *header, size_t size, const struct rtattr **table, size_t count)
{
	const struct rtattr *attribute = (const struct rtattr *)((const char *)NLMSG_DATA(header) + NLMSG_ALIGN(size));
	int left = (int)header->nlmsg_len - (int)NLMSG_SPACE(size);

	memset(table, 0, count * sizeof(*table));
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
		if (attribute->rta_type < count)
			table[attribute->rta_type] = attribute;
}
