/* trace PID: traces that process, says so, and takes no notice of anything that becomes of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <sys/ptrace.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	if (ptrace(PTRACE_SEIZE, atoi(argv[1]), NULL, NULL) < 0) {
		printf("trace: %s\n", strerror(errno));
		return 1;
	}
	printf("traced\n");
	fflush(stdout);
	for (;;)
		pause();
}
