/* One `nacre run`: from options to exit status. */
#ifndef NACRE_RUNTIME_RUN_H
#define NACRE_RUNTIME_RUN_H

#include "runtime/run_options.h"

/* Boots a VM, runs the container in it, and ends both. What goes wrong is told on stderr. The exit status. */
int run(const struct run_options *options);

#endif
