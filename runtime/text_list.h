/* Lists of texts with a NULL at their end. */
#ifndef NACRE_RUNTIME_TEXT_LIST_H
#define NACRE_RUNTIME_TEXT_LIST_H

#include <stddef.h>

/* How many there are; none in NULL. */
static inline size_t text_list_count(const char *const *list)
{
	size_t count = 0;

	while (list && list[count])
		count++;
	return count;
}

#endif
