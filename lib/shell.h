/* A shell on a terminal of the guest, as if by a login. */
#ifndef NACRE_LIB_SHELL_H
#define NACRE_LIB_SHELL_H

#define SHELL_UNAVAILABLE 127 /* exit status where the guest has no shell */

/* Becomes the shell of a session of its own with this terminal, in a child that was forked for it: out of the supervisor's
 * cgroup, with none of its descriptors, its signal mask or its protection when memory is short. Ends with
 * SHELL_UNAVAILABLE where there is none of the shells that it knows. */
_Noreturn void shell_become(int terminal);

#endif
