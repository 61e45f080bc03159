/* The agent's configuration file, which is TOML. */
#include <string.h>
#include <unistd.h>

#include "agent/config.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct agent_config config = {.hotplug_timeout = LOOP_SECOND};
	struct error error = {0};
	char path[FUZZ_PATH_SIZE];
	int fd = fuzz_file(data, size, path), status = config_read_file(&config, path, &error);

	promise(status == 0 || (status < 0 && error.number == -status && *error.text));
	promise(!strchr(error.text, '\n'));
	promise(memchr(config.server_address, '\0', sizeof(config.server_address)));
	promise(config.hotplug_timeout > 0);
	close(fd);
	return 0;
}
