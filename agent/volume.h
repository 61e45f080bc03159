/* Volumes that are mounted: how full they are, and room for more (behaviour.md section 3; the CSI specification's
 * NodeGetVolumeStats and NodeExpandVolume). All of it blocks: for jobs.
 */
#ifndef NACRE_AGENT_VOLUME_H
#define NACRE_AGENT_VOLUME_H

#include <stdint.h>
#include <sys/vfs.h>

#include "lib/error.h"

/* Fills `*stats` with statfs(2)'s of the volume at an absolute path, which can be opened. 0 or -errno. */
int volume_stats(const char *path, struct statfs *stats, struct error *error);

/* Grows the file system (ext4, XFS) at `path` to `size` bytes, its device having grown to that before or doing so within
 * `timeout` nanoseconds. 0: as large as the device. One that is as large already is left as it is. 0 or -errno: EOPNOTSUPP
 * for another file system, or one with no disk. */
int volume_resize(const char *path, uint64_t size, uint64_t timeout, struct error *error);

/* Looks at every mount below Kata's shared folder, so that the host's virtiofsd forgets what is gone there. 0 or -errno. */
int volume_touch_shared(struct error *error);

#endif
