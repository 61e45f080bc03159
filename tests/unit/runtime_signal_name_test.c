// uses: runtime/signal_name.c lib/error.c
/* Signals as `nacre kill --signal` takes them. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "runtime/signal_name.h"

static void known(void **state)
{
	static const struct {
		const char *text;
		int number;
	} good[] = {
		{"KILL", SIGKILL}, {"SIGKILL", SIGKILL}, {"sigterm", SIGTERM}, {"9", 9},	   {"1", 1},
		{"64", 64},	   {"winch", SIGWINCH},	 {"RTMIN", 34},	       {"SIGRTMIN+3", 37}, {"rtmax-1", 63},
		{"RTMIN+30", 64},
	};

	(void)state;
	for (size_t i = 0; i < array_size(good); i++)
		assert_int_equal(signal_parse(good[i].text, NULL), good[i].number);
}

static void unknown(void **state)
{
	static const char *const bad[] = {
		"", "0", "65", "-9", "9x", " 9", "SIG", "NOPE", "RTMIN+31", "RTMAX+1", "RTMIN-1", "RTMIN+", "99999999999999999999",
	};

	(void)state;
	for (size_t i = 0; i < array_size(bad); i++)
		assert_int_equal(signal_parse(bad[i], NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(known), cmocka_unit_test(unknown)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
