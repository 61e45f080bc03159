/* Doubling delays, which a good while of service sets back. */
#include "init/restart.h"

#include "lib/loop.h"

#define FIRST_DELAY (50 * LOOP_MILLISECOND) /* before the third start in a row */
#define LAST_DELAY LOOP_SECOND
#define GOOD_WHILE (10 * LOOP_SECOND)

void restart_ready(struct restart *restart, uint64_t now)
{
	restart->ready = now;
}

uint64_t restart_ended(struct restart *restart, uint64_t now)
{
	uint64_t delay = FIRST_DELAY;

	if (restart->ready != 0 && now - restart->ready >= GOOD_WHILE)
		restart->failures = 0;
	restart->ready = 0;
	restart->failures++;
	if (restart->failures < 2)
		return 0;
	for (unsigned i = 2; i < restart->failures && delay < LAST_DELAY; i++)
		delay *= 2;
	return delay < LAST_DELAY ? delay : LAST_DELAY;
}
