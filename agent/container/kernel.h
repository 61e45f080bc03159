/* System calls and constants which musl and glibc 2.36 don't have, or have in headers that can't be used together.
 *
 * Each wrapper returns what the system call does: a value or 0, or -1 with errno. Constants carry the kernel's names
 * where libc may be without them. See open_tree(2), move_mount(2), fsopen(2), mount_setattr(2), pivot_root(2),
 * pidfd_open(2), clone(2), faccessat2(2).
 */
#ifndef NACRE_AGENT_CONTAINER_KERNEL_H
#define NACRE_AGENT_CONTAINER_KERNEL_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef AT_EACCESS
#define AT_EACCESS 0x200
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 0x04
#endif
#ifndef MOVE_MOUNT_T_EMPTY_PATH
#define MOVE_MOUNT_T_EMPTY_PATH 0x40
#endif
#ifndef FSOPEN_CLOEXEC
#define FSOPEN_CLOEXEC 1
#define FSMOUNT_CLOEXEC 1
#endif
#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY 0x01
#define MOUNT_ATTR_NOSUID 0x02
#define MOUNT_ATTR_NODEV 0x04
#define MOUNT_ATTR_NOEXEC 0x08
#define MOUNT_ATTR__ATIME 0x70
#define MOUNT_ATTR_NOATIME 0x10
#define MOUNT_ATTR_STRICTATIME 0x20
#define MOUNT_ATTR_NODIRATIME 0x80
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif
#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#ifndef MS_LAZYTIME
#define MS_LAZYTIME (1 << 25)
#endif
#ifndef MOUNT_ATTR_IDMAP
#define MOUNT_ATTR_IDMAP 0x00100000
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif

#define KERNEL_FSCONFIG_SET_STRING 1
#define KERNEL_FSCONFIG_CREATE 6

/* struct mount_attr of linux/mount.h */
struct kernel_mount_attr {
	uint64_t attr_set;
	uint64_t attr_clr;
	uint64_t propagation;
	uint64_t userns_fd;
};

static inline int kernel_open_tree(int directory, const char *path, unsigned flags)
{
	return (int)syscall(SYS_open_tree, directory, path, flags | OPEN_TREE_CLOEXEC);
}

/* Attaches the mount behind `from` at what `to` has open. */
static inline int kernel_move_mount(int from, int to)
{
	return (int)syscall(SYS_move_mount, from, "", to, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static inline int kernel_mount_setattr(int mount, unsigned flags, const struct kernel_mount_attr *attr)
{
	return (int)syscall(SYS_mount_setattr, mount, "", flags | AT_EMPTY_PATH, attr, sizeof(*attr));
}

static inline int kernel_fsopen(const char *type)
{
	return (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
}

static inline int kernel_fsconfig(int context, unsigned command, const char *key, const char *value)
{
	return (int)syscall(SYS_fsconfig, context, command, key, value, 0);
}

static inline int kernel_fsmount(int context, unsigned attributes)
{
	return (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes);
}

static inline int kernel_pivot_root(const char *root, const char *old)
{
	return (int)syscall(SYS_pivot_root, root, old);
}

static inline int kernel_pidfd_open(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static inline int kernel_pidfd_send_signal(int pidfd, int signal)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

/* Access of the effective ids to what `fd` has open. */
static inline int kernel_access(int fd, int mode)
{
	return (int)syscall(SYS_faccessat2, fd, "", mode, AT_EMPTY_PATH | AT_EACCESS);
}

#define KERNEL_SCHED_RESET_ON_FORK 0x01

/* `attributes` is a struct sched_attr, which says its own size. */
static inline int kernel_sched_setattr(const void *attributes)
{
	return (int)syscall(SYS_sched_setattr, 0, attributes, 0);
}

#define KERNEL_IOPRIO_WHO_PROCESS 1

static inline int kernel_ioprio_set(int priority)
{
	return (int)syscall(SYS_ioprio_set, KERNEL_IOPRIO_WHO_PROCESS, 0, priority);
}

/* Of the calling process; `mask` as the kernel has it. */
static inline int kernel_sched_setaffinity(size_t size, const unsigned long *mask)
{
	return (int)syscall(SYS_sched_setaffinity, 0, size, mask);
}

/* fork(2) with flags and a pidfd; runs on a copy of the stack. The plain clone(2) is used, as seccomp profiles let it
 * through where they refuse clone3(2), whose flags they can't see. */
static inline pid_t kernel_clone(unsigned long flags, int *pidfd)
{
	return (pid_t)syscall(SYS_clone, flags | CLONE_PIDFD, NULL, pidfd, NULL, NULL);
}

#endif
