/* The exit statuses of `nacre run`, docker's: a container's own status, or one of these. */
#ifndef NACRE_RUNTIME_EXIT_STATUS_H
#define NACRE_RUNTIME_EXIT_STATUS_H

enum exit_status {
	EXIT_FAULT = 125,	   /* nacre's own fault, or bad usage */
	EXIT_NOT_EXECUTABLE = 126, /* the command is there, and can't be run */
	EXIT_NOT_FOUND = 127,	   /* the command isn't there */
	EXIT_BY_SIGNAL = 128,	   /* plus the signal's number */
};

#endif
