/* The help of a command, taken apart again: what completion knows of options comes from here, so it can't fall behind. */
#ifndef NACRE_RUNTIME_HELP_TEXT_H
#define NACRE_RUNTIME_HELP_TEXT_H

#include <stdbool.h>

struct help_option {
	char short_name;	 /* '\0' where there is none */
	char long_name[32];	 /* "" where there is none */
	char argument[64];	 /* "FILE", "a|b|c" for a choice, "" for a switch */
	char description[128]; /* its first line */
};

/* Takes the next option from *text, which moves on. False where there is none left. It reads what popt prints, and what
 * Python's argparse does. */
bool help_text_next(const char **text, struct help_option *option);

/* Whether an option's argument is a choice, "a|b|c". */
bool help_text_is_choice(const struct help_option *option);

/* What a command's arguments are, by its usage line. */
enum help_arguments { HELP_FILES, HELP_NAMES, HELP_NAMES_AND_PATHS };
enum help_arguments help_text_arguments(const char *text);

#endif
