/* Merged images that are kept: ${XDG_CACHE_HOME:-~/.cache}/nacre/images/DIGEST/, the last $NACRE_CACHE_IMAGES (20) that were
 * used. Any of them may be deleted at any time: that costs the next run the time to merge it again, and nothing else.
 */
#ifndef NACRE_RUNTIME_SOURCE_CACHE_H
#define NACRE_RUNTIME_SOURCE_CACHE_H

#include "runtime/source.h"

/* Opens the image of source->identity: source->folder, source->final_path. 0, or -ENOENT. */
int cache_find(struct source *source);

/* Makes an empty folder for it, under a name that nobody finds: source->folder, folder_path and final_path. It is removed
 * by cache_forget(), or by the next one here where its maker has died. 0 or -errno. */
int cache_make(struct source *source, struct error *error);

/* Gives the folder its name; where another has made it meanwhile, that one is taken. 0 or -errno. */
int cache_keep(struct source *source, struct error *error);

/* Removes the folder that cache_make() made, if it hasn't been kept. */
void cache_forget(struct source *source);

#endif
