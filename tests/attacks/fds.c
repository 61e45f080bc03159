/* fds: the descriptors that a process has been started with, one a line: its number and what it is. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define HIGHEST 65536

int main(void)
{
	for (int fd = 0; fd < HIGHEST; fd++) {
		char path[32], target[256] = "";

		if (fcntl(fd, F_GETFD) < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (readlink(path, target, sizeof(target) - 1) < 0)
			*target = '\0';
		printf("%d %s\n", fd, target);
	}
	return 0;
}
