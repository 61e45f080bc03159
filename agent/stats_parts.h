/* What the files of the statistics share. */
#ifndef NACRE_AGENT_STATS_PARTS_H
#define NACRE_AGENT_STATS_PARTS_H

#include <stdbool.h>

#include "agent/stats.h"

#define STATS_TEXT_SIZE 65536 /* memory.stat and io.stat with many devices fit well */

struct stats_reader {
	struct arena *arena;
	const struct cgroup *cgroup;
	bool unified;
	int directory; /* of the controller that is being read */
	char *text;    /* STATS_TEXT_SIZE */
};

/* Makes a message of a part in the arena. NULL without memory. */
#define new_part(reader, init, type)                                                       \
	({                                                                                 \
		type *part_ = arena_alloc((reader)->arena, sizeof(type));                  \
		if (part_)                                                                 \
			init(part_);                                                       \
		part_;                                                                     \
	})

/* stats.c: reads a file of the current controller into reader->text. */
bool stats_read_text(struct stats_reader *reader, const char *file);

/* stats_io.c: 0 or -ENOMEM. */
int stats_read_io(struct stats_reader *reader, Grpc__CgroupStats *stats);

#endif
