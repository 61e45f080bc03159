/* Exits of the supervisor's children: the ledger is the zombie itself.
 *
 * Nothing is written down about a child that has ended. It stays a zombie, and its pid isn't taken again, until the
 * agent has acknowledged it; after a restart of the agent the zombies are simply found again.
 *
 * They are reported one at a time. waitid(2) with WNOWAIT shows the first zombie and no other, the list of children in
 * /proc isn't in every kernel, and signals merge; knowing which of many were reported would take a table with a bound.
 * One at a time takes one pid, and no exit can be lost or doubled. The agent acknowledges as soon as it has noted an
 * exit, and whatever keeps it from that keeps it from acting on the next one too. The agent's own exit is looked for by
 * its pid, past everything that waits.
 */
#ifndef NACRE_INIT_REAPER_H
#define NACRE_INIT_REAPER_H

#include <stdbool.h>
#include <sys/types.h>

#define REAPER_OWN 2 /* the agent, and a shell; 0 for none */

struct reaper {
	pid_t reported; /* waits for its acknowledgement; 0: none */
};

/* Finds the next exit to report: its pid and its status (0..255, or 128 + signal). The supervisor's `own` children aren't
 * reported. False where there is none, or where one isn't acknowledged yet. */
bool reaper_next(const struct reaper *reaper, const pid_t own[REAPER_OWN], pid_t *pid, int *status);

/* `pid` has been reported. */
void reaper_reported(struct reaper *reaper, pid_t pid);

/* `pid` is acknowledged: reaps it. What wasn't reported is left alone. */
void reaper_acknowledge(struct reaper *reaper, pid_t pid);

/* A new agent: whatever the old one hadn't acknowledged is found again. */
void reaper_forget(struct reaper *reaper);

/* Reaps this one child if it has ended, and says how. */
bool reaper_ended(pid_t pid, int *status);

/* Reaps whoever has ended, where there is no agent to hear of it. False once there is no child left. */
bool reaper_reap_all(void);

/* Sends SIGTERM to every child; `everyone`: to every process there is, for PID 1 of a machine. */
void reaper_terminate_all(bool everyone);

/* Kills every child, and theirs, and reaps them; `everyone`: every process there is, for PID 1 of a machine. Gives up
 * after some seconds. */
void reaper_kill_all(bool everyone);

#endif
