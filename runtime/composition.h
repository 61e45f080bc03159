/* What a container is composed of: ROOTFS, volumes and network, and how these get into the VM: as its disks and other
 * devices, as storages and mounts for the agent, and as the container's specification.
 *
 * The order of calls: composition_open() before anything is made; composition_make() and composition_share() before the VM is started, which
 * composition_devices() describes; then composition_sandbox(), composition_network() and composition_container() as the
 * agent is told.
 */
#ifndef NACRE_RUNTIME_COMPOSITION_H
#define NACRE_RUNTIME_COMPOSITION_H

#include "agent.pb-c.h"
#include "lib/loop.h"
#include "runtime/run_options.h"
#include "runtime/session.h"
#include "runtime/share.h"
#include "runtime/source.h"
#include "runtime/timeline.h"
#include "runtime/user.h"
#include "runtime/vmm.h"

#define COMPOSITION_IMAGE_SIZE 32

struct composition {
	const struct run_options *options;
	struct source source;
	struct volumes volumes; /* the command line's and the bundle's */
	struct share share;
	struct arena arena;	       /* of what a bundle says: */
	const char *hostname;	       /* NULL where it says none */
	char **arguments;	       /* NULL-terminated */
	bool sharing;		       /* there is something for virtiofsd */
	bool share_root;	       /* ROOTFS among it */
	int packed[VOLUMES_MOST];      /* the place among the packed ones, each a disk, or -1 */
	unsigned packed_count;
	char images[VMM_DISKS_MOST][COMPOSITION_IMAGE_SIZE]; /* their names */
	char packer[PATH_MAX];	       /* mkfs.erofs, for those */
	char source_packer[PATH_MAX];
	struct child child;	       /* what packs at the moment */
	struct user user;	       /* known once the root is */
	const char **command;	       /* with the entrypoint; NULL-terminated, its own */
};

/* Looks at ROOTFS, volumes and programs: what can be found wrong before anything is made. What of a bundle isn't carried
 * into the VM is said on stderr. 0 or -errno; composition_close() in any case. */
int composition_open(struct composition *composition, const struct run_options *options, struct error *error);

/* Makes the disks, steps the loop meanwhile, and stops with -ECANCELED when *cancelled. 0 or
 * -errno. */
int composition_make(struct composition *composition, struct loop *loop, const struct run_directory *directory,
		     const bool *cancelled, const struct timeline *timeline, struct error *error);

/* Starts virtiofsd, where it is needed: once for each start of the machine. 0 or -errno. */
int composition_share(struct composition *composition, struct loop *loop, const struct run_directory *directory,
		      struct error *error);

/* Adds to the VM's description, in which the machine's type is. 0, or -ENOSPC where the machine has no room for all
 * devices. The strings are the composition's. */
int composition_devices(struct composition *composition, struct vmm_options *options, struct error *error);

/* Adds to the requests; everything is in the arena. 0 or -errno. */
int composition_sandbox(const struct composition *composition, Grpc__CreateSandboxRequest *request, struct arena *arena,
			struct error *error);

/* Storages and specification of the container `name`. `before` is how many disks the machine has before the container's
 * own; `rows` and `columns` are the terminal's, or 0. */
struct composition_place {
	const char *name;
	unsigned before;
	unsigned rows, columns;
};

int composition_container(const struct composition *composition, const struct composition_place *place,
			  Grpc__CreateContainerRequest *request, struct arena *arena, struct error *error);

/* Sets the guest's network device up, where it has one. 0 or -errno. */
int composition_network(const struct composition *composition, struct session *session, struct error *error);

/* The signal by which the container wants to be stopped: its image's, or SIGTERM. */
int composition_stop_signal(const struct composition *composition);

/* The name of a packed volume's image in the run directory. */
const char *composition_volume_image(char image[COMPOSITION_IMAGE_SIZE], unsigned packed);

/* Ends what is running, and frees all. */
void composition_close(struct composition *composition);

#endif
