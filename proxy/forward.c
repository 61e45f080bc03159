/* Forwards: what the option says, and the listeners of those to the guest. */
#include "proxy/forward.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "proxy/sockets.h"

/* `end` is one past the last digit. */
static bool is_port(const char *text, const char *end, uint32_t *port)
{
	unsigned long long value = 0;

	if (text == end || end - text > 10)
		return false;
	for (; text < end; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (unsigned)(*text - '0');
	}
	*port = (uint32_t)value;
	return value < UINT32_MAX; /* the last is VMADDR_PORT_ANY */
}

int forward_parse(struct forward_rules *rules, const char *text, struct error *error)
{
	static const char messages[] = "/seqpacket";
	const char *first = strchr(text, ':'), *last = strrchr(text, ':'), *end = text + strlen(text);
	struct forward_rule rule = {0};
	const char *path = text;
	size_t length = 0;

	if (first && strlen(last) >= sizeof(messages) && strcmp(end - strlen(messages), messages) == 0)
		end -= strlen(messages);

	if (first && is_port(text, first, &rule.port)) {
		path = first + 1;
		length = strlen(path);
	} else if (first && is_port(last + 1, end, &rule.port)) {
		rule.to_guest = true;
		rule.messages = *end != '\0';
		length = (size_t)(last - text);
	}
	if (length == 0)
		return error_set(error, EINVAL, "--forward %s: must be PATH:GUESTPORT, PATH:GUESTPORT/seqpacket or PORT:PATH", text);
	if (!rule.to_guest && forward_path(rules, rule.port))
		return error_set(error, EINVAL, "--forward %s: port %u is forwarded already", text, rule.port);
	if (rules->count == FORWARDS_MAX)
		return error_set(error, EINVAL, "--forward %s: there are %d already", text, FORWARDS_MAX);
	rule.path = strndup(path, length);
	if (!rule.path)
		return error_errno(error, ENOMEM, "--forward");
	rules->list[rules->count++] = rule;
	return 0;
}

void forward_rules_free(struct forward_rules *rules)
{
	while (rules->count > 0)
		free(rules->list[--rules->count].path);
}

const char *forward_path(const struct forward_rules *rules, uint32_t host_port)
{
	for (size_t i = 0; i < rules->count; i++)
		if (!rules->list[i].to_guest && rules->list[i].port == host_port)
			return rules->list[i].path;
	return NULL;
}

static void accepted(struct listener *listener, int fd)
{
	struct forward *forward = container_of(listener, struct forward, listener);

	streams_serve(forward->streams, fd, STREAM_FORWARD, forward->guest_port);
}

int forwards_open(struct forwards *forwards, const struct forward_rules *rules, const struct listening *sockets,
		  struct loop *loop, struct streams *streams, struct error *error)
{
	for (size_t i = 0; i < rules->count; i++) {
		const struct forward_rule *rule = &rules->list[i];
		struct forward *forward = &forwards->list[forwards->count];

		if (!rule->to_guest)
			continue;
		*forward = (struct forward){.streams = streams, .guest_port = rule->port};
		if (listener_serve(&forward->listener, loop, sockets[i].fd, rule->path, accepted, error) < 0)
			return error_wrap(error, "--forward %s:%u", rule->path, rule->port);
		forwards->count++;
	}
	return 0;
}

void forwards_close(struct forwards *forwards)
{
	while (forwards->count > 0)
		listener_close(&forwards->list[--forwards->count].listener);
}
