/* The user's terminal: raw while the container has it, and always put back. */
#ifndef NACRE_RUNTIME_TERMINAL_H
#define NACRE_RUNTIME_TERMINAL_H

#include <stdbool.h>
#include <termios.h>

#include "lib/error.h"

struct terminal {
	int fd; /* -1 where it isn't ours to change */
	struct termios saved;
};

/* Makes the terminal `fd` raw. 0 or -errno. */
int terminal_make_raw(struct terminal *terminal, int fd, struct error *error);

/* Raw again, after somebody (a shell, on SIGSTOP) has put it back. */
void terminal_again(const struct terminal *terminal);

/* As it was. Nothing happens where nothing was changed. */
void terminal_restore(struct terminal *terminal);

/* Its size. False where there is none. */
bool terminal_size(unsigned *rows, unsigned *columns);

#endif
