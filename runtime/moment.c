/* Clock, format, and words. */
#include "runtime/moment.h"

#include <stdio.h>
#include <time.h>

#include "lib/cleanup.h"

#define MINUTE INT64_C(60)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

int64_t moment_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * MOMENT_SECOND + now.tv_nsec;
}

void moment_format(int64_t moment, char text[MOMENT_SIZE])
{
	time_t seconds = (time_t)(moment / MOMENT_SECOND);
	struct tm parts;
	size_t length;

	text[0] = '\0';
	if (moment <= 0 || !gmtime_r(&seconds, &parts))
		return;
	length = strftime(text, MOMENT_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(text + length, MOMENT_SIZE - length, ".%09dZ", (int)(moment % MOMENT_SECOND));
}

int64_t moment_parse(const char *text)
{
	struct tm parts = {0};
	int nanoseconds;
	char zone;

	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%9d%c", &parts.tm_year, &parts.tm_mon, &parts.tm_mday,
		   &parts.tm_hour, &parts.tm_min, &parts.tm_sec, &nanoseconds, &zone) != 8 || zone != 'Z')
		return 0;
	parts.tm_year -= 1900;
	parts.tm_mon -= 1;
	return (int64_t)timegm(&parts) * MOMENT_SECOND + nanoseconds;
}

void moment_describe(int64_t nanoseconds, char text[MOMENT_SIZE])
{
	/* Each unit is used until its successor's limit; the words are for what is about one of it. */
	static const struct {
		int64_t below, unit;
		const char *name;
	} units[] = {
		{MINUTE, 1, "seconds"},	      {HOUR, MINUTE, "minutes"},       {2 * DAY, HOUR, "hours"},
		{14 * DAY, DAY, "days"},      {60 * DAY, 7 * DAY, "weeks"},    {730 * DAY, 30 * DAY, "months"},
		{INT64_MAX, 365 * DAY, "years"},
	};
	int64_t seconds = nanoseconds > 0 ? nanoseconds / MOMENT_SECOND : 0;
	size_t i = 0;

	if (seconds < 1) {
		snprintf(text, MOMENT_SIZE, "Less than a second");
	} else if (seconds == 1) {
		snprintf(text, MOMENT_SIZE, "1 second");
	} else if (seconds >= MINUTE && seconds < 2 * MINUTE) {
		snprintf(text, MOMENT_SIZE, "About a minute");
	} else if (seconds >= HOUR && seconds < 2 * HOUR) {
		snprintf(text, MOMENT_SIZE, "About an hour");
	} else {
		while (i + 1 < array_size(units) && seconds >= units[i].below)
			i++;
		snprintf(text, MOMENT_SIZE, "%lld %s", (long long)(seconds / units[i].unit), units[i].name);
	}
}
