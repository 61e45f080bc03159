// uses: runtime/help_text.c
/* Options as popt and Python's argparse print them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/help_text.h"

static struct help_option take(const char **text)
{
	struct help_option option;

	assert_true(help_text_next(text, &option));
	return option;
}

static void expect(const char **text, char short_name, const char *long_name, const char *argument,
		   const char *description)
{
	struct help_option option = take(text);

	assert_int_equal(option.short_name, short_name);
	assert_string_equal(option.long_name, long_name);
	assert_string_equal(option.argument, argument);
	assert_string_equal(option.description, description);
}

static void popt(void **state)
{
	const char *text = "Usage: nacre run [OPTION...] ROOTFS\n"
			   "  -i, --interactive             pass stdin on\n"
			   "      --io=calls|streams        how streams travel (default:\n"
			   "                                streams)\n"
			   "  -e, --env NAME[=VALUE]        set a variable\n"
			   "  -m, --memory=SIZE             - memory\n";

	(void)state;
	expect(&text, 'i', "interactive", "", "pass stdin on");
	expect(&text, '\0', "io", "calls|streams", "how streams travel (default:");
	expect(&text, 'e', "env", "NAME[=VALUE]", "set a variable");
	expect(&text, 'm', "memory", "SIZE", "- memory");
	assert_false(help_text_next(&text, &(struct help_option){0}));
}

static void argparse(void **state)
{
	const char *text = "usage: nacre build-image [-h] [--kind {cpio,erofs}]\n"
			   "                         [--verity] [-o FILE]\n"
			   "\n"
			   "options:\n"
			   "  -h, --help            show this\n"
			   "  --kind {cpio,erofs}\n"
			   "                        cpio: an initramfs\n"
			   "  -o FILE, --output FILE\n"
			   "                        the image\n"
			   "  --set NAME=VALUE      for lines\n";

	(void)state;
	expect(&text, 'h', "help", "", "show this");
	expect(&text, '\0', "kind", "cpio|erofs", "");
	expect(&text, 'o', "output", "FILE", "");
	expect(&text, '\0', "set", "NAME=VALUE", "for lines");
	assert_false(help_text_next(&text, &(struct help_option){0}));
}

static void choices(void **state)
{
	(void)state;
	assert_true(help_text_is_choice(&(struct help_option){.argument = "a|b"}));
	assert_false(help_text_is_choice(&(struct help_option){.argument = "FILE"}));
	assert_false(help_text_is_choice(&(struct help_option){.argument = "A|B:C"}));
}

static void arguments(void **state)
{
	(void)state;
	assert_int_equal(help_text_arguments("Usage: nacre rm [OPTION...] NAME...\n"), HELP_NAMES);
	assert_int_equal(help_text_arguments("Usage: nacre cp [OPTION...] NAME:SRC DEST\n"), HELP_NAMES_AND_PATHS);
	assert_int_equal(help_text_arguments("Usage: nacre run [OPTION...] ROOTFS\n NAME\n"), HELP_FILES);
}

/* Nothing is read beyond a field's room, or the end. */
static void odd_lines(void **state)
{
	char text[400] = "  --";
	const char *rest = text, *nothing = "  -", *blank = "  --=\n  -a, ";
	struct help_option option;

	(void)state;
	memset(text + 4, 'x', sizeof(text) - 5);
	option = take(&rest);
	assert_int_equal(strlen(option.long_name), sizeof(option.long_name) - 1);
	take(&nothing);
	take(&blank);
	assert_int_equal(take(&blank).short_name, 'a');
	assert_false(help_text_next(&blank, &option));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(popt),	     cmocka_unit_test(argparse),  cmocka_unit_test(choices),
		cmocka_unit_test(arguments), cmocka_unit_test(odd_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
