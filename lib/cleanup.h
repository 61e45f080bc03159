/* Attributes which free what a scope owns, on every way out of it.
 *
 *	cleanup_close int fd = open(...);
 *	cleanup_free char *text = strdup(...);
 *	return take_fd(&fd);                     // the caller owns it now
 */
#ifndef NACRE_LIB_CLEANUP_H
#define NACRE_LIB_CLEANUP_H

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free_pointer(void *pointer)
{
	free(*(void **)pointer);
}

static inline void cleanup_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define cleanup_free __attribute__((cleanup(cleanup_free_pointer)))
#define cleanup_close __attribute__((cleanup(cleanup_close_fd)))

/* Hands the fd or pointer on: returns it, and leaves -1 or NULL for the cleanup. */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#define take_pointer(pointer)                 \
	({                                    \
		__auto_type taken_ = *(pointer); \
		*(pointer) = NULL;            \
		taken_;                       \
	})

#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))
#define array_size(array) (sizeof(array) / sizeof((array)[0]))

#endif
