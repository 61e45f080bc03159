/* /proc/cmdline: words, the agent's parameters, and those of PID 1. */
#include <stdlib.h>
#include <string.h>

#include "agent/config.h"
#include "init/settings.h"
#include "lib/cmdline.h"
#include "tests/fuzz/fuzz.h"

static void look_at_words(const char *text)
{
	static const char *const keys[] = {"nacre.shell", "agent.log", "nacre.modules"};
	struct cmdline_word word;
	const char *rest = text;

	while (cmdline_next(&rest, &word)) {
		char value[16];

		promise(rest >= text && rest <= text + strlen(text));
		promise(word.key && strlen(word.key) < sizeof(word.text));
		promise(!word.value || strlen(word.value) < sizeof(word.text));
		if (cmdline_get(text, word.key, value, sizeof(value)))
			promise(strlen(value) < sizeof(value));
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		cmdline_has(text, keys[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	char *text = fuzz_text(&input, size);
	struct agent_config config = {.hotplug_timeout = LOOP_SECOND};
	struct settings settings;
	struct error error = {0};
	int status;

	look_at_words(text);
	settings_init(&settings);
	settings_read(&settings, text);
	promise(settings.stop_timeout <= 3600 * LOOP_SECOND);
	/* A file that it names is the business of another target. */
	if (!strstr(text, "agent.config_file")) {
		status = config_read_command_line(&config, text, &error);
		promise(status == 0 || (status < 0 && error.number == -status && *error.text));
		promise(memchr(config.server_address, '\0', sizeof(config.server_address)));
	}
	free(text);
	return 0;
}
