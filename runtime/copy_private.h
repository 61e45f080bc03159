/* One `nacre cp`, and its parts: copy.c (the order of things), copy_paths.c (which names go where), copy_stream.c (the
 * two tars and what is between them).
 */
#ifndef NACRE_RUNTIME_COPY_PRIVATE_H
#define NACRE_RUNTIME_COPY_PRIVATE_H

#include <limits.h>

#include "runtime/archive.h"
#include "runtime/copy.h"
#include "runtime/run_directory.h"
#include "runtime/session.h"
#include "runtime/tool.h"

struct copy {
	const struct copy_options *options;
	struct run_directory directory;
	struct loop loop;
	struct session session;
	struct tools tools;
	bool cancelled; /* never: signals end us at once */
};

enum path_kind { PATH_MISSING, PATH_DIRECTORY, PATH_LINK, PATH_OTHER };

/* A path, cut as `nacre cp` looks at it. */
struct copy_path {
	char text[PATH_MAX]; /* without '/' at its end, unless it is the root */
	bool contents;	     /* it ended in "/." : what is in the directory, not the directory */
	bool slash;	     /* it ended in '/' */
	enum path_kind kind; /* of what it leads to */
};

/* Where the two tars work. */
struct copy_plan {
	char directory[PATH_MAX];	/* the container's: where its tar is */
	char name[NAME_MAX + 1];	/* and what it packs: a name there, or "." */
	char outside[PATH_MAX];		/* ours: the directory that is unpacked into, or what is packed */
	char from[NAME_MAX + 1];	/* first component of the names in the stream */
	char to[NAME_MAX + 1];		/* what it becomes; "": nothing */
};

/* copy_paths.c */
int copy_path_cut(struct copy_path *path, const char *text, struct error *error);
const char *copy_path_base(const struct copy_path *path);		   /* its last component */
void copy_path_parent(const struct copy_path *path, char parent[PATH_MAX]); /* what is before that */

/* Decide, for what is at both ends. 0, or -errno with what is wrong, as docker has it. */
int copy_plan_out(struct copy_plan *plan, const struct copy_path *inside, const struct copy_path *outside,
		  struct error *error);
int copy_plan_in(struct copy_plan *plan, const struct copy_path *inside, const struct copy_path *outside,
		 struct error *error);

/* copy_stream.c: runs both to their ends. 0 or -errno. `raw`: the stream itself goes to stdout or comes from stdin. */
int copy_stream_out(struct copy *copy, const struct copy_plan *plan, bool raw, struct error *error);
int copy_stream_in(struct copy *copy, const struct copy_plan *plan, bool raw, struct error *error);

#endif
