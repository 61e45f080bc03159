/* Folders that a storage needs made, and that are gone again where the rest of it fails. */
#ifndef NACRE_AGENT_STORAGE_MADE_H
#define NACRE_AGENT_STORAGE_MADE_H

#include <stddef.h>

/* How much of an absolute path there is already: the length of the longest part of it, from the front, that exists. */
size_t made_existing(const char *path);

/* Removes what of `path` has been made since made_existing() said `kept`, from its end on. What isn't empty stays. */
void made_remove(const char *path, size_t kept);

#endif
