/* Control sequences, those that every terminal of today knows (ECMA-48, and xterm's other screen). */
#include "runtime/screen.h"

#include <string.h>
#include <unistd.h>

#include "lib/fd.h"

#define OTHER_SCREEN "\033[?1049h\033[?25l" /* and no cursor */
#define OWN_SCREEN "\033[?25h\033[?1049l"
#define HOME "\033[H"
#define REVERSE "\033[7m"
#define PLAIN "\033[m"
#define REST_OF_LINE "\033[K"
#define REST "\033[J"
#define TEXT_LIMIT (1u << 20)
#define ROWS_DEFAULT 24 /* where the terminal doesn't tell */
#define COLUMNS_DEFAULT 80

static void put(struct screen *screen, const char *text)
{
	buffer_append(&screen->text, text, strlen(text));
}

static int send(const char *text)
{
	return fd_write_all(STDOUT_FILENO, text, strlen(text));
}

int screen_open(struct screen *screen, struct error *error)
{
	int status;

	*screen = (struct screen){.terminal.fd = -1};
	buffer_init(&screen->text, TEXT_LIMIT);
	status = terminal_make_raw(&screen->terminal, STDIN_FILENO, error);
	if (status == 0)
		send(OTHER_SCREEN);
	return status;
}

void screen_again(struct screen *screen)
{
	terminal_again(&screen->terminal);
	send(OTHER_SCREEN);
}

void screen_close(struct screen *screen)
{
	if (screen->terminal.fd >= 0)
		send(OWN_SCREEN);
	terminal_restore(&screen->terminal);
	buffer_free(&screen->text);
}

void screen_begin(struct screen *screen)
{
	if (!terminal_size(&screen->rows, &screen->columns)) {
		screen->rows = ROWS_DEFAULT;
		screen->columns = COLUMNS_DEFAULT;
	}
	screen->left = screen->rows;
	buffer_consume(&screen->text, buffer_length(&screen->text));
	put(screen, HOME);
}

void screen_line(struct screen *screen, const char *line, bool reverse)
{
	size_t length = strlen(line);

	if (screen->left == 0)
		return;
	/* A newline behind the last row would scroll. */
	if (screen->left < screen->rows)
		put(screen, "\r\n");
	screen->left--;
	if (reverse)
		put(screen, REVERSE);
	buffer_append(&screen->text, line, length < screen->columns ? length : screen->columns);
	if (reverse)
		put(screen, PLAIN);
	/* On a full line the cursor stands on its last character still, which would be wiped out. */
	if (length < screen->columns)
		put(screen, REST_OF_LINE);
}

int screen_show(struct screen *screen)
{
	if (screen->left > 0)
		put(screen, "\r\n" REST);
	return fd_write_all(STDOUT_FILENO, buffer_bytes(&screen->text), buffer_length(&screen->text));
}
