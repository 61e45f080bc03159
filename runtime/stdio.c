/* One inlet, two outlets. */
#include "runtime/stdio.h"

#include <fcntl.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"

void stdio_fill_descriptors(void)
{
	int fd = open("/dev/null", O_RDWR);

	while (fd >= 0 && fd <= STDERR_FILENO)
		fd = open("/dev/null", O_RDWR);
	fd_close(&fd);
}

static void arrived(struct inlet *inlet, const void *bytes, size_t length)
{
	struct stdio *stdio = container_of(inlet, struct stdio, input);

	stdio->arrived(stdio, bytes, length);
}

static void drained_stdout(struct outlet *outlet)
{
	struct stdio *stdio = container_of(outlet, struct stdio, outputs[0]);

	stdio->drained(stdio, 0);
}

static void drained_stderr(struct outlet *outlet)
{
	struct stdio *stdio = container_of(outlet, struct stdio, outputs[1]);

	stdio->drained(stdio, 1);
}

static void broke_stdout(struct outlet *outlet)
{
	struct stdio *stdio = container_of(outlet, struct stdio, outputs[0]);

	stdio->broke(stdio);
}

static void broke_stderr(struct outlet *outlet)
{
	struct stdio *stdio = container_of(outlet, struct stdio, outputs[1]);

	stdio->broke(stdio);
}

void stdio_open(struct stdio *stdio, struct loop *loop)
{
	inlet_open(&stdio->input, loop, STDIN_FILENO, arrived);
	outlet_open_shared(&stdio->outputs[0], loop, STDOUT_FILENO);
	outlet_open_shared(&stdio->outputs[1], loop, STDERR_FILENO);
	stdio->outputs[0].drained = drained_stdout;
	stdio->outputs[1].drained = drained_stderr;
	stdio->outputs[0].broke = broke_stdout;
	stdio->outputs[1].broke = broke_stderr;
}

void stdio_want(struct stdio *stdio, bool wanted)
{
	inlet_want(&stdio->input, wanted);
}

void stdio_write(struct stdio *stdio, unsigned stream, const void *bytes, size_t length)
{
	outlet_write(&stdio->outputs[stream], bytes, length);
}

bool stdio_pending(const struct stdio *stdio, unsigned stream)
{
	return outlet_pending(&stdio->outputs[stream]);
}

int stdio_broken(const struct stdio *stdio)
{
	return stdio->outputs[0].broken ? stdio->outputs[0].broken : stdio->outputs[1].broken;
}

void stdio_close(struct stdio *stdio)
{
	if (!stdio->outputs[0].loop)
		return;
	inlet_close(&stdio->input);
	outlet_close(&stdio->outputs[0]);
	outlet_close(&stdio->outputs[1]);
}
