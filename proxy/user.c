/* Becoming another user. */
#include "proxy/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"

static int parse_id(const char *text, unsigned int *id)
{
	unsigned long long value;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	value = strtoull(text, &end, 10);
	*id = (unsigned int)value;
	return *end == '\0' && value < UINT32_MAX ? 0 : -EINVAL;
}

static int find_group(const char *name, gid_t *group, struct error *error)
{
	const struct group *entry;

	if (parse_id(name, group) == 0)
		return 0;
	entry = getgrnam(name);
	if (!entry)
		return error_set(error, EINVAL, "--user: there is no group '%s'", name);
	*group = entry->gr_gid;
	return 0;
}

int user_become(const char *text, struct error *error)
{
	cleanup_free char *name = strdup(text);
	char *colon = name ? strchr(name, ':') : NULL;
	const struct passwd *entry;
	uid_t user;
	gid_t group;

	if (!name)
		return error_errno(error, ENOMEM, "--user");
	if (colon)
		*colon = '\0';
	entry = parse_id(name, &user) == 0 ? getpwuid(user) : getpwnam(name);
	if (entry)
		user = entry->pw_uid;
	else if (parse_id(name, &user) < 0)
		return error_set(error, EINVAL, "--user: there is no user '%s'", name);
	group = entry ? entry->pw_gid : (gid_t)user;
	if (colon && find_group(colon + 1, &group, error) < 0)
		return -EINVAL;
	if ((entry ? initgroups(entry->pw_name, group) : setgroups(0, NULL)) < 0 || setgid(group) < 0 || setuid(user) < 0)
		return error_errno(error, errno, "--user %s", text);
	return 0;
}
