/* The part of confinement that is about files: Landlock (landlock(7)), or a mount namespace of a few directories. */
#ifndef NACRE_PROXY_CONFINE_FILES_H
#define NACRE_PROXY_CONFINE_FILES_H

#include "proxy/options.h"

/* Leaves this process the options' directories alone: that of the run, of the carrier's socket and of forwards. One that isn't
 * there now can't be reached later. 0 or -errno with `error` filled (ENOSYS, EOPNOTSUPP, EPERM: not to be had here).
 *
 * By Landlock nothing else can be opened, made or removed, but what can be found can be connected to. In the namespace nothing
 * else is there; without root's rights it takes a user namespace (`with_user`), in which root's processes look like nobody's. */
int confine_files_landlock(const struct options *options, struct error *error);
int confine_files_namespace(const struct options *options, bool with_user, struct error *error);

#endif
