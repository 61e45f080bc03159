/* Whether a VM runs under KVM, or is translated (TCG).
 *
 * A /dev/kvm can be opened on machines where nothing ever runs on it, or where the opening itself never comes back. So
 * `auto` believes only what it has seen: a CPU which says that it can, and a vCPU of ours which has halted.
 */
#ifndef NACRE_RUNTIME_ACCEL_H
#define NACRE_RUNTIME_ACCEL_H

#include <stdbool.h>

#include "lib/error.h"

enum accel { ACCEL_AUTO, ACCEL_KVM, ACCEL_TCG };

/* "auto", "kvm", "tcg". 0 or -EINVAL. */
int accel_parse(const char *text, enum accel *accel, struct error *error);
const char *accel_name(enum accel accel);

/* What is known of this machine; accel_machine is this one, tests have others. */
struct accel_machine {
	bool (*cpu_is_able)(void); /* cheap */
	bool (*vcpu_runs)(void);   /* at most ACCEL_PROBE_MILLISECONDS */
};
extern const struct accel_machine accel_machine;

#define ACCEL_PROBE_MILLISECONDS 1000

/* What to use for what was asked: *chosen is KVM or TCG. 0, or -ENODEV where KVM was asked for and doesn't work. */
int accel_choose(enum accel asked, const struct accel_machine *machine, enum accel *chosen, struct error *error);

/* Whether /proc/cpuinfo's text names a flag of x86 virtualization, vmx or svm, as a word of its own. */
bool accel_flags_name_virtualization(const char *cpuinfo);

#endif
