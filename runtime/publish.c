/* Published ports, out of text. */
#include "runtime/publish.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"

static int parse_port(const char *text, uint16_t *port, const char *whole, struct error *error)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || number < 1 || number > UINT16_MAX)
		return error_set(error, EINVAL, "--publish: '%.80s' in '%.80s' is no port (1 to 65535)", text, whole);
	*port = (uint16_t)number;
	return 0;
}

static int parse_address(const char *text, struct publish *publish, struct error *error)
{
	struct in_addr address;

	if (inet_pton(AF_INET, text, &address) != 1)
		return error_set(error, EINVAL, "--publish: '%.80s' is no IPv4 address", text);
	inet_ntop(AF_INET, &address, publish->address, sizeof(publish->address));
	return 0;
}

static int parse_protocol(const char *text, struct publish *publish, struct error *error)
{
	publish->udp = strcmp(text, "udp") == 0;
	if (!publish->udp && strcmp(text, "tcp") != 0)
		return error_set(error, EINVAL, "--publish: '%.80s' is not tcp or udp", text);
	return 0;
}

int publish_parse(struct publish *publish, const char *text, struct error *error)
{
	cleanup_free char *copy = strdup(text);
	char *protocol, *guest, *host;
	int status = 0;

	*publish = (struct publish){0};
	if (!copy)
		return error_errno(error, ENOMEM, "ports");
	protocol = strchr(copy, '/');
	if (protocol)
		*protocol++ = '\0';
	guest = strrchr(copy, ':');
	if (!guest)
		return error_set(error, EINVAL, "--publish: '%.80s' is not [IP:]HOSTPORT:PORT[/tcp|udp]", text);
	*guest++ = '\0';
	host = strrchr(copy, ':');
	if (host)
		*host++ = '\0';
	if (protocol)
		status = parse_protocol(protocol, publish, error);
	if (status == 0 && host)
		status = parse_address(copy, publish, error);
	if (status == 0)
		status = parse_port(host ? host : copy, &publish->host, text, error);
	return status < 0 ? status : parse_port(guest, &publish->guest, text, error);
}
