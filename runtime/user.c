/* passwd and group, read with suspicion. */
#include "runtime/user.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/path.h"

#define FILE_LIMIT (1u << 20)
#define FIELDS_MAX 7
#define GROUP_FIELDS 4
#define NAME_SIZE 256

/* A number of 0 to 2^32-2: the last one means "none" to the kernel. */
static bool parse_id(const char *text, uint32_t *id)
{
	unsigned long long number;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (*end != '\0' || errno != 0 || number >= UINT32_MAX)
		return false;
	*id = (uint32_t)number;
	return true;
}

/* The whole file, terminated; NULL where there is none, or none that we'd read. Looked at before it is opened for
 * reading: opening a device or a FIFO can do things. */
static char *read_table(int root, const char *path)
{
	cleanup_close int handle = path_open_in_root(root, path, O_PATH, 0, NULL), fd = -1;
	cleanup_free char *text = NULL;
	char self[PATH_OF_FD_SIZE];
	struct stat stat;
	ssize_t length;

	if (handle < 0 || fstat(handle, &stat) < 0 || !S_ISREG(stat.st_mode) || stat.st_size > FILE_LIMIT)
		return NULL;
	fd = open(path_of_fd(self, handle), O_RDONLY | O_CLOEXEC);
	text = malloc(FILE_LIMIT + 1);
	if (fd < 0 || !text)
		return NULL;
	length = fd_read_all(fd, text, FILE_LIMIT);
	if (length < 0)
		return NULL;
	text[length] = '\0';
	return take_pointer(&text);
}

/* Cuts the next line of *rest into `fields` by its colons, in place. How many; 0 at the end. */
static size_t next_line(char **rest, char *fields[FIELDS_MAX])
{
	char *line = *rest, *end;
	size_t count = 0;

	if (!*line)
		return 0;
	end = strchrnul(line, '\n');
	*rest = *end ? end + 1 : end;
	*end = '\0';
	while (line && count < FIELDS_MAX) {
		fields[count++] = line;
		line = strchr(line, ':');
		if (line)
			*line++ = '\0';
	}
	return count;
}

/* Looks for the user by name, or by number where that is given. True where passwd has him. */
static bool find_user(struct user *user, char *passwd, const char *name, const uint32_t *number, char login[NAME_SIZE])
{
	char *rest = passwd, *fields[FIELDS_MAX];
	uint32_t uid, gid;
	size_t count;

	while (rest && (count = next_line(&rest, fields)) > 0) {
		if (count < FIELDS_MAX || !parse_id(fields[2], &uid) || !parse_id(fields[3], &gid))
			continue;
		if (number ? uid != *number : strcmp(fields[0], name) != 0)
			continue;
		user->uid = uid;
		user->gid = gid;
		snprintf(login, NAME_SIZE, "%s", fields[0]);
		if (fields[5][0] == '/' && strlen(fields[5]) < sizeof(user->home))
			strcpy(user->home, fields[5]);
		return true;
	}
	return false;
}

static bool is_member(char *members, const char *login)
{
	char *save = NULL;

	for (char *member = strtok_r(members, ",", &save); member; member = strtok_r(NULL, ",", &save))
		if (strcmp(member, login) == 0)
			return true;
	return false;
}

static void find_supplementary(struct user *user, char *table, const char *login)
{
	char *rest = table, *fields[FIELDS_MAX];
	uint32_t gid;
	size_t count;

	while (rest && (count = next_line(&rest, fields)) > 0)
		if (count >= GROUP_FIELDS && parse_id(fields[2], &gid) && is_member(fields[3], login) &&
		    user->group_count < USER_GROUPS_MAX)
			user->groups[user->group_count++] = gid;
}

static int find_group(uint32_t *gid, char *table, const char *name, struct error *error)
{
	char *rest = table, *fields[FIELDS_MAX];
	size_t count;

	while (rest && (count = next_line(&rest, fields)) > 0)
		if (count >= GROUP_FIELDS && strcmp(fields[0], name) == 0 && parse_id(fields[2], gid))
			return 0;
	return error_set(error, ENOENT, "no group '%s' in the root file system's /etc/group", name);
}

static bool all_digits(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

static int resolve_user(struct user *user, char *passwd, const char *name, char login[NAME_SIZE], struct error *error)
{
	uint32_t number = 0;

	if (!all_digits(name)) {
		if (find_user(user, passwd, name, NULL, login))
			return 0;
		return error_set(error, ENOENT, "no user '%s' in the root file system's /etc/passwd", name);
	}
	if (!parse_id(name, &number))
		return error_set(error, EINVAL, "'%s' is no user id", name);
	if (!find_user(user, passwd, NULL, &number, login))
		user->uid = number;
	return 0;
}

int user_resolve(struct user *user, int root, const char *text, struct error *error)
{
	cleanup_free char *passwd = NULL, *group = NULL;

	if (root < 0 && text && text[strspn(text, "0123456789:")] != '\0')
		return error_set(error, ENOENT, "user '%.64s': names can't be looked up in the image of a file system, "
				 "only numbers can be given", text);
	passwd = read_table(root, "/etc/passwd");
	group = read_table(root, "/etc/group");
	return user_resolve_texts(user, passwd, group, text, error);
}

int user_resolve_texts(struct user *user, char *passwd, char *groups, const char *text, struct error *error)
{
	char name[NAME_SIZE], login[NAME_SIZE] = "", *group;
	int status;

	*user = (struct user){0};
	if (!text || !*text)
		text = "0";
	if (strlen(text) >= sizeof(name))
		return error_set(error, EINVAL, "--user: '%.64s...' is too long", text);
	strcpy(name, text);
	group = strchr(name, ':');
	if (group)
		*group++ = '\0';
	if (!*name || (group && !*group))
		return error_set(error, EINVAL, "--user: '%s' is not USER or USER:GROUP", text);
	status = resolve_user(user, passwd, name, login, error);
	if (status < 0)
		return status;
	if (!group) {
		if (*login)
			find_supplementary(user, groups, login);
		return 0;
	}
	if (!all_digits(group))
		return find_group(&user->gid, groups, group, error);
	return parse_id(group, &user->gid) ? 0 : error_set(error, EINVAL, "'%s' is no group id", group);
}
