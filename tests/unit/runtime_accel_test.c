// uses: runtime/accel.c lib/error.c
/* KVM or TCG: what is asked for, what the CPU says, and what the probe saw. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/accel.h"

static int probes;

static bool yes(void)
{
	return true;
}

static bool no(void)
{
	return false;
}

static bool probe_yes(void)
{
	probes++;
	return true;
}

static bool probe_no(void)
{
	probes++;
	return false;
}

static void choices(void **state)
{
	const struct accel_machine good = {yes, probe_yes}, hanging = {yes, probe_no}, incapable = {no, probe_yes};
	enum accel chosen;
	struct error error;

	(void)state;
	assert_int_equal(accel_choose(ACCEL_AUTO, &good, &chosen, NULL), 0);
	assert_int_equal(chosen, ACCEL_KVM);
	assert_int_equal(accel_choose(ACCEL_AUTO, &hanging, &chosen, NULL), 0);
	assert_int_equal(chosen, ACCEL_TCG);
	assert_int_equal(accel_choose(ACCEL_KVM, &good, &chosen, NULL), 0);
	assert_int_equal(chosen, ACCEL_KVM);
	assert_int_equal(accel_choose(ACCEL_KVM, &hanging, &chosen, &error), -ENODEV);
	assert_non_null(strstr(error.text, "KVM"));
	/* A CPU that can't isn't even probed, nor is anything where TCG is asked for. */
	probes = 0;
	assert_int_equal(accel_choose(ACCEL_AUTO, &incapable, &chosen, NULL), 0);
	assert_int_equal(chosen, ACCEL_TCG);
	assert_int_equal(accel_choose(ACCEL_TCG, &good, &chosen, NULL), 0);
	assert_int_equal(chosen, ACCEL_TCG);
	assert_int_equal(probes, 0);
}

static void flags(void **state)
{
	(void)state;
	assert_true(accel_flags_name_virtualization("processor\t: 0\nflags\t\t: fpu vme vmx de\nbugs\t: x\n"));
	assert_true(accel_flags_name_virtualization("flags\t\t: svm\n"));
	assert_true(accel_flags_name_virtualization("flags: fpu svm"));
	assert_false(accel_flags_name_virtualization("flags\t\t: fpu svm_lock vmxx xvmx\n"));
	assert_false(accel_flags_name_virtualization("model name\t: vmx svm\nflags\t\t: fpu\n"));
	assert_false(accel_flags_name_virtualization("flags\t\t: fpu\nvmx flags\t: vnmi\n"));
	assert_false(accel_flags_name_virtualization(""));
	assert_false(accel_flags_name_virtualization("flags"));
}

static void words(void **state)
{
	enum accel accel;

	(void)state;
	assert_int_equal(accel_parse("kvm", &accel, NULL), 0);
	assert_int_equal(accel, ACCEL_KVM);
	assert_int_equal(accel_parse("auto", &accel, NULL), 0);
	assert_int_equal(accel_parse("KVM", &accel, NULL), -EINVAL);
	assert_int_equal(accel_parse("", &accel, NULL), -EINVAL);
	assert_string_equal(accel_name(ACCEL_TCG), "tcg");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(choices),
		cmocka_unit_test(flags),
		cmocka_unit_test(words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
