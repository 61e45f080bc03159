/* The first instructions of a static position-independent program, before and after musl's.
 *
 * Before: relative relocations in their packed form (DT_RELR of the ELF gABI), which musl 1.2.3 doesn't know. The tables
 * of the protobuf messages are full of pointers, and a pointer costs 24 bytes as RELA, next to none as RELR.
 * After: the kernel maps what is to be read-only after relocation (PT_GNU_RELRO) writable, and in a static program no
 * one makes it read-only, unless it does so itself.
 */
#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#define hidden __attribute__((visibility("hidden")))

/* The linker's. Addresses are relative to the instruction, and right before any relocation. */
extern hidden const Elf64_Ehdr __ehdr_start;

#ifdef __x86_64__

#define TAG_RELR_SIZE 35
#define TAG_RELR 36
#define BITS (8 * sizeof(uint64_t) - 1) /* words that an entry of bits stands for */

extern hidden const Elf64_Dyn _DYNAMIC[];
hidden void start_relocate(void);

/* Runs on the kernel's stack, and leaves it to musl as it was. */
__asm__(".globl start_relocated\n"
	".hidden start_relocated\n"
	".type start_relocated, @function\n"
	"start_relocated:\n"
	"	xor %ebp, %ebp\n"
	"	call start_relocate\n"
	"	jmp _start\n"
	".size start_relocated, . - start_relocated\n");

/* An even entry is the address of a word to relocate, an odd one has a bit for each of the 63 words after it. No stack
 * protector: its canary isn't there yet. */
__attribute__((no_stack_protector)) void start_relocate(void)
{
	uintptr_t base = (uintptr_t)&__ehdr_start;
	const uint64_t *entry = NULL;
	uint64_t *word = NULL;
	size_t size = 0;

	for (const Elf64_Dyn *dynamic = _DYNAMIC; dynamic->d_tag != DT_NULL; dynamic++) {
		if (dynamic->d_tag == TAG_RELR)
			entry = (const uint64_t *)(base + dynamic->d_un.d_ptr);
		else if (dynamic->d_tag == TAG_RELR_SIZE)
			size = dynamic->d_un.d_val;
	}
	for (const uint64_t *end = entry + size / sizeof(*entry); entry < end; entry++) {
		if ((*entry & 1) == 0) {
			word = (uint64_t *)(base + *entry);
			*word++ += base;
			continue;
		}
		for (size_t bit = 0; bit < BITS; bit++)
			if (*entry >> (bit + 1) & 1)
				word[bit] += base;
		word += BITS;
	}
}

#endif

/* The first of the constructors: all relocation is done. The linker is told to take it in. */
hidden void start_protect(void);

__attribute__((constructor(101))) void start_protect(void)
{
	uintptr_t base = (uintptr_t)&__ehdr_start;
	const Elf64_Phdr *header = (const Elf64_Phdr *)(base + __ehdr_start.e_phoff);
	uintptr_t page = getauxval(AT_PAGESZ);

	for (int i = 0; i < __ehdr_start.e_phnum; i++) {
		uintptr_t start = (base + header[i].p_vaddr) & -page;
		uintptr_t end = (base + header[i].p_vaddr + header[i].p_memsz) & -page;

		if (header[i].p_type == PT_GNU_RELRO)
			mprotect((void *)start, end - start, PROT_READ);
	}
}
