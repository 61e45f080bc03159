/* The supervisor: keeps an agent running, its descriptors, and the exits of all processes until it has noted them.
 *
 * PID 1 in a guest, an ordinary parent and subreaper elsewhere. It parses nothing that comes from outside of this
 * program, and allocates nothing once it runs. See docs/design.md, "Guest: supervisor and agent".
 */
#ifndef NACRE_INIT_SUPERVISE_H
#define NACRE_INIT_SUPERVISE_H

/* As PID 1 of a machine: sets it up, and ends it when the agent says so. */
void supervise_guest(void) __attribute__((noreturn));

/* Elsewhere: runs the agent with these arguments, until it says that it is done, or SIGTERM, SIGINT or SIGHUP arrives;
 * every child is killed then. The exit status: 0, or that of an agent which ended before it was ever ready, or 1. */
int supervise_here(char **arguments);

#endif
