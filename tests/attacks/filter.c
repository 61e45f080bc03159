/* filter PATH: takes the device filters off the cgroup that is mounted at PATH; "N filters, M taken off", or why not. See
 * bpf(2). */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILTERS_MAX 16

static long bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* With 0 as the program: whichever it is. */
static long detach(int cgroup, long program)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (unsigned)cgroup;
	attr.attach_bpf_fd = (unsigned)program;
	attr.attach_type = BPF_CGROUP_DEVICE;
	return bpf(BPF_PROG_DETACH, &attr);
}

int main(int argc, char **argv)
{
	int cgroup = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY) : -1;
	unsigned ids[FILTERS_MAX], taken = 0;
	union bpf_attr attr;

	if (cgroup < 0)
		return 2;
	if (detach(cgroup, 0) == 0)
		printf("any taken off\n");
	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (unsigned)cgroup;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (unsigned long)ids;
	attr.query.prog_cnt = FILTERS_MAX;
	if (bpf(BPF_PROG_QUERY, &attr) < 0) {
		printf("query: %s\n", strerror(errno));
		return 1;
	}
	for (unsigned i = 0; i < attr.query.prog_cnt; i++) {
		union bpf_attr get;
		long program;

		memset(&get, 0, sizeof(get));
		get.prog_id = ids[i];
		program = bpf(BPF_PROG_GET_FD_BY_ID, &get);
		if (program >= 0 && detach(cgroup, program) == 0)
			taken++;
		else
			printf("%s: %s\n", program < 0 ? "get" : "detach", strerror(errno));
	}
	printf("%u filters, %u taken off\n", attr.query.prog_cnt, taken);
	return 0;
}
