/* The first steps of a guest, in their order.
 *
 * The root of an initramfs can't be left by pivot_root(2), which containers need. So it is bound to itself, that mount
 * is moved over the first one, and becomes our root (as the kernel does it for a disk): nothing is copied. The bind is
 * read-only, which makes the agent's program safe from being written to (program.c).
 */
#define LOG_SUBSYSTEM "init"
#include "init/early.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "init/guest_cgroup.h"
#include "init/modules.h"
#include "lib/cleanup.h"
#include "lib/cmdline.h"
#include "lib/fd.h"
#include "lib/log.h"

/* The inode of the first pid namespace: PROC_PID_INIT_INO of the kernel. */
#define FIRST_PID_NAMESPACE 0xEFFFFFFC
#define KTHREADD 2

bool early_in_guest(void)
{
	struct stat status;

	if (getpid() != 1)
		return false;
	if (stat("/proc/self/ns/pid", &status) == 0)
		return status.st_ino == FIRST_PID_NAMESPACE;
	/* No /proc yet. In a machine the kernel's own thread has the pid after ours; in a pid namespace nobody has. */
	return getpgid(KTHREADD) == 0;
}

/* Root --------------------------------------------------------------------------------------------------------- */

/* What is mounted on has to be there before the root is read-only. */
static const char *const directories[] = {"/proc", "/sys", "/dev", "/tmp", "/run"};

static int move_root(struct error *error)
{
	const char *target = directories[array_size(directories) - 1];

	if (mount("/", target, NULL, MS_BIND, NULL) < 0)
		return error_errno(error, errno, "bind the root");
	if (mount(NULL, target, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0)
		return error_errno(error, errno, "make the root read-only");
	if (chdir(target) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
		return error_errno(error, errno, "move the root");
	return 0;
}

/* *fresh: nothing is mounted on what is the root now. */
static int set_up_root(bool *fresh, struct error *error)
{
	struct statfs root;

	for (size_t i = 0; i < array_size(directories); i++)
		mkdir(directories[i], 0755);
	if (statfs("/", &root) < 0)
		return error_errno(error, errno, "look at the root");
	/* Only an initramfs: a disk can be left as it is. */
	*fresh = root.f_type == RAMFS_MAGIC || root.f_type == TMPFS_MAGIC;
	return *fresh ? move_root(error) : 0;
}

/* Mounts ------------------------------------------------------------------------------------------------------- */

struct early_mount {
	const char *source, *target, *type, *data;
	unsigned long flags;
	bool vital;
};

static const struct early_mount mounts[] = {
	{"proc", "/proc", "proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, true},
	{"sysfs", "/sys", "sysfs", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, false},
	{"dev", "/dev", "devtmpfs", NULL, MS_NOSUID, false},
	{"tmpfs", "/dev/shm", "tmpfs", NULL, MS_NOSUID | MS_NODEV, false},
	{"devpts", "/dev/pts", "devpts", "mode=620,ptmxmode=666", MS_NOSUID | MS_NOEXEC, false},
	{"tmpfs", "/run", "tmpfs", "mode=755", MS_NOSUID | MS_NODEV, true},
	{"tmpfs", "/tmp", "tmpfs", "mode=1777", MS_NOSUID | MS_NODEV, false},
};

/* A folder on another filesystem than its parent has something mounted on it already. */
static bool is_mounted(const char *target)
{
	char parent[32];
	struct stat here, above;

	snprintf(parent, sizeof(parent), "%s/..", target);
	return stat(target, &here) == 0 && stat(parent, &above) == 0 && here.st_dev != above.st_dev;
}

static int mount_one(const struct early_mount *what)
{
	int status = mount(what->source, what->target, what->type, what->flags, what->data);

	if (status < 0 && errno == ENOENT && mkdir(what->target, 0755) == 0)
		status = mount(what->source, what->target, what->type, what->flags, what->data);
	return status;
}

static int mount_all(bool fresh, struct error *error)
{
	for (size_t i = 0; i < array_size(mounts); i++) {
		const struct early_mount *what = &mounts[i];

		if ((!fresh && is_mounted(what->target)) || mount_one(what) == 0)
			continue;
		if (what->vital)
			return error_errno(error, errno, "mount %s", what->target);
		log_warning("mount %s: %s", what->target, strerror(errno));
	}
	return 0;
}

/* Console ------------------------------------------------------------------------------------------------------ */

/* The kernel has given us its console as stdin, stdout and stderr, if there was a /dev/console in the image. It never
 * makes us wait: a line that it doesn't take is lost. */
static void set_up_console(void)
{
	if (fcntl(STDERR_FILENO, F_GETFL) < 0) {
		int fd = open("/dev/console", O_RDWR | O_NOCTTY);

		if (fd < 0)
			fd = open("/dev/null", O_RDWR);
		for (int standard = STDIN_FILENO; standard <= STDERR_FILENO; standard++)
			dup2(fd, standard);
		if (fd > STDERR_FILENO)
			close(fd);
	}
	fd_set_blocking(STDIN_FILENO, false);
	fd_set_blocking(STDERR_FILENO, false);
	/* The console isn't our terminal: its ^C would be our SIGINT, which is ctrl-alt-del. */
	setsid();
}

/* The rest ----------------------------------------------------------------------------------------------------- */

static void read_settings(struct settings *settings)
{
	static char text[CMDLINE_SIZE];
	struct error error;

	if (cmdline_read(text, &error) < 0)
		log_warning("%s", error.text);
	settings_read(settings, text);
}

/* The guest's own /dev needs no more: containers have theirs. */
static void link_devices(void)
{
	unlink("/dev/ptmx"); /* devtmpfs has a device there, of no mount of devpts */
	if (symlink("pts/ptmx", "/dev/ptmx") < 0 && errno != EEXIST)
		log_warning("link /dev/ptmx: %s", strerror(errno));
}

static void set_hostname(void)
{
	char text[256];
	const char *name = "localhost";

	if (fd_read_file(AT_FDCWD, "/etc/hostname", text, sizeof(text), NULL) > 0) {
		char *word = text + strspn(text, " \t\n");

		word[strcspn(word, " \t\n")] = '\0';
		name = *word ? word : name;
	}
	if (sethostname(name, strlen(name)) < 0)
		log_warning("set the hostname: %s", strerror(errno));
}

static void raise_loopback(void)
{
	cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		log_warning("bring up lo: %s", strerror(errno));
}

int early_start(struct settings *settings, struct error *error)
{
	bool fresh;
	int status;

	umask(022);
	status = set_up_root(&fresh, error);
	if (status == 0)
		status = mount_all(fresh, error);
	/* Also for the words about what failed. */
	set_up_console();
	/* Also for what is to be done about it. */
	read_settings(settings);
	if (status < 0)
		return status;
	if (guest_cgroup_mount(settings->cgroup_v1, error) < 0)
		log_warning("%s", error->text);
	link_devices();
	set_hostname();
	raise_loopback();
	/* The keys are a SIGINT to us, and not the end of the machine at once. */
	reboot(RB_DISABLE_CAD);
	if (setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin", 1) < 0)
		return error_errno(error, errno, "set PATH");
	modules_load(settings->modules);
	return 0;
}
