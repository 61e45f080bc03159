/* evdev: each event is one struct, read whole. */
#include "init/power_button.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/input.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"

#define INPUT_DEVICES "/dev/input"

static bool has_power_key(int fd)
{
	unsigned char keys[KEY_MAX / 8 + 1] = {0};

	return ioctl(fd, EVIOCGBIT(EV_KEY, sizeof(keys)), keys) >= 0 && (keys[KEY_POWER / 8] >> KEY_POWER % 8 & 1);
}

void power_buttons_open(struct power_buttons *buttons)
{
	DIR *devices = opendir(INPUT_DEVICES);

	buttons->count = 0;
	if (!devices)
		return;
	for (struct dirent *entry = readdir(devices); entry && buttons->count < POWER_BUTTONS_MAX;
	     entry = readdir(devices)) {
		int fd;

		if (strncmp(entry->d_name, "event", 5) != 0)
			continue;
		fd = openat(dirfd(devices), entry->d_name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0 && has_power_key(fd))
			buttons->fds[buttons->count++] = fd;
		else
			fd_close(&fd);
	}
	closedir(devices);
}

bool power_button_pressed(int *fd)
{
	struct input_event events[16];
	bool pressed = false;
	ssize_t length;

	while ((length = read(*fd, events, sizeof(events))) > 0)
		for (size_t i = 0; i < (size_t)length / sizeof(events[0]); i++)
			pressed |= events[i].type == EV_KEY && events[i].code == KEY_POWER && events[i].value == 1;
	if (length == 0 || (errno != EAGAIN && errno != EINTR))
		fd_close(fd);
	return pressed;
}
