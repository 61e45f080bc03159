/* The choice of KVM or TCG. The probe itself is in accel_probe.c. */
#include "runtime/accel.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "lib/cleanup.h"

static const char *const names[] = {[ACCEL_AUTO] = "auto", [ACCEL_KVM] = "kvm", [ACCEL_TCG] = "tcg"};

int accel_parse(const char *text, enum accel *accel, struct error *error)
{
	for (size_t i = 0; i < array_size(names); i++)
		if (strcmp(text, names[i]) == 0) {
			*accel = (enum accel)i;
			return 0;
		}
	return error_set(error, EINVAL, "--accel: '%s' is not kvm, tcg or auto", text);
}

const char *accel_name(enum accel accel)
{
	return names[accel];
}

static bool has_word(const char *line, size_t length, const char *word)
{
	size_t size = strlen(word);

	for (const char *found = memmem(line, length, word, size); found;
	     found = memmem(found + 1, length - (size_t)(found + 1 - line), word, size)) {
		char before = found == line ? ' ' : found[-1];
		char after = found + size == line + length ? ' ' : found[size];

		if ((before == ' ' || before == '\t' || before == ':') && (after == ' ' || after == '\t'))
			return true;
	}
	return false;
}

bool accel_flags_name_virtualization(const char *cpuinfo)
{
	for (const char *line = cpuinfo; *line; line = *line ? line + 1 : line) {
		size_t length = strcspn(line, "\n");

		if (strncmp(line, "flags", 5) == 0)
			return has_word(line, length, "vmx") || has_word(line, length, "svm");
		line += length;
		if (!*line)
			break;
	}
	return false;
}

int accel_choose(enum accel asked, const struct accel_machine *machine, enum accel *chosen, struct error *error)
{
	bool works = asked != ACCEL_TCG && machine->cpu_is_able() && machine->vcpu_runs();

	if (asked == ACCEL_KVM && !works)
		return error_set(error, ENODEV, "no virtual CPU runs on /dev/kvm here (--accel tcg does without KVM)");
	*chosen = works ? ACCEL_KVM : ACCEL_TCG;
	return 0;
}
