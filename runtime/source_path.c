/* Names, piece by piece. */
#include "runtime/source_path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int source_path_clean(const char *text, char clean[PATH_MAX], struct error *error)
{
	size_t used = 0;

	if (*text == '/')
		return error_set(error, EINVAL, "the archive has an absolute name: %.120s", text);
	for (const char *part = text; *part;) {
		size_t length = strcspn(part, "/");

		if (length == 2 && memcmp(part, "..", 2) == 0)
			return error_set(error, EINVAL, "the archive has a name with '..' in it: %.120s", text);
		if (length > NAME_MAX || used + length + 2 > PATH_MAX)
			return error_set(error, ENAMETOOLONG, "the archive has a name that is too long: %.120s...", text);
		if (length > 0 && !(length == 1 && *part == '.')) {
			if (used > 0)
				clean[used++] = '/';
			memcpy(clean + used, part, length);
			used += length;
		}
		part += length + strspn(part + length, "/");
	}
	clean[used] = '\0';
	return 0;
}

int source_path_link(const char *name, const char *target, char clean[PATH_MAX], struct error *error)
{
	const char *slash = strrchr(name, '/');
	char joined[PATH_MAX];
	size_t used;

	if (!target || *target == '/')
		return error_set(error, EINVAL, "the archive has a link out of itself: %.120s", name);
	if (snprintf(joined, sizeof(joined), "%.*s", slash ? (int)(slash - name) : 0, name) >= PATH_MAX)
		return error_set(error, ENAMETOOLONG, "the archive has a name that is too long");
	used = strlen(joined);
	while (strncmp(target, "../", 3) == 0) {
		char *last = strrchr(joined, '/');

		if (used == 0)
			return error_set(error, EINVAL, "the archive has a link out of itself: %.120s", name);
		used = last ? (size_t)(last - joined) : 0;
		joined[used] = '\0';
		target += 3;
	}
	if (snprintf(joined + used, sizeof(joined) - used, "%s%s", used ? "/" : "", target) >=
	    (int)(sizeof(joined) - used))
		return error_set(error, ENAMETOOLONG, "the archive has a name that is too long");
	return source_path_clean(joined, clean, error);
}
