/* The helper's file descriptors: it starts with a copy of all of the agent's, and keeps a few. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/container/helper.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

#define KEPT_MAX (5 + PLAN_NAMESPACES)

/* Makes *fd, unless it is negative, a copy with a number from `first` on; close-on-exec. */
static int lift(int *fd, int first)
{
	if (*fd < 0)
		return 0;
	*fd = fcntl(*fd, F_DUPFD_CLOEXEC, first);
	return *fd < 0 ? -errno : 0;
}

/* /dev/null at 0, 1 and 2, so that nothing opened later gets these numbers. */
static int fill_stdio(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return -errno;
	for (int fd = 0; fd <= 2; fd++)
		if (null != fd && dup2(null, fd) < 0)
			return -errno;
	if (null > 2)
		close(null);
	return 0;
}

int helper_keep_fds(struct helper *helper)
{
	int kept[KEPT_MAX];
	size_t count = 0;
	int *own[KEPT_MAX] = {&helper->report, &helper->plan.init_pidfd, &helper->stdio[0], &helper->stdio[1],
			      &helper->stdio[2]};
	int first = 3 + (int)helper->plan.process.preserved_fds;
	int status = 0;

	/* Those that the workload keeps stay where they are. */
	for (int fd = 3; fd < first; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			return error_errno(&helper->error, errno, "keep descriptor %d", fd);
	for (size_t i = 0; i < PLAN_NAMESPACES; i++)
		own[5 + i] = &helper->plan.namespaces[i].fd;
	for (size_t i = 0; status == 0 && i < array_size(own); i++) {
		status = lift(own[i], first);
		if (status == 0 && *own[i] >= 0)
			kept[count++] = *own[i];
	}
	if (status == 0)
		status = fill_stdio();
	if (status == 0)
		status = fd_close_others(first, kept, count);
	return status < 0 ? error_errno(&helper->error, -status, "keep the helper's descriptors") : 0;
}

int helper_reopen(const struct helper *helper, int fd, int flags)
{
	char path[sizeof("self/fd/") + 12];
	int opened;

	snprintf(path, sizeof(path), "self/fd/%d", fd);
	opened = openat(helper->proc, path, flags | O_CLOEXEC);
	return opened < 0 ? -errno : opened;
}
