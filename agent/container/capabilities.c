/* Capabilities: the names by libcap-ng's table in the agent, the sets by system calls in the helper.
 *
 * The helper uses no library for it: it must not read what the kernel supports out of a /proc which a container may
 * have covered, and allocate nothing.
 */
#define LOG_SUBSYSTEM "container"
#include "agent/container/capabilities.h"

#include <cap-ng.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"

#define CAPABILITY_NUMBERS 64

uint64_t capabilities_available(void)
{
	uint64_t set = 0;

	for (int number = 0; number < CAPABILITY_NUMBERS; number++) {
		int has = prctl(PR_CAPBSET_READ, number, 0, 0, 0);

		if (has < 0)
			break; /* there are no more */
		set |= (uint64_t)has << number;
	}
	return set;
}

/* "A, B" with a bound: and whether there are more than fit. */
struct left_out {
	char names[192];
	size_t length;
	bool more;
};

static void leave_out(struct left_out *left, const char *name)
{
	int length = snprintf(left->names + left->length, sizeof(left->names) - left->length, "%s%.64s",
			      left->length ? ", " : "", name);

	if ((size_t)length < sizeof(left->names) - left->length)
		left->length += (size_t)length;
	else
		left->more = true;
	left->names[left->length] = '\0';
}

/* The set of those names that are in `possible`. */
static uint64_t add_names(uint64_t possible, char **names, size_t count, struct left_out *left)
{
	uint64_t set = 0;

	for (size_t i = 0; i < count; i++) {
		/* The Rust runtime sends the names without their prefix. */
		const char *name = strncasecmp(names[i], "CAP_", 4) == 0 ? names[i] + 4 : names[i];
		int number = capng_name_to_capability(name);

		if (number >= 0 && number < CAPABILITY_NUMBERS && possible >> number & 1)
			set |= UINT64_C(1) << number;
		else
			leave_out(left, names[i]);
	}
	return set;
}

static bool same_names(char **left, char **right, size_t count)
{
	size_t i = 0;

	while (i < count && strcmp(left[i], right[i]) == 0)
		i++;
	return i == count;
}

void capabilities_plan(struct plan_capabilities *capabilities, const Grpc__LinuxCapabilities *names, uint64_t possible,
		       const char *id)
{
	bool left_any = false;

	memset(capabilities, 0, sizeof(*capabilities));
	if (!names)
		return;

	const struct {
		const char *title;
		uint64_t *set;
		char **names;
		size_t count;
	} lists[] = {
		{"bounding", &capabilities->bounding, names->bounding, names->n_bounding},
		{"effective", &capabilities->effective, names->effective, names->n_effective},
		{"permitted", &capabilities->permitted, names->permitted, names->n_permitted},
		{"inheritable", &capabilities->inheritable, names->inheritable, names->n_inheritable},
		{"ambient", &capabilities->ambient, names->ambient, names->n_ambient},
	};

	for (size_t i = 0; i < array_size(lists); i++) {
		struct left_out left = {.length = 0};

		if (lists[i].set == &capabilities->ambient)
			possible &= capabilities->permitted & capabilities->inheritable;
		/* Mostly some of them are the same, and looking the names up takes long. */
		if (i > 0 && !left_any && (*lists[i - 1].set & ~possible) == 0 && lists[i].count == lists[i - 1].count &&
		    same_names(lists[i].names, lists[i - 1].names, lists[i].count)) {
			*lists[i].set = *lists[i - 1].set;
			continue;
		}
		*lists[i].set = add_names(possible, lists[i].names, lists[i].count, &left);
		left_any = left.length > 0;
		if (left_any)
			log_warning("container %s: %s capabilities that can't be given are left out: %s%s", id,
				    lists[i].title, left.names, left.more ? ", and more" : "");
	}
}

int capabilities_bound(uint64_t keep, struct error *error)
{
	for (int number = 0; number < CAPABILITY_NUMBERS; number++) {
		if (keep >> number & 1 || prctl(PR_CAPBSET_DROP, number, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL)
			break; /* there are no more */
		return error_errno(error, errno, "drop capability %d from the bounding set", number);
	}
	return 0;
}

static int set_capabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable, struct error *error)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
		{(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)},
	};

	if (syscall(SYS_capset, &header, data) < 0)
		return error_errno(error, errno, "set capabilities");
	return 0;
}

static int get_capabilities(struct plan_capabilities *capabilities, struct error *error)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return error_errno(error, errno, "get capabilities");
	capabilities->effective = data[0].effective | (uint64_t)data[1].effective << 32;
	capabilities->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	capabilities->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
	return 0;
}

int capabilities_raise(struct error *error)
{
	return capabilities_lower(UINT64_MAX, error);
}

int capabilities_lower(uint64_t effective, struct error *error)
{
	struct plan_capabilities now;
	int status = get_capabilities(&now, error);

	return status < 0 ? status :
			    set_capabilities(effective & now.permitted, now.permitted, now.inheritable, error);
}

/* All five sets, bounding and ambient ones too: a silent difference is a container with other rights. */
static int verify(const struct plan_capabilities *capabilities, struct error *error)
{
	struct plan_capabilities now = {.bounding = capabilities_available()};

	if (get_capabilities(&now, error) < 0)
		return -error->number;
	/* There are none but among these. */
	for (int number = 0; number < CAPABILITY_NUMBERS; number++)
		if ((now.inheritable & now.permitted) >> number & 1 &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, number, 0, 0) == 1)
			now.ambient |= UINT64_C(1) << number;
	if (memcmp(&now, capabilities, sizeof(now)) != 0)
		return error_set(error, EPERM, "the capabilities are not what they were set to");
	return 0;
}

int capabilities_apply(const struct plan_capabilities *capabilities, struct error *error)
{
	int status;

	/* Ambient ones must go first: they'd fall with the inheritable set, but only as far as it loses them. */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return error_errno(error, errno, "clear the ambient capabilities");
	status = set_capabilities(capabilities->effective, capabilities->permitted, capabilities->inheritable, error);
	if (status < 0)
		return status;
	for (int number = 0; number < CAPABILITY_NUMBERS; number++) {
		if (!(capabilities->ambient >> number & 1))
			continue;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) < 0)
			return error_errno(error, errno, "raise ambient capability %d", number);
	}
	return verify(capabilities, error);
}
