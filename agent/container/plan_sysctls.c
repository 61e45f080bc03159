/* Sysctls: only those which belong to one of the container's own namespaces (OCI config-linux.md "Sysctl").
 *
 * Keys become paths below /proc/sys. A key with '/' or an empty or ".." part is refused, so that a key can't name
 * another file than it seems to; what is on the list can't reach another namespace's settings.
 */
#include <errno.h>
#include <string.h>

#include "agent/container/plan_parts.h"
#include "lib/cleanup.h"

struct sysctl_rule {
	const char *name;
	bool prefix;
	enum plan_namespace_kind needs;
};

static const struct sysctl_rule rules[] = {
	{"kernel.msgmax", false, PLAN_IPC},
	{"kernel.msgmnb", false, PLAN_IPC},
	{"kernel.msgmni", false, PLAN_IPC},
	{"kernel.sem", false, PLAN_IPC},
	{"kernel.shmall", false, PLAN_IPC},
	{"kernel.shmmax", false, PLAN_IPC},
	{"kernel.shmmni", false, PLAN_IPC},
	{"kernel.shm_rmid_forced", false, PLAN_IPC},
	{"fs.mqueue.", true, PLAN_IPC},
	{"kernel.domainname", false, PLAN_UTS},
	/* Of a pod the network is the guest's own, which it owns as a whole. */
	{"net.", true, PLAN_NETWORK},
};

static int check_key(const struct plan *plan, const char *key, bool own_network, struct error *error)
{
	for (size_t i = 0; i < array_size(rules); i++) {
		const struct sysctl_rule *rule = &rules[i];

		if (rule->prefix ? strncmp(key, rule->name, strlen(rule->name)) != 0 : strcmp(key, rule->name) != 0)
			continue;
		if ((rule->needs != PLAN_NETWORK || own_network) && plan->namespaces[rule->needs].mode == PLAN_NAMESPACE_KEEP)
			return error_set(error, EINVAL, "sysctl \"%.128s\" needs a namespace of its own", key);
		return 0;
	}
	return error_set(error, EINVAL, "sysctl \"%.128s\" is not in a separate kernel namespace", key);
}

static int resolve_path(struct plan_sysctl *sysctl, const char *key, struct arena *arena, struct error *error)
{
	char *path;

	if (strpbrk(key, "/\n") || strstr(key, "..") || key[strlen(key) - 1] == '.')
		return error_set(error, EINVAL, "sysctl \"%.128s\" isn't a name", key);
	path = plan_text(arena, key, error);
	if (!path)
		return -ENOMEM;
	for (char *dot = strchr(path, '.'); dot; dot = strchr(dot, '.'))
		*dot = '/';
	sysctl->path = path;
	return 0;
}

int plan_sysctls(struct plan *plan, const Grpc__Linux *linux, bool own_network, struct error *error)
{
	size_t count = linux ? linux->n_sysctl : 0;
	struct plan_sysctl *sysctls = plan_array(plan->arena, count, sizeof(*sysctls), error);

	if (!sysctls)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		int status = check_key(plan, linux->sysctl[i]->key, own_network, error);

		if (status == 0)
			status = resolve_path(&sysctls[i], linux->sysctl[i]->key, plan->arena, error);
		if (status < 0)
			return status;
		sysctls[i].value = plan_text(plan->arena, linux->sysctl[i]->value, error);
		if (!sysctls[i].value)
			return -ENOMEM;
	}
	plan->sysctls = sysctls;
	plan->sysctl_count = count;
	return 0;
}
