/* --preserve-fds: descriptors of the caller's, from 3 up, that a container's process is to have. */
#ifndef NACRE_BOX_DESCRIPTORS_H
#define NACRE_BOX_DESCRIPTORS_H

#include <errno.h>
#include <fcntl.h>

#include "lib/error.h"

/* To be looked at before anything is opened, which would take their numbers. 0, or -EBADF where one isn't there. */
static inline int check_descriptors(int count, struct error *error)
{
	for (int fd = 3; fd < 3 + count; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			return error_errno(error, EBADF, "--preserve-fds %d: descriptor %d", count, fd);
	return 0;
}

#endif
