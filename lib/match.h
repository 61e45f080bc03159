/* Paths by a pattern, for folders of the kernel's: glob(3) with nothing but '*', as that of musl brings 17 KB of character
 * classes into the agent. */
#ifndef NACRE_LIB_MATCH_H
#define NACRE_LIB_MATCH_H

/* Calls `found` for each path which is there and which an absolute pattern stands for, in the order of their names: each of the
 * pattern's elements may have one '*', that stands for any text (a leading '.' as well, but neither for "." nor ".."). Ends with
 * the first result that isn't 0, and returns it; 0 where there is none. */
int match_each(const char *pattern, int (*found)(const char *path, void *data), void *data);

#endif
