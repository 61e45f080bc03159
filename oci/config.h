/* An OCI bundle's config.json (runtime-spec, config.md and config-linux.md), as the agent protocol carries it.
 *
 * For a container in a VM, what names things of this machine isn't read. What the protocol can't carry, or what isn't read, is
 * an error where the container would not be what was asked for, and a note otherwise; nothing is left out in silence. For a
 * container that is a process here all of it is read but what the protocol has no place for, which is the caller's to look
 * for in the document.
 */
#ifndef NACRE_OCI_CONFIG_H
#define NACRE_OCI_CONFIG_H

#include <jansson.h>

#include "lib/arena.h"
#include "lib/error.h"
#include "oci.pb-c.h"

#define CONFIG_NOTES_MOST 32

/* What was left out: "linux.intelRdt". The strings are in the arena; what doesn't fit is counted only. */
struct config_notes {
	const char *list[CONFIG_NOTES_MOST];
	size_t count;
};

enum config_use { CONFIG_FOR_VM, CONFIG_FOR_HERE };

/* The document is the caller's, by json_decref(). 0, or -EINVAL with the line in `error`. */
int config_parse(const char *text, json_t **document, struct error *error);

/* Reads a document into the arena. `notes` may be NULL. 0, -ENOMEM, or -EINVAL with the place in `error`. */
int config_read(const json_t *document, enum config_use use, struct arena *arena, Grpc__Spec **spec,
		struct config_notes *notes, struct error *error);

/* The same of a process object alone, for a container here. */
int config_read_process(const json_t *document, struct arena *arena, Grpc__Process **process, struct error *error);

#endif
