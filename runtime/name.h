/* Names of containers (and of their VMs): the rule, and names for those who don't care. */
#ifndef NACRE_RUNTIME_NAME_H
#define NACRE_RUNTIME_NAME_H

#include <stdbool.h>

#define NAME_LONGEST 64
#define NAME_RULE "a letter or digit, and then 1 to 63 letters, digits, '_', '.' or '-'"

/* [A-Za-z0-9][A-Za-z0-9_.-]{1,63}, whatever the locale. */
bool name_valid(const char *name);

/* Makes one up: "brave-otter-3f9a". */
void name_make(char name[NAME_LONGEST + 1]);

#endif
