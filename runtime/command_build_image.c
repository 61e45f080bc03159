/* nacre build-image: starts the image builder, rootfs/build-image, which is a script. It is beside this program's folder in
 * a working copy, and in share/nacre where nacre is installed; the parts that go into images (agent, busybox, tools) are in
 * the build folder, or in share/nacre as well. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/error.h"
#include "runtime/command.h"
#include "runtime/exit_status.h"
#include "runtime/locate.h"

struct place {
	const char *builder, *parts; /* from the folder of this program */
};

static const struct place places[] = {
	{"../share/nacre/rootfs/build-image", "../share/nacre"},
	{"../rootfs/build-image", "."},
	{"../../rootfs/build-image", "."}, /* build/ARCH */
};

static int find_builder(char builder[PATH_MAX], char parts[PATH_MAX], struct error *error)
{
	char folder[PATH_MAX];
	int status = locate_own_folder(folder, error);

	if (status < 0)
		return status;
	for (size_t i = 0; i < array_size(places); i++)
		if (snprintf(builder, PATH_MAX, "%s/%s", folder, places[i].builder) < PATH_MAX &&
		    snprintf(parts, PATH_MAX, "%s/%s", folder, places[i].parts) < PATH_MAX &&
		    access(builder, X_OK) == 0)
			return 0;
	return error_set(error, ENOENT, "no image builder: %s is not in %s", places[0].builder, folder);
}

static int start_builder(int argc, const char *argv[], struct error *error)
{
	char builder[PATH_MAX], parts[PATH_MAX];
	cleanup_free char **arguments = calloc((size_t)argc + 3, sizeof(*arguments));
	int status = find_builder(builder, parts, error);

	if (status < 0)
		return status;
	if (!arguments)
		return error_set(error, ENOMEM, "no memory");
	arguments[0] = builder;
	arguments[1] = (char *)"--parts";
	arguments[2] = parts;
	/* With the NULL at its end. */
	memcpy(arguments + 3, argv + 1, (size_t)argc * sizeof(*arguments));
	execv(builder, arguments);
	return error_errno(error, errno, "execute %s (it needs Debian's python3)", builder);
}

int command_build_image(int argc, const char *argv[])
{
	struct error error = {0};

	start_builder(argc, argv, &error);
	fprintf(stderr, "nacre: %s\n", error.text);
	return EXIT_FAULT;
}
