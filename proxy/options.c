/* The command line of nacre-proxy. */
#include "proxy/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_GUEST_CID 3u
#define LAST_GUEST_CID 0xfffffffeu

const char options_help[] =
	"Usage: nacre-proxy --dir DIR --carrier vhost-user:PATH,cid=N [-- VMM COMMAND...]\n"
	"\n"
	"Carries connections between Unix sockets on the host and the vsock ports of one VM.\n"
	"\n"
	"  --dir DIR            the VM's run directory, in which these sockets are made:\n"
	"                         agent.sock    each connection goes to the agent, guest port 1024\n"
	"                         vsock.sock    'CONNECT PORT' goes to any guest port, answered by 'OK HOSTPORT'\n"
	"                         proxy.sock    the proxy's own service (ttrpc, proto/proxy.proto): ready, connections\n"
	"                         vsock.sock_P  is looked for when the guest connects to host port P\n"
	"  --carrier CARRIER    how packets reach the guest:\n"
	"                         vhost-user:PATH,cid=N    as the vsock device of a VMM which connects to the socket\n"
	"                                                  PATH; N is the guest's CID, from 3 up\n"
	"  --verbose            say more\n"
	"  --help, --version\n"
	"\n"
	"A VMM COMMAND is started when the sockets are there, and killed with the proxy; when it ends, so does the\n"
	"proxy, with its exit status. Without one the proxy ends when the VMM closes its connection.\n";

static int parse_cid(const char *text, uint64_t *cid)
{
	unsigned long long value;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	value = strtoull(text, &end, 10);
	if (*end != '\0' || value < FIRST_GUEST_CID || value > LAST_GUEST_CID)
		return -EINVAL;
	*cid = value;
	return 0;
}

static int parse_carrier(struct options *options, const char *text, struct error *error)
{
	static const char type[] = "vhost-user:", key[] = ",cid=";
	const char *path, *comma = NULL;

	if (strncmp(text, type, sizeof(type) - 1) != 0)
		return error_set(error, EINVAL, "--carrier %s: the type must be vhost-user:PATH,cid=N", text);
	path = text + sizeof(type) - 1;
	/* The last one: the path may contain anything. */
	for (const char *next = strstr(path, key); next; next = strstr(next + 1, key))
		comma = next;
	if (!comma || comma == path)
		return error_set(error, EINVAL, "--carrier %s: must be vhost-user:PATH,cid=N", text);
	if (parse_cid(comma + sizeof(key) - 1, &options->guest_cid) < 0)
		return error_set(error, EINVAL, "--carrier %s: the cid must be a number from %u to %u", text,
				 FIRST_GUEST_CID, LAST_GUEST_CID);
	free(options->vhost_path);
	options->vhost_path = strndup(path, (size_t)(comma - path));
	return options->vhost_path ? 0 : error_errno(error, ENOMEM, "--carrier");
}

static int check(struct options *options, int argc, char *argv[], struct error *error)
{
	if (options->help || options->version)
		return 0;
	if (!options->directory)
		return error_set(error, EINVAL, "--dir is missing (see --help)");
	if (!options->vhost_path)
		return error_set(error, EINVAL, "--carrier is missing (see --help)");
	if (optind == argc)
		return 0;
	if (strcmp(argv[optind - 1], "--") != 0)
		return error_set(error, EINVAL, "unexpected '%s': a VMM command comes after --", argv[optind]);
	options->vmm = argv + optind;
	return 0;
}

int options_parse(struct options *options, int argc, char *argv[], struct error *error)
{
	static const struct option known[] = {
		{"dir", required_argument, NULL, 'd'}, {"carrier", required_argument, NULL, 'c'},
		{"verbose", no_argument, NULL, 'v'},   {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},   {NULL, 0, NULL, 0},
	};
	int letter, status = 0;

	*options = (struct options){0};
	opterr = 0;
	while (status == 0 && (letter = getopt_long(argc, argv, "+:", known, NULL)) != -1) {
		switch (letter) {
		case 'd':
			options->directory = optarg;
			break;
		case 'c':
			status = parse_carrier(options, optarg, error);
			break;
		case 'v':
			options->verbose = true;
			break;
		case 'h':
			options->help = true;
			break;
		case 'V':
			options->version = true;
			break;
		case ':':
			status = error_set(error, EINVAL, "%s needs a value (see --help)", argv[optind - 1]);
			break;
		default:
			status = error_set(error, EINVAL, "unknown option %s (see --help)", argv[optind - 1]);
			break;
		}
	}
	return status < 0 ? status : check(options, argc, argv, error);
}

void options_free(struct options *options)
{
	free(options->vhost_path);
	options->vhost_path = NULL;
}
