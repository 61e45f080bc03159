/* One `nacre exec`: a further process in a container that runs. */
#ifndef NACRE_RUNTIME_EXEC_H
#define NACRE_RUNTIME_EXEC_H

#include "runtime/exec_options.h"

/* What docker exec ends with where the container isn't there or doesn't run. */
#define EXIT_NO_CONTAINER 1

/* Runs it. What goes wrong is told on stderr. The exit status. */
int exec_run(const struct exec_options *options);

#endif
