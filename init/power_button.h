/* The power button, as the host presses it (ACPI, or a line of GPIO): input devices with KEY_POWER (linux/input.h). */
#ifndef NACRE_INIT_POWER_BUTTON_H
#define NACRE_INIT_POWER_BUTTON_H

#include <stdbool.h>
#include <stddef.h>

#define POWER_BUTTONS_MAX 4

struct power_buttons {
	int fds[POWER_BUTTONS_MAX];
	size_t count;
};

/* Opens the ones that this machine has: none, often. */
void power_buttons_open(struct power_buttons *buttons);

/* Reads what one of them has to say: true where it was pressed. One that is gone is closed, and -1 in the table. */
bool power_button_pressed(int *fd);

#endif
