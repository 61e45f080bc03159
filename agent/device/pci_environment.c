/* Device plugins of Kubernetes tell a container its devices by PCIDEVICE_RESOURCE=ADDRESS,ADDRESS and by a JSON text in
 * PCIDEVICE_RESOURCE_INFO. An address is as long in the guest as on the host, or shorter, so that the text stays where it
 * is; and it is gone through once, as a guest's address may be another device's on the host. */
#include "agent/device/pci_environment.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define PREFIX "PCIDEVICE_"
#define SHORTEST 12 /* "0000:02:00.0" */

/* What the option says of the address at `text`: the guest's, and in *length how long the host's is. NULL: nothing. */
static const char *look_up(const Grpc__Device *device, const char *text, size_t *length)
{
	for (size_t i = 0; i < device->n_options; i++) {
		const char *host = device->options[i], *guest = strchr(host, '=');

		if (!guest || guest[1] == '\0')
			continue;
		*length = (size_t)(guest++ - host);
		if (*length >= SHORTEST && strlen(guest) <= *length && strncasecmp(text, host, *length) == 0 &&
		    !isxdigit((unsigned char)text[*length]))
			return guest;
	}
	return NULL;
}

static bool looks_like_address(const char *text, const char *start)
{
	return isxdigit((unsigned char)*text) && (text == start || !isxdigit((unsigned char)text[-1]));
}

static void rewrite(char *text, Grpc__Device *const *devices, size_t count)
{
	const char *start = text;
	char *to = text;

	while (*text) {
		const char *guest = NULL;
		size_t length = 1;

		for (size_t i = 0; looks_like_address(text, start) && i < count && !guest; i++)
			guest = look_up(devices[i], text, &length);
		if (guest)
			to = mempcpy(to, guest, strlen(guest));
		else
			*to++ = *text;
		text += guest ? length : 1;
	}
	*to = '\0';
}

void pci_environment_rewrite(char **environment, size_t count, Grpc__Device *const *devices, size_t device_count)
{
	for (size_t i = 0; i < count && device_count > 0; i++)
		if (strncmp(environment[i], PREFIX, strlen(PREFIX)) == 0 && strchr(environment[i], '='))
			rewrite(strchr(environment[i], '=') + 1, devices, device_count);
}
