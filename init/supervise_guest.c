/* PID 1 of a machine. */
#define LOG_SUBSYSTEM "init"
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "init/early.h"
#include "init/power.h"
#include "init/shell.h"
#include "init/supervise.h"
#include "init/supervise_state.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/shell.h"

#define SHELL_DELAY LOOP_SECOND /* between one shell and the next */

/* The shell ---------------------------------------------------------------------------------------------------- */

static void start_shell(struct supervise *supervise)
{
	struct error error;
	pid_t pid = shell_start(supervise->settings.shell, &error);

	supervise->next_shell = loop_now() + SHELL_DELAY;
	if (pid > 0)
		supervise->shell = pid;
	else if (!supervise->shell_failed)
		log_warning("%s", error.text);
	/* The terminal may be one that appears later. */
	supervise->shell_failed = pid < 0;
}

void supervise_look_at_shell(struct supervise *supervise)
{
	int status;

	if (supervise->shell > 0 && reaper_ended(supervise->shell, &status)) {
		supervise->shell = 0;
		if (status == SHELL_UNAVAILABLE) {
			log_warning("there is no shell in this image");
			*supervise->settings.shell = '\0';
		}
	}
	if (*supervise->settings.shell && supervise->shell == 0 && !supervise->stop.wanted &&
	    loop_now() >= supervise->next_shell)
		start_shell(supervise);
}

/* Start and end ------------------------------------------------------------------------------------------------ */

static _Noreturn void end_guest(struct supervise *supervise)
{
	if (supervise->hopeless && supervise->settings.rescue) {
		reaper_kill_all(true);
		shell_rescue();
	}
	power_off(supervise->settings.exit_by_reboot);
}

void supervise_guest(void)
{
	static struct supervise supervise; /* all zeros, so that it takes no room in the file */
	static char *arguments[] = {"nacre-agent", NULL};
	struct error error;
	int status;

	supervise.guest = true;
	settings_init(&supervise.settings);
	log_open(STDERR_FILENO, LOG_JSON, LOG_INFO, "nacre-init");
	status = early_start(&supervise.settings, &error);
	if (status == 0)
		status = supervise_prepare(&supervise, arguments, &error);
	if (status < 0) {
		log_error("the guest can't start: %s", error.text);
		supervise.hopeless = true;
		end_guest(&supervise);
	}
	power_buttons_open(&supervise.buttons);
	supervise_run(&supervise);
	end_guest(&supervise);
}

