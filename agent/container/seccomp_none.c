/* In place of seccomp.c where the agent is built without seccomp (Kconfig: SECCOMP): a container that asks for a filter
 * is refused, not run without. */
#include "agent/container/seccomp.h"

#include <errno.h>

int seccomp_plan(struct plan_process *process, struct arena *arena, const Grpc__LinuxSeccomp *profile,
		 const struct plan_extras *extras, struct error *error)
{
	(void)extras;
	(void)process;
	(void)arena;
	if (profile && profile->defaultaction && profile->defaultaction[0])
		return error_set(error, ENOTSUP, "seccomp: this agent is built without it");
	return 0;
}

int seccomp_load_plan(const struct plan_process *process, struct error *error)
{
	(void)process;
	(void)error;
	return 0;
}
