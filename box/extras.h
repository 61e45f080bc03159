/* What config.json can say and the protocol's messages can't: agent/container/plan_extras.h, from the document. */
#ifndef NACRE_BOX_EXTRAS_H
#define NACRE_BOX_EXTRAS_H

#include <jansson.h>

#include "agent/container/plan_extras.h"
#include "lib/arena.h"
#include "lib/error.h"

/* Of a whole config.json. The texts stay the document's, arrays are in the arena. 0, -ENOMEM, or -EINVAL with the place. */
int extras_read(struct plan_extras *extras, const json_t *document, struct arena *arena, struct error *error);

/* Of a process object. */
int extras_read_process(struct plan_process_extras *extras, const json_t *process, struct arena *arena,
			struct error *error);

#endif
