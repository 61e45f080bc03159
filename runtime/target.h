/* Whose VM a command is about: that of a container of `nacre run`, by its NAME; or, with --dir DIR, any VM whose
 * nacre-proxy has its sockets in DIR, and a container in it by the id that its runtime has given it.
 */
#ifndef NACRE_RUNTIME_TARGET_H
#define NACRE_RUNTIME_TARGET_H

#include <stdint.h>

#include "lib/error.h"

/* An entry of the tables of commands that take both. */
#define TARGET_OPTION(variable)                                                                                           \
	{"dir", 0, POPT_ARG_STRING, variable, 0, "of the proxy of a VM that another runtime has started", "DIR"}

struct target {
	char *directory;  /* where the proxy's sockets are */
	char *container;  /* the container's id in the guest; NULL where none was named */
	uint64_t memory;  /* the VM's, in bytes; 0: not known */
};

/* Finds it; `directory` is what --dir says, or NULL, and `name` may be NULL where it says something. 0, or -errno: EINVAL,
 * neither was said; ENOENT, there is none; ESRCH, it isn't running (which of another runtime's VM only a connection
 * tells). target_close() in any case. */
int target_open(struct target *target, const char *directory, const char *name, struct error *error);
void target_close(struct target *target);

/* The same for what is about the VM as a whole: a NAME or --dir, and not both (EINVAL). */
int target_open_machine(struct target *target, const char *directory, const char *name, struct error *error);

#endif
