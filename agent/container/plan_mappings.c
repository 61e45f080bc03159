/* Ranges of ids, of a user namespace or of a mount. See user_namespaces(7). */
#include <errno.h>

#include "agent/container/plan_parts.h"

#define MAPPINGS_MAX 340 /* of the kernel */

int plan_mappings_copy(struct plan *plan, const struct plan_mapping **result, size_t *result_count,
		       const struct plan_mapping *given, size_t count, struct error *error)
{
	struct plan_mapping *mappings;

	if (count > MAPPINGS_MAX)
		return error_set(error, EINVAL, "%zu id mappings are too many", count);
	mappings = plan_array(plan->arena, count, sizeof(*mappings), error);
	if (!mappings)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (given[i].count == 0)
			return error_set(error, EINVAL, "an id mapping of size 0");
		mappings[i] = given[i];
	}
	*result = mappings;
	*result_count = count;
	return 0;
}
