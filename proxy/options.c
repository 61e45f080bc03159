/* The command line of nacre-proxy. */
#include "proxy/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/vsock_serial.h"

#define FIRST_GUEST_CID 3u
#define LAST_GUEST_CID 0xfffffffeu

const char options_help[] =
	"Usage: nacre-proxy --dir DIR --carrier CARRIER [OPTIONS] [-- VMM COMMAND...]\n"
	"\n"
	"Carries connections between Unix sockets on the host and the vsock ports of one VM.\n"
	"\n"
	"  --dir DIR            the VM's run directory, in which these sockets are made:\n"
	"                         agent.sock    each connection goes to the agent, guest port 1024\n"
	"                         vsock.sock    'CONNECT PORT' goes to any guest port, answered by 'OK HOSTPORT'\n"
	"                         proxy.sock    the proxy's own service (ttrpc, proto/proxy.proto): ready, connections,\n"
	"                                       sessions of processes; or 'ATTACH CONTAINER EXEC STREAM' to one\n"
	"                         vsock.sock_P  is looked for when the guest connects to host port P\n"
	"  --carrier CARRIER    how packets reach the guest:\n"
	"                         vhost-user:PATH,cid=N    as the vsock device of a VMM which connects to the socket\n"
	"                                                  PATH; N is the guest's CID, from 3 up\n"
	"                         vhost-user:PATH,cid=N,reconnect\n"
	"                                                  the same, for a VMM which may end the connection and\n"
	"                                                  come back\n"
	"                         hybrid:PATH              through the VMM's own device (Firecracker, Cloud\n"
	"                                                  Hypervisor): its socket PATH, and PATH_P for the guest\n"
	"                         hybrid:PATH,half-close   the same, where one direction can end before the other\n"
	"                         vsock:CID                through the host's kernel (vhost-vsock)\n"
	"                         serial:PATH              through a virtio-serial port named " VSOCK_SERIAL_PORT ", whose\n"
	"                                                  other end is the VMM's socket PATH\n"
	"  --forward FORWARD    another way in or out, as often as it is given:\n"
	"                         PATH:PORT                clients of the socket PATH, which is made, go to that\n"
	"                                                  port of the guest\n"
	"                         PATH:PORT/seqpacket      the same with messages (vhost-user only)\n"
	"                         PORT:PATH                the guest's connections to that port of the host go\n"
	"                                                  to the socket PATH, in the place of vsock.sock_PORT\n"
	"  --user USER[:GROUP]  run as that user, and the VMM too; the directories have to be that user's\n"
	"  --confine HOW        what keeps other files than those of the sockets' directories out of reach:\n"
	"                         auto       root: a mount namespace, and Landlock where the kernel has it; others: the\n"
	"                                    one or the other; where neither can be had, a warning tells\n"
	"                         landlock   that alone; where it can't be had, nothing starts\n"
	"                         namespace  the same with a mount namespace\n"
	"                         off        nothing does\n"
	"  --guest-log SINK     the lines of the guest's log port (agent.log_vport) go to:\n"
	"                         file:PATH                a file, appended to; 1 MiB, and PATH.1 with what was before\n"
	"                         journal                  systemd's journal, with NACRE_VM\n"
	"                         unix:PATH                a socket that takes datagrams, one for each line\n"
	"  --verbose            say more\n"
	"  --help, --version\n"
	"\n"
	"Limits:\n"
	"  --max-connections N           of the host's clients at a time: 512\n"
	"  --max-guest-connections N     of the guest's to the host at a time: 256\n"
	"  --buffer KIB                  kept of a connection for who doesn't read it yet: 256\n"
	"  --max-sessions N              of processes in the guest, kept for clients that come and go: 64\n"
	"  --ring KIB                    kept of each of a session's streams: 64\n"
	"  --handshake-timeout SECONDS   for a client's CONNECT line, and for the guest's answer: 10\n"
	"  --restart-delay MILLISECONDS  at most, before a worker that died is followed by the next: 1000\n"
	"  --drain-timeout SECONDS       for clients to read what a VM has said that has ended: 5\n"
	"  --guest-log-port PORT         the guest's log port: 1025\n"
	"  --guest-log-rate LINES        of the guest's log in a second, the rest is counted; 0 for any: 1000\n"
	"\n"
	"A VMM COMMAND is started when the sockets are there, and killed with the proxy; when it ends, so does the\n"
	"proxy, with its exit status. Without one the proxy ends when the VMM closes its connection (vhost-user, serial),\n"
	"or at a signal.\n";

static int parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *number)
{
	unsigned long long value;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	value = strtoull(text, &end, 10);
	if (*end != '\0' || value < least || value > most)
		return -EINVAL;
	*number = value;
	return 0;
}

static int parse_cid(const char *text, uint64_t *cid)
{
	return parse_number(text, FIRST_GUEST_CID, LAST_GUEST_CID, cid);
}

/* Whether the first *length bytes end with the flag, which is taken off then. */
static bool take_flag(const char *value, size_t *length, const char *flag)
{
	size_t size = strlen(flag);

	if (*length < size || memcmp(value + *length - size, flag, size) != 0)
		return false;
	*length -= size;
	return true;
}

static int parse_vhost_user(struct carrier_options *carrier, const char *value, const char *text, struct error *error)
{
	static const char key[] = ",cid=";
	const char *comma = NULL;
	size_t length;
	char cid[16];

	/* The last one: the path may contain anything. */
	for (const char *next = strstr(value, key); next; next = strstr(next + 1, key))
		comma = next;
	if (!comma || comma == value)
		return error_set(error, EINVAL, "--carrier %s: must be vhost-user:PATH,cid=N", text);
	length = strlen(comma);
	carrier->reconnect = take_flag(comma, &length, ",reconnect");
	length -= sizeof(key) - 1;
	snprintf(cid, sizeof(cid), "%.*s", (int)length, comma + sizeof(key) - 1);
	if (length >= sizeof(cid) || parse_cid(cid, &carrier->guest_cid) < 0)
		return error_set(error, EINVAL, "--carrier %s: the cid must be a number from %u to %u", text,
				 FIRST_GUEST_CID, LAST_GUEST_CID);
	carrier->path = strndup(value, (size_t)(comma - value));
	return carrier->path ? 0 : error_errno(error, ENOMEM, "--carrier");
}

static int parse_hybrid(struct carrier_options *carrier, const char *value, const char *text, struct error *error)
{
	size_t length = strlen(value);

	carrier->half_close = take_flag(value, &length, ",half-close");
	if (length == 0)
		return error_set(error, EINVAL, "--carrier %s: must be hybrid:PATH or hybrid:PATH,half-close", text);
	carrier->guest_cid = CARRIER_ANY_CID;
	carrier->path = strndup(value, length);
	return carrier->path ? 0 : error_errno(error, ENOMEM, "--carrier");
}

static int parse_vsock(struct carrier_options *carrier, const char *value, const char *text, struct error *error)
{
	if (parse_cid(value, &carrier->guest_cid) < 0)
		return error_set(error, EINVAL, "--carrier %s: must be vsock:CID, a number from %u to %u", text,
				 FIRST_GUEST_CID, LAST_GUEST_CID);
	return 0;
}

static int parse_serial(struct carrier_options *carrier, const char *value, const char *text, struct error *error)
{
	if (*value == '\0')
		return error_set(error, EINVAL, "--carrier %s: must be serial:PATH", text);
	carrier->guest_cid = VSOCK_SERIAL_GUEST_CID;
	carrier->path = strdup(value);
	return carrier->path ? 0 : error_errno(error, ENOMEM, "--carrier");
}

static const struct {
	const char *prefix;
	enum carrier_type type;
	int (*parse)(struct carrier_options *carrier, const char *value, const char *text, struct error *error);
} carriers[] = {
	{"vhost-user:", CARRIER_VHOST_USER, parse_vhost_user},
	{"hybrid:", CARRIER_HYBRID, parse_hybrid},
	{"vsock:", CARRIER_VSOCK, parse_vsock},
	{"serial:", CARRIER_SERIAL, parse_serial},
};

static int parse_carrier(struct options *options, const char *text, struct error *error)
{
	if (options->carrier.type != CARRIER_NONE)
		return error_set(error, EINVAL, "--carrier %s: there is one already", text);
	for (size_t i = 0; i < array_size(carriers); i++) {
		size_t length = strlen(carriers[i].prefix);

		if (strncmp(text, carriers[i].prefix, length) != 0)
			continue;
		options->carrier.type = carriers[i].type;
		return carriers[i].parse(&options->carrier, text + length, text, error);
	}
	return error_set(error, EINVAL, "--carrier %s: must be vhost-user:PATH,cid=N, hybrid:PATH, vsock:CID or serial:PATH", text);
}

static const struct limit {
	int letter;
	const char *name;
	uint32_t least, most;
} limits[] = {
	{'C', "max-connections", 1, 65536},   {'G', "max-guest-connections", 0, 65536}, {'B', "buffer", 4, 65536},
	{'S', "max-sessions", 0, 4096},	      {'K', "ring", 4, 65536},
	{'H', "handshake-timeout", 1, 3600}, {'D', "drain-timeout", 0, 3600},
	{'R', "restart-delay", 0, 60000},	      {'P', "guest-log-port", 0, 0xfffffffeu}, {'L', "guest-log-rate", 0, 1000000},
};

static int parse_limit(struct options *options, int letter, const char *text, struct error *error)
{
	const struct limit *limit = limits;
	uint64_t number;

	while (limit->letter != letter)
		limit++;
	if (parse_number(text, limit->least, limit->most, &number) < 0)
		return error_set(error, EINVAL, "--%s %s: must be a number from %u to %u", limit->name, text, limit->least,
				 limit->most);
	if (letter == 'C')
		options->limits.from_host = number;
	else if (letter == 'G')
		options->limits.from_guest = number;
	else if (letter == 'B')
		options->buffer = (uint32_t)number << 10;
	else if (letter == 'S')
		options->max_sessions = (uint32_t)number;
	else if (letter == 'K')
		options->ring = (uint32_t)number << 10;
	else if (letter == 'H')
		options->limits.handshake_time = number * LOOP_SECOND;
	else if (letter == 'R')
		options->restart_delay = number * LOOP_MILLISECOND;
	else if (letter == 'P')
		options->guest_log.port = (uint32_t)number;
	else if (letter == 'L')
		options->guest_log.rate = (uint32_t)number;
	else
		options->drain_time = number * LOOP_SECOND;
	return 0;
}

static int parse_confine(struct options *options, const char *text, struct error *error)
{
	static const char *const ways[] = {
		[CONFINE_AUTO] = "auto",
		[CONFINE_LANDLOCK] = "landlock",
		[CONFINE_NAMESPACE] = "namespace",
		[CONFINE_OFF] = "off",
	};

	for (size_t i = 0; i < array_size(ways); i++) {
		if (strcmp(text, ways[i]) != 0)
			continue;
		options->confine = (enum confine)i;
		return 0;
	}
	return error_set(error, EINVAL, "--confine %s: must be auto, landlock, namespace or off", text);
}

/* Others carry bytes, not packets of the guest's. */
static int check_forwards(const struct options *options, struct error *error)
{
	for (size_t i = 0; i < options->forwards.count; i++) {
		const struct forward_rule *rule = &options->forwards.list[i];

		if (rule->messages && options->carrier.type != CARRIER_VHOST_USER)
			return error_set(error, EINVAL, "--forward %s:%u/seqpacket: needs --carrier vhost-user:PATH,cid=N",
					 rule->path, rule->port);
	}
	return 0;
}

static int check(struct options *options, int argc, char *argv[], struct error *error)
{
	if (options->help || options->version)
		return 0;
	if (!options->directory)
		return error_set(error, EINVAL, "--dir is missing (see --help)");
	if (options->carrier.type == CARRIER_NONE)
		return error_set(error, EINVAL, "--carrier is missing (see --help)");
	if (check_forwards(options, error) < 0)
		return -EINVAL;
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
		{"dir", required_argument, NULL, 'd'},
		{"carrier", required_argument, NULL, 'c'},
		{"forward", required_argument, NULL, 'f'},
		{"max-connections", required_argument, NULL, 'C'},
		{"max-guest-connections", required_argument, NULL, 'G'},
		{"buffer", required_argument, NULL, 'B'},
		{"max-sessions", required_argument, NULL, 'S'},
		{"ring", required_argument, NULL, 'K'},
		{"handshake-timeout", required_argument, NULL, 'H'},
		{"drain-timeout", required_argument, NULL, 'D'},
		{"restart-delay", required_argument, NULL, 'R'},
		{"user", required_argument, NULL, 'u'},
		{"confine", required_argument, NULL, 'F'},
		{"guest-log", required_argument, NULL, 'l'},
		{"guest-log-port", required_argument, NULL, 'P'},
		{"guest-log-rate", required_argument, NULL, 'L'},
		{"verbose", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int letter, status = 0;

	*options = OPTIONS;
	opterr = 0;
	while (status == 0 && (letter = getopt_long(argc, argv, "+:", known, NULL)) != -1) {
		switch (letter) {
		case 'd':
			options->directory = optarg;
			break;
		case 'c':
			status = parse_carrier(options, optarg, error);
			break;
		case 'f':
			status = forward_parse(&options->forwards, optarg, error);
			break;
		case 'C':
		case 'G':
		case 'B':
		case 'S':
		case 'K':
		case 'H':
		case 'D':
		case 'R':
		case 'P':
		case 'L':
			status = parse_limit(options, letter, optarg, error);
			break;
		case 'u':
			options->user = optarg;
			break;
		case 'F':
			status = parse_confine(options, optarg, error);
			break;
		case 'l':
			status = log_sink_parse(&options->guest_log.sink, optarg, error);
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
	free(options->carrier.path);
	options->carrier.path = NULL;
	forward_rules_free(&options->forwards);
}
