/* A whole terminal, drawn again and again: its other screen, so that what the user had on it comes back. */
#ifndef NACRE_RUNTIME_SCREEN_H
#define NACRE_RUNTIME_SCREEN_H

#include <stdbool.h>

#include "lib/buffer.h"
#include "lib/error.h"
#include "runtime/terminal.h"

struct screen {
	struct terminal terminal; /* its fd is -1 where there is no screen */
	struct buffer text;	  /* of the picture that is being drawn */
	unsigned rows, columns;
	unsigned left; /* rows of the picture */
};

/* Takes the terminal of stdin and stdout: raw, without a cursor. 0 or -errno. screen_close() in any case. */
int screen_open(struct screen *screen, struct error *error);

/* Takes it once more, after a shell has had it in between. */
void screen_again(struct screen *screen);

/* Gives it back as it was. */
void screen_close(struct screen *screen);

/* A picture: begun, where rows, columns and left say what there is room for; each line, cut to the columns and dropped
 * where no row is left, in reverse video or not; and shown, in one write. 0 or -errno: nobody is there any more. */
void screen_begin(struct screen *screen);
void screen_line(struct screen *screen, const char *line, bool reverse);
int screen_show(struct screen *screen);

#endif
