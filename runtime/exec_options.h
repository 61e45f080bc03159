/* What `nacre exec` was asked to do. */
#ifndef NACRE_RUNTIME_EXEC_OPTIONS_H
#define NACRE_RUNTIME_EXEC_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/error.h"
#include "runtime/detach_keys.h"
#include "runtime/environment.h"
#include "runtime/run_options.h"

struct exec_options {
	bool interactive, terminal, detached;
	const char *directory; /* cwd; NULL: the container's */
	const char *user;      /* NULL: the container's */
	struct environment environment;
	enum io_way io;
	struct detach_keys keys;
	const char *name;     /* of the container */
	const char **command; /* NULL-terminated, not empty */
	bool help;	      /* help was asked for, and printed */
	void *parser;	      /* keeps the strings */
};

/* As run_options_parse() and run_options_free(). */
int exec_options_parse(struct exec_options *options, int argc, const char *argv[], struct error *error);
void exec_options_free(struct exec_options *options);

#endif
