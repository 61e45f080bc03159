/* Finds the command of a workload and looks at it as execve(2) will: whether it exists, is a file, may be executed,
 * is of this machine, and has its interpreter. So a container or an exec that can't work fails when it is made, and
 * says why.
 *
 * Called inside the container's root and cwd with the workload's own credentials. What is read belongs to the
 * container: offsets are checked against bounds, and a FIFO or device is never opened for reading. Messages follow
 * runc's.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container/helper.h"
#include "agent/container/kernel.h"
#include "lib/cleanup.h"

#define HEAD_SIZE 256	      /* BINPRM_BUF_SIZE: what the kernel looks at */
#define SCRIPT_DEPTH_MAX 5    /* of the kernel */
#define PROGRAM_HEADERS_MAX 64

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#define MACHINE_32 EM_386
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#define MACHINE_32 EM_ARM
#elif defined(__riscv)
#define MACHINE EM_RISCV
#define MACHINE_32 EM_RISCV
#elif defined(__powerpc64__)
#define MACHINE EM_PPC64
#define MACHINE_32 EM_PPC
#elif defined(__s390x__)
#define MACHINE EM_S390
#define MACHINE_32 EM_S390
#else
#error "the ELF machine of this architecture has to be named here"
#endif

static int check_file(struct helper *helper, const char *path, int depth);

/* One line about the command itself, with what the caller's answer depends on. */
static int refuse(struct helper *helper, int number, const char *reason)
{
	bool missing = number == ENOENT || number == ENOTDIR || number == ELOOP || number == ENAMETOOLONG;

	helper->failure_class = missing ? LAUNCH_NOT_FOUND : LAUNCH_PERMISSION;
	return error_set(&helper->error, number, "exec: \"%.256s\": %s", helper->plan.process.arguments[0], reason);
}

static const char *reason_of(int number)
{
	switch (number) {
	case ENOENT:
		return "no such file or directory";
	case EACCES:
		return "permission denied";
	case EISDIR:
		return "is a directory";
	case ENOEXEC:
		return "exec format error";
	default:
		return strerror(number);
	}
}

/* 0 for a file that may be executed, or a positive errno. */
static int check_mode(int fd)
{
	struct stat stat;

	if (fstat(fd, &stat) < 0)
		return errno;
	if (S_ISDIR(stat.st_mode))
		return EISDIR;
	if (!S_ISREG(stat.st_mode))
		return EACCES;
	return kernel_access(fd, X_OK) < 0 ? errno : 0;
}

/* Where the kernel has interpreters for foreign formats registered, nothing can be said about a file from here. */
static bool foreign_formats(const struct helper *helper)
{
	return faccessat(helper->proc, "sys/fs/binfmt_misc/register", F_OK, 0) == 0;
}

static int read_at(int fd, void *data, size_t size, uint64_t offset)
{
	if (offset > INT64_MAX - size)
		return -1;
	return pread(fd, data, size, (off_t)offset) == (ssize_t)size ? 0 : -1;
}

/* Offset and size of PT_INTERP in a 64-bit file; false where there is none. */
static bool find_interpreter(int fd, const Elf64_Ehdr *header, uint64_t *offset, uint64_t *size)
{
	Elf64_Phdr programs[PROGRAM_HEADERS_MAX];

	if (header->e_phentsize != sizeof(*programs) || header->e_phnum > PROGRAM_HEADERS_MAX ||
	    read_at(fd, programs, header->e_phnum * sizeof(*programs), header->e_phoff) < 0)
		return false;
	for (unsigned i = 0; i < header->e_phnum; i++) {
		if (programs[i].p_type != PT_INTERP)
			continue;
		*offset = programs[i].p_offset;
		*size = programs[i].p_filesz;
		return true;
	}
	return false;
}

static int refuse_interpreter(struct helper *helper, const char *interpreter, int number)
{
	char reason[ERROR_TEXT_SIZE];

	snprintf(reason, sizeof(reason), "interpreter %.128s: %s", interpreter, reason_of(number));
	return refuse(helper, number, reason);
}

static int check_elf(struct helper *helper, int fd, const Elf64_Ehdr *header)
{
	char interpreter[PATH_MAX];
	uint64_t offset, size;
	cleanup_close int opened = -1;
	int number;

	if (header->e_ident[EI_CLASS] == ELFCLASS32 && header->e_machine == MACHINE_32)
		return 0; /* whether it runs is the kernel's matter */
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != MACHINE ||
	    (header->e_type != ET_EXEC && header->e_type != ET_DYN))
		return foreign_formats(helper) ? 0 : refuse(helper, ENOEXEC, reason_of(ENOEXEC));
	if (!find_interpreter(fd, header, &offset, &size))
		return 0;
	if (size < 2 || size > sizeof(interpreter) || read_at(fd, interpreter, size, offset) < 0 ||
	    interpreter[size - 1])
		return refuse(helper, ENOEXEC, reason_of(ENOEXEC));
	opened = open(interpreter, O_PATH | O_CLOEXEC);
	number = opened < 0 ? errno : check_mode(opened);
	return number ? refuse_interpreter(helper, interpreter, number) : 0;
}

/* "#! INTERPRETER [ARGUMENT]": the interpreter is a file to be looked at in the same way. */
static int check_script(struct helper *helper, char *head, int depth)
{
	char *interpreter = head + 2 + strspn(head + 2, " \t");
	cleanup_close int opened = -1;
	int number;

	interpreter[strcspn(interpreter, " \t\n")] = '\0';
	if (!*interpreter)
		return refuse(helper, ENOEXEC, reason_of(ENOEXEC));
	opened = open(interpreter, O_PATH | O_CLOEXEC);
	number = opened < 0 ? errno : check_mode(opened);
	if (number)
		return refuse_interpreter(helper, interpreter, number);
	return depth < SCRIPT_DEPTH_MAX ? check_file(helper, interpreter, depth + 1) :
					  refuse(helper, ELOOP, "too many levels of interpreters");
}

/* Looks into a file whose mode is right. One that may be executed but not read is left to the kernel. */
static int check_file(struct helper *helper, const char *path, int depth)
{
	union {
		char text[HEAD_SIZE + 1];
		Elf64_Ehdr elf;
	} head = {.text = ""};
	cleanup_close int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat stat;
	ssize_t length;

	if (fd < 0 || fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode))
		return 0;
	length = pread(fd, head.text, HEAD_SIZE, 0);
	if (length < 0)
		return 0;
	if ((size_t)length >= sizeof(head.elf) && memcmp(head.text, ELFMAG, SELFMAG) == 0)
		return check_elf(helper, fd, &head.elf);
	if (length > 2 && head.text[0] == '#' && head.text[1] == '!')
		return check_script(helper, head.text, depth);
	return foreign_formats(helper) ? 0 : refuse(helper, ENOEXEC, reason_of(ENOEXEC));
}

/* Tries directory/name; true where that is a file to execute, whose path is then in helper->executable. */
static bool try_directory(struct helper *helper, const char *directory, size_t length, const char *name)
{
	cleanup_close int fd = -1;
	int printed = snprintf(helper->executable, sizeof(helper->executable), "%.*s/%s", (int)length, directory, name);

	/* Relative entries, the empty one among them, would make the command depend on the cwd. */
	if (length == 0 || *directory != '/' || printed < 0 || (size_t)printed >= sizeof(helper->executable))
		return false;
	fd = open(helper->executable, O_PATH | O_CLOEXEC);
	return fd >= 0 && check_mode(fd) == 0;
}

static int search_path(struct helper *helper, const char *name)
{
	const char *directory = helper->plan.process.search_path;

	while (*name) {
		size_t length = strcspn(directory, ":");

		if (length < PATH_MAX && try_directory(helper, directory, length, name))
			return check_file(helper, helper->executable, 0);
		if (!directory[length])
			break;
		directory += length + 1;
	}
	return refuse(helper, ENOENT, "executable file not found in $PATH");
}

int executable_find(struct helper *helper)
{
	const char *name = helper->plan.process.arguments[0];
	cleanup_close int fd = -1;
	int number;

	if (!strchr(name, '/'))
		return search_path(helper, name);
	if (strlen(name) >= sizeof(helper->executable))
		return refuse(helper, ENAMETOOLONG, strerror(ENAMETOOLONG));
	strcpy(helper->executable, name);
	fd = open(name, O_PATH | O_CLOEXEC);
	number = fd < 0 ? errno : check_mode(fd);
	return number ? refuse(helper, number, reason_of(number)) : check_file(helper, name, 0);
}
