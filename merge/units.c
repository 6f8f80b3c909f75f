/* SPDX-License-Identifier: Apache-2.0 */
#include "merge/units.h"

#include <string.h>
#include <strings.h>

static const struct {
	const char *name;
	struct pgo_unit unit;
} table[] = {
	{"ns", {PGO_DIM_TIME, 1}},
	{"nanosecond", {PGO_DIM_TIME, 1}},
	{"us", {PGO_DIM_TIME, 1000}},
	{"\xc2\xb5s", {PGO_DIM_TIME, 1000}}, /* with the micro sign, and with the letter mu */
	{"\xce\xbcs", {PGO_DIM_TIME, 1000}},
	{"microsecond", {PGO_DIM_TIME, 1000}},
	{"ms", {PGO_DIM_TIME, 1000000}},
	{"millisecond", {PGO_DIM_TIME, 1000000}},
	{"s", {PGO_DIM_TIME, 1000000000}},
	{"sec", {PGO_DIM_TIME, 1000000000}},
	{"second", {PGO_DIM_TIME, 1000000000}},
	{"min", {PGO_DIM_TIME, 60000000000}},
	{"minute", {PGO_DIM_TIME, 60000000000}},
	{"hr", {PGO_DIM_TIME, 3600000000000}},
	{"hour", {PGO_DIM_TIME, 3600000000000}},
	{"b", {PGO_DIM_MEMORY, 1}},
	{"byte", {PGO_DIM_MEMORY, 1}},
	{"kb", {PGO_DIM_MEMORY, 1 << 10}},
	{"kbyte", {PGO_DIM_MEMORY, 1 << 10}},
	{"kilobyte", {PGO_DIM_MEMORY, 1 << 10}},
	{"mb", {PGO_DIM_MEMORY, 1 << 20}},
	{"mbyte", {PGO_DIM_MEMORY, 1 << 20}},
	{"megabyte", {PGO_DIM_MEMORY, 1 << 20}},
	{"gb", {PGO_DIM_MEMORY, 1 << 30}},
	{"gbyte", {PGO_DIM_MEMORY, 1 << 30}},
	{"gigabyte", {PGO_DIM_MEMORY, 1 << 30}},
	{"tb", {PGO_DIM_MEMORY, (uint64_t)1 << 40}},
	{"tbyte", {PGO_DIM_MEMORY, (uint64_t)1 << 40}},
	{"terabyte", {PGO_DIM_MEMORY, (uint64_t)1 << 40}},
};

bool pgo_unit_find(const char *name, struct pgo_unit *ret)
{
	size_t len = strlen(name);

	/* "ms" is no plural. */
	if (len > 2 && (name[len - 1] == 's' || name[len - 1] == 'S') &&
		(unsigned char)name[0] < 0x80)
		len--;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		if (strlen(table[i].name) != len || strncasecmp(table[i].name, name, len) != 0)
			continue;
		*ret = table[i].unit;
		return true;
	}
	return false;
}
