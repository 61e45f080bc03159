/* Files beside this program, and programs in PATH. */
#include "runtime/locate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define IMAGE_NAME "initramfs.cpio"

#if defined(__x86_64__)
#define VMM_NAME "qemu-system-x86_64"
#define VMM_PACKAGE "qemu-system-x86"
#elif defined(__aarch64__)
#define VMM_NAME "qemu-system-aarch64"
#define VMM_PACKAGE "qemu-system-arm"
#else
#define VMM_NAME "qemu-system"
#define VMM_PACKAGE "qemu-system"
#endif

/* The administration's folders too: users' PATHs don't have them. */
#define SEARCH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

int locate_own_folder(char folder[PATH_MAX], struct error *error)
{
	ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX - 1);
	char *slash;

	if (length < 0)
		return error_errno(error, errno, "readlink /proc/self/exe");
	folder[length] = '\0';
	slash = strrchr(folder, '/');
	if (slash)
		*slash = '\0';
	return 0;
}

static int is_readable_file(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, R_OK) == 0;
}

static int take_named(char path[PATH_MAX], const char *what, const char *named, struct error *error)
{
	if (snprintf(path, PATH_MAX, "%s", named) >= PATH_MAX)
		return error_errno(error, ENAMETOOLONG, "%s %.64s...", what, named);
	if (!is_readable_file(path))
		return error_set(error, ENOENT, "%s %s: not a file that can be read", what, named);
	return 0;
}

static int find_part(char path[PATH_MAX], const char *what, const char *named, const char *variable,
		     const char *folder, const char *name, struct error *error)
{
	const char *from_environment = getenv(variable);
	char option[16];

	if (!named && from_environment && *from_environment)
		named = from_environment;
	if (named)
		return take_named(path, what, named, error);
	if (snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX && is_readable_file(path))
		return 0;
	if (snprintf(path, PATH_MAX, "%s/../share/nacre/%s", folder, name) < PATH_MAX && is_readable_file(path))
		return 0;
	snprintf(option, sizeof(option), "--%s", what);
	return error_set(error, ENOENT,
			 "no guest %s: %s is neither in %s nor in ../share/nacre ('make %s' builds it, %s names one)",
			 what, name, folder, what, option);
}

static int find_in_path(char path[PATH_MAX], const char *search, const char *name)
{
	for (const char *start = search; start; start = strchr(start, ':') ? strchr(start, ':') + 1 : NULL) {
		int length = (int)strcspn(start, ":");

		if (length > 0 && snprintf(path, PATH_MAX, "%.*s/%s", length, start, name) < PATH_MAX &&
		    access(path, X_OK) == 0)
			return 0;
	}
	return -ENOENT;
}

int locate_program(char path[PATH_MAX], const char *name, const char *package, struct error *error)
{
	const char *search = getenv("PATH");

	if ((search && find_in_path(path, search, name) == 0) || find_in_path(path, SEARCH_DEFAULT, name) == 0)
		return 0;
	return error_set(error, ENOENT, "%s is not installed (on Debian: apt-get install %s)", name, package);
}

int locate_all(struct locations *locations, const char *kernel_name, const char *kernel, const char *image,
	       struct error *error)
{
	char folder[PATH_MAX];
	int status = locate_own_folder(folder, error);

	if (status == 0)
		status = find_part(locations->kernel, "kernel", kernel, "NACRE_KERNEL", folder, kernel_name, error);
	if (status == 0)
		status = find_part(locations->image, "image", image, "NACRE_IMAGE", folder, IMAGE_NAME, error);
	if (status == 0)
		status = locate_program(locations->vmm, VMM_NAME, VMM_PACKAGE, error);
	if (status < 0)
		return status;
	if (snprintf(locations->proxy, PATH_MAX, "%s/nacre-proxy", folder) >= PATH_MAX ||
	    access(locations->proxy, X_OK) < 0)
		return error_set(error, ENOENT, "nacre-proxy is not in %s", folder);
	return 0;
}
