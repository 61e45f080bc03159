/* signalfd. */
#include "runtime/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"

static const int watched[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT};

/* nohup(1) and shells' background jobs ignore some on purpose: those stay ignored. */
static bool is_ignored(int number)
{
	struct sigaction action;

	return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static void signalled(struct loop_source *source, uint32_t events)
{
	struct signals *signals = container_of(source, struct signals, source);
	struct signalfd_siginfo info;

	(void)events;
	if (read(signals->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		signals->arrived(signals, (int)info.ssi_signo);
}

int signals_open(struct signals *signals, struct loop *loop, void (*arrived)(struct signals *signals, int number))
{
	sigset_t set;
	int status;

	*signals = (struct signals){.loop = loop, .fd = -1, .arrived = arrived};
	signals->source.fd = -1;
	sigemptyset(&set);
	for (size_t i = 0; i < array_size(watched); i++)
		if (!is_ignored(watched[i]))
			sigaddset(&set, watched[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signals->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals->fd < 0)
		return -errno;
	status = loop_add(loop, &signals->source, signals->fd, EPOLLIN, signalled);
	if (status < 0)
		signals_close(signals);
	return status;
}

void signals_close(struct signals *signals)
{
	if (!signals->loop)
		return;
	loop_remove(signals->loop, &signals->source);
	fd_close(&signals->fd);
}
