/* swap A B STOPFILE: exchanges what two names mean, as fast as it can, until STOPFILE is there; prints how often. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROUNDS_BEFORE_STOP 500

int main(int argc, char **argv)
{
	unsigned long rounds = 0;

	if (argc != 4)
		return 2;
	printf("ready\n");
	fflush(stdout);
	do {
		if (syscall(SYS_renameat2, AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE) < 0) {
			printf("exchange: %s\n", strerror(errno));
			return 1;
		}
	} while (++rounds % ROUNDS_BEFORE_STOP || access(argv[3], F_OK) < 0);
	printf("exchanged %lu\n", rounds);
	return 0;
}
