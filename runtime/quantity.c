/* Amounts in options. */
#include "runtime/quantity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The power of 1024 that a suffix stands for; -1 for none. */
static int power_of(const char *suffix)
{
	static const char letters[] = "kmgt";
	const char *letter;

	if (*suffix == '\0' || strcasecmp(suffix, "b") == 0)
		return 0;
	letter = strchr(letters, *suffix | 0x20);
	if (!letter || !*letter)
		return -1;
	suffix++;
	if (*suffix != '\0' && strcasecmp(suffix, "b") != 0 && strcasecmp(suffix, "ib") != 0)
		return -1;
	return (int)(letter - letters) + 1;
}

int quantity_parse_memory(const char *text, uint64_t *bytes, struct error *error)
{
	unsigned long long number;
	char *end;
	int power;

	errno = 0;
	number = strtoull(text, &end, 10);
	power = *text >= '0' && *text <= '9' ? power_of(end) : -1;
	if (power < 0)
		return error_set(error, EINVAL, "'%s' is no amount of memory, such as 256M", text);
	if (errno != 0 || number > UINT64_MAX >> (10 * power))
		return error_set(error, ERANGE, "'%s' is too much memory", text);
	*bytes = (uint64_t)number << (10 * power);
	return 0;
}

int quantity_parse_count(const char *option, const char *text, unsigned least, unsigned most, unsigned *count,
			 struct error *error)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || number < least || number > most)
		return error_set(error, EINVAL, "%s: '%s' is no whole number from %u to %u", option, text, least, most);
	*count = (unsigned)number;
	return 0;
}

void quantity_format_bytes(uint64_t bytes, char text[QUANTITY_SIZE])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double amount = (double)bytes;
	unsigned unit = 0;

	for (; amount >= 1024 && unit + 1 < sizeof(units) / sizeof(*units); unit++)
		amount /= 1024;
	snprintf(text, QUANTITY_SIZE, "%.4g%s", amount, units[unit]);
}
