/* Kernel modules that the command line asks for. */
#ifndef NACRE_INIT_MODULES_H
#define NACRE_INIT_MODULES_H

/* Makes /sbin/modprobe what the kernel itself asks for modules, and loads these ("a,b") by it, in their order. One that
 * can't be loaded costs a line in the log. */
void modules_load(const char *names);

#endif
