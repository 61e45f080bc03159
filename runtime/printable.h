/* What comes from a guest may be anything, and isn't shown to anybody's terminal as it is. */
#ifndef NACRE_RUNTIME_PRINTABLE_H
#define NACRE_RUNTIME_PRINTABLE_H

static inline char printable(char byte)
{
	return byte >= ' ' && byte <= '~' ? byte : '?';
}

#endif
